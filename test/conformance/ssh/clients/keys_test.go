// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// keys are all that the one caller logs in with, in a folder: "plain", a key, and "certified",
// the same key with a certificate beside it, as clients look for one.
type keys struct {
	dir         string
	token       string
	public      gossh.PublicKey
	certificate *gossh.Certificate
}

func (k *keys) path(name string) string { return filepath.Join(k.dir, name) }

func newKeys(principal string) (*keys, error) {
	token := make([]byte, tokenLength/2)
	_, _ = rand.Read(token) // never fails
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	k := &keys{token: hex.EncodeToString(token)}
	if k.public, err = gossh.NewPublicKey(public); err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, fmt.Errorf("cannot encode a key: %w", err)
	}
	if err := k.certify(principal); err != nil {
		return nil, err
	}
	if k.dir, err = os.MkdirTemp("", "doorward-clients-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	encoded := pem.EncodeToMemory(block)
	return k, errors.Join(
		os.WriteFile(k.path("plain"), encoded, 0o600),
		os.WriteFile(k.path("certified"), encoded, 0o600),
		os.WriteFile(k.path("certified-cert.pub"), gossh.MarshalAuthorizedKey(k.certificate), 0o600),
	)
}

// certify makes the caller's certificate.
func (k *keys) certify(principal string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("cannot make an authority: %w", err)
	}
	authority, err := gossh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("cannot make an authority: %w", err)
	}
	now := time.Now()
	k.certificate = &gossh.Certificate{
		Key: k.public, CertType: gossh.UserCert, KeyId: "caller", ValidPrincipals: []string{principal},
		ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(24 * time.Hour).Unix()),
	}
	if err := k.certificate.SignCert(rand.Reader, authority); err != nil {
		return fmt.Errorf("cannot sign a certificate: %w", err)
	}
	return nil
}
