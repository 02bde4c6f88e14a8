// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const keyFile = "key"

// identity is a log's key and the names made from it.
type identity struct {
	id       string
	signer   note.Signer
	verifier string
}

// newIdentity makes a key and returns its text in the form of
// golang.org/x/mod/sumdb/note.
func newIdentity() (identity, []byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return identity{}, nil, fmt.Errorf("cannot make the log's key: %w", err)
	}
	verifier, err := note.NewEd25519VerifierKey(keyName(public), public)
	if err != nil {
		return identity{}, nil, fmt.Errorf("cannot make the log's key: %w", err)
	}
	// The signer's key has the verifier's name and hash, and the seed.
	name, rest, _ := strings.Cut(verifier, "+")
	hash, _, _ := strings.Cut(rest, "+")
	const algorithmEd25519 = 1
	seed := append([]byte{algorithmEd25519}, private.Seed()...)
	text := fmt.Sprintf("PRIVATE+KEY+%s+%s+%s\n", name, hash, base64.StdEncoding.EncodeToString(seed))
	id, err := parseIdentity(text)
	return id, []byte(text), err
}

// keyName is the note key's name: it holds the log id, the first 16 bytes of
// the SHA-256 of the public key, in hex.
func keyName(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return "doorward.dev/log/" + hex.EncodeToString(sum[:16])
}

func parseIdentity(text string) (identity, error) {
	text = strings.TrimSuffix(text, "\n")
	signer, err := note.NewSigner(text)
	if err != nil {
		return identity{}, errors.New("not a note signer key")
	}
	// PRIVATE, KEY, name, hash, seed; the seed's base64 may hold plus signs.
	parts := strings.SplitN(text, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return identity{}, errors.New("not an ed25519 note signer key")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok || signer.Name() != keyName(public) {
		return identity{}, fmt.Errorf("key name %q does not belong to the key", signer.Name())
	}
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return identity{}, err
	}
	return identity{id: strings.TrimPrefix(signer.Name(), "doorward.dev/log/"), signer: signer, verifier: verifier}, nil
}

// readIdentity reads the directory's key; the error is fs.ErrNotExist where
// there is none.
func readIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return identity{}, fmt.Errorf("log key is open to others: %q has mode %v: chmod 600 it, and consider the log's signatures forgeable since", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return identity{}, err
	}
	id, err := parseIdentity(string(data))
	if err != nil {
		return identity{}, fmt.Errorf("%w: log key %q: %w", ErrCorrupt, path, err)
	}
	return id, nil
}
