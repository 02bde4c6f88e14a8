// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // to refuse it by name
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the least of an RSA key: 128 bits of security (NIST SP 800-57
// part 1, table 2).
const minRSABits = 3072

// SSHKey is a private key for SSH: the proxy's own at a target, or that of an
// authority which the target trusts. The zero value is none. It never prints.
type SSHKey struct {
	redacted
	// A pointer, for the reason that Password gives.
	value *ssh.MultiAlgorithmSigner
}

// NewSSHKey reads a private key that is not encrypted, in OpenSSH's own form
// (PROTOCOL.key) or in PEM: Ed25519, ECDSA or RSA of at least 3072 bits. The
// name is that of the credential's key, for the error, which holds nothing of
// the value and says what to run.
func NewSSHKey(name string, content []byte) (SSHKey, error) {
	block, rest := pem.Decode(content)
	switch {
	case block == nil && bytes.HasPrefix(content, []byte("PuTTY-User-Key-File-")):
		return SSHKey{}, fmt.Errorf("key %q: a key in PuTTY's form: run `puttygen KEY.ppk -O private-openssh -o KEY`", name)
	case block == nil && publicKey(content):
		return SSHKey{}, fmt.Errorf("key %q: a public key: put the private one there, the file beside it without .pub", name)
	case block == nil:
		return SSHKey{}, fmt.Errorf("key %q: want a private key in OpenSSH's form or in PEM: %s", name, makeNew)
	case len(bytes.TrimSpace(rest)) > 0:
		return SSHKey{}, fmt.Errorf("key %q: something follows the private key: leave one key there and nothing after it", name)
	}
	raw, err := ssh.ParseRawPrivateKey(content)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) || block.Type == "ENCRYPTED PRIVATE KEY" {
		return SSHKey{}, fmt.Errorf("key %q: the private key is encrypted: run `ssh-keygen -p -N \"\" -f KEY` on a copy, "+
			"which asks for the passphrase and takes it away", name)
	}
	if err != nil {
		return SSHKey{}, fmt.Errorf("key %q: want a private key of type Ed25519, ECDSA or RSA: %s: %w", name, makeNew, err)
	}
	switch key := raw.(type) {
	case *dsa.PrivateKey:
		return SSHKey{}, fmt.Errorf("key %q: a DSA key, which OpenSSH has given up: %s", name, makeNew)
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return SSHKey{}, fmt.Errorf("key %q: an RSA key of %d bits, want at least %d: %s", name, bits, minRSABits, makeNew)
		}
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return SSHKey{}, fmt.Errorf("key %q: want a private key of type Ed25519, ECDSA or RSA: %s: %w", name, makeNew, err)
	}
	modern, err := modernSigner(signer)
	if err != nil {
		return SSHKey{}, fmt.Errorf("key %q: %w", name, err)
	}
	return SSHKey{value: &modern}, nil
}

const makeNew = "run `ssh-keygen -t ed25519 -N \"\" -f KEY` and have the target trust KEY.pub"

// publicKey says whether a text is a public key as ssh-keygen writes it.
func publicKey(content []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(content) //nolint:dogsled // only whether it is one
	return err == nil
}

// modernSigner never signs with SHA-1, which RSA keys could (RFC 8332).
func modernSigner(signer ssh.Signer) (ssh.MultiAlgorithmSigner, error) {
	full, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, errors.New("the private key cannot choose how it signs")
	}
	algorithms := []string{signer.PublicKey().Type()}
	if algorithms[0] == ssh.KeyAlgoRSA {
		algorithms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return ssh.NewSignerWithAlgorithms(full, algorithms)
}

// none says whether there is no key.
func (k SSHKey) none() bool { return k.value == nil }

// signer signs for one login. It never prints, unlike those of x/crypto, which
// show their private keys.
type signer struct {
	redacted
	// A pointer, for the reason that Password gives.
	value *ssh.MultiAlgorithmSigner
}

// hide makes a signer of one that shows its key.
func hide(s ssh.MultiAlgorithmSigner) ssh.Signer { return signer{value: &s} }

// PublicKey is the public key, or the certificate.
func (s signer) PublicKey() ssh.PublicKey { return (*s.value).PublicKey() }

// Sign signs with the first of Algorithms.
func (s signer) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return (*s.value).SignWithAlgorithm(rand, data, s.Algorithms()[0])
}

// SignWithAlgorithm signs with one of Algorithms.
func (s signer) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	return (*s.value).SignWithAlgorithm(rand, data, algorithm)
}

// Algorithms are those that the key signs with, the best first.
func (s signer) Algorithms() []string { return (*s.value).Algorithms() }
