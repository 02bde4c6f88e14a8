// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/hostkey"
)

// CertificateSource knows the certificate that clients are shown at present.
// Safe for concurrent use.
type CertificateSource interface {
	Certificate() (*tls.Certificate, error)
}

// TLS makes the configuration of a listener whose certificate may be renewed
// at any time.
func TLS(source CertificateSource) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return source.Certificate() },
	}
}

// CertificateDir reads the serving certificate, tls.crt and tls.key, of a directory, such
// as a mounted serving Secret, and reads it again when it changes; and likewise the SSH
// host key and its certificate, where somebody asks for them.
type CertificateDir struct {
	Path string

	certificate twoFiles[*tls.Certificate]
	hostKeys    twoFiles[[]ssh.Signer]
}

// Certificate returns the newest certificate that could be read. While a new
// pair is being written, or does not match, the former one stays.
func (d *CertificateDir) Certificate() (*tls.Certificate, error) {
	return d.certificate.newest(d.Path, "serving certificate", [2]string{"tls.crt", "tls.key"}, func(certificate, key []byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(certificate, key)
		return &pair, err
	})
}

// HostKeys returns the newest SSH host keys that could be read, as hostkey.Parse, in the
// same manner.
func (d *CertificateDir) HostKeys() ([]ssh.Signer, error) {
	return d.hostKeys.newest(d.Path, "SSH host key", [2]string{hostkey.PrivateKey, hostkey.Certificate}, hostkey.Parse)
}

// twoFiles is what two files of a directory make together.
type twoFiles[T any] struct {
	mu      sync.Mutex // guards everything below
	current T
	has     bool
	seen    [2]stamp
}

// stamp tells two versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
	path     string
}

// newest parses the files where they have changed. What was there stays where they cannot
// be read.
func (f *twoFiles[T]) newest(directory, what string, names [2]string, parse func(first, second []byte) (T, error)) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen, err := stamps(directory, names)
	if err == nil && (!f.has || seen != f.seen) {
		var next T
		if next, err = parseFiles(seen, parse); err == nil {
			f.current, f.has, f.seen = next, true, seen
		}
	}
	if err != nil && !f.has {
		return f.current, fmt.Errorf("cannot read %s: directory %q: %w", what, directory, err)
	}
	return f.current, nil
}

func parseFiles[T any](files [2]stamp, parse func(first, second []byte) (T, error)) (none T, err error) {
	first, err := os.ReadFile(files[0].path)
	if err != nil {
		return none, err
	}
	second, err := os.ReadFile(files[1].path)
	if err != nil {
		return none, err
	}
	return parse(first, second)
}

func stamps(directory string, names [2]string) (seen [2]stamp, err error) {
	for i, name := range names {
		// A kubelet swaps all files by one link: where the path leads says which version it is.
		path, linkErr := filepath.EvalSymlinks(filepath.Join(directory, name))
		if linkErr != nil {
			err = errors.Join(err, linkErr)
			continue
		}
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		seen[i] = stamp{modified: info.ModTime(), size: info.Size(), path: path}
	}
	return seen, err
}
