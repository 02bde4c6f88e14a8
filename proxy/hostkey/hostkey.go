// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostkey knows how the SSH host key of a Connection's proxies (RFC 4251
// section 4.1) and its certificate (OpenSSH PROTOCOL.certkeys) are written down
// in the Connection's serving Secret: the manager writes them, all proxies of the
// Connection read them.
package hostkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/ssh"
)

// The keys of the serving Secret, and the names of files where it is mounted.
const (
	// PrivateKey is the host key: ed25519, in OpenSSH's form.
	PrivateKey = "ssh-host-key"
	// Certificate is its certificate, in the form of authorized_keys.
	Certificate = "ssh-host-cert"
)

// maxBytes bounds each of the two, which have some hundred.
const maxBytes = 64 << 10

// Parse reads a host key and its certificate. The signer that shows the certificate
// comes first, then the one that shows the plain key, for callers who have pinned it:
// the order in which a server offers them. Errors show nothing of the key.
func Parse(key, certificate []byte) ([]ssh.Signer, error) {
	plain, err := ParsePrivate(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", PrivateKey, err)
	}
	signed, err := ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Certificate, err)
	}
	certified, err := ssh.NewCertSigner(signed, plain)
	if err != nil {
		return nil, fmt.Errorf("%s: not that of the key in %s", Certificate, PrivateKey)
	}
	return []ssh.Signer{certified, plain}, nil
}

// Expiry is when the certificate among what Parse has read ends; zero where there is none.
func Expiry(keys []ssh.Signer) time.Time {
	for _, key := range keys {
		if certificate, ok := key.PublicKey().(*ssh.Certificate); ok && certificate.ValidBefore <= math.MaxInt64 {
			return time.Unix(int64(certificate.ValidBefore), 0)
		}
	}
	return time.Time{}
}

// New makes an ed25519 key in OpenSSH's form.
func New(comment string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, fmt.Errorf("cannot encode SSH key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}

// ParsePrivate reads what New has made.
func ParsePrivate(data []byte) (ssh.Signer, error) {
	if err := fits(data); err != nil {
		return nil, err
	}
	parsed, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		return nil, errors.New("no private key without a passphrase")
	}
	key, ok := parsed.(*ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an ed25519 key")
	}
	return ssh.NewSignerFromKey(*key)
}

// ParseCertificate reads a host certificate. Who signed it, for whom and until when is
// the reader's to look at.
func ParseCertificate(data []byte) (*ssh.Certificate, error) {
	if err := fits(data); err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, errors.New("no line of authorized_keys")
	}
	certificate, ok := key.(*ssh.Certificate)
	if !ok || certificate.CertType != ssh.HostCert {
		return nil, errors.New("no host certificate")
	}
	return certificate, nil
}

func fits(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("there is none")
	case len(data) > maxBytes:
		return fmt.Errorf("more than %d bytes", maxBytes)
	}
	return nil
}
