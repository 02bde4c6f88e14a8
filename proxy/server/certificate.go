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

// CertificateDir reads tls.crt and tls.key of a directory, such as a mounted
// Secret of type kubernetes.io/tls, and reads them again when they change.
type CertificateDir struct {
	Path string

	mu      sync.Mutex // guards everything below
	current *tls.Certificate
	seen    [2]stamp
}

// stamp tells two versions of a file apart.
type stamp struct {
	modified time.Time
	size     int64
	path     string
}

// Certificate returns the newest certificate that could be read. While a new
// pair is being written, or does not match, the former one stays.
func (d *CertificateDir) Certificate() (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen, err := d.stamps()
	if err == nil && (d.current == nil || seen != d.seen) {
		err = d.read(seen)
	}
	if err != nil && d.current == nil {
		return nil, err
	}
	return d.current, nil
}

func (d *CertificateDir) read(seen [2]stamp) error {
	pair, err := tls.LoadX509KeyPair(seen[0].path, seen[1].path)
	if err != nil {
		return fmt.Errorf("cannot read serving certificate: directory %q: %w", d.Path, err)
	}
	d.current, d.seen = &pair, seen
	return nil
}

func (d *CertificateDir) stamps() (seen [2]stamp, err error) {
	for i, name := range [...]string{"tls.crt", "tls.key"} {
		// A kubelet swaps all files by one link: where the path leads says which version it is.
		path, linkErr := filepath.EvalSymlinks(filepath.Join(d.Path, name))
		if linkErr != nil {
			err = errors.Join(err, fmt.Errorf("cannot read serving certificate: %w", linkErr))
			continue
		}
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = errors.Join(err, fmt.Errorf("cannot read serving certificate: %w", statErr))
			continue
		}
		seen[i] = stamp{modified: info.ModTime(), size: info.Size(), path: path}
	}
	return seen, err
}
