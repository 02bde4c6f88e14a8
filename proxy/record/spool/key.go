// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record/tree"
)

const (
	keyFile = "key"
	// nextKeyFile holds the key that is being rotated to.
	nextKeyFile = "key.next"
	// keysFile holds the public keys up to now and how one introduced the next.
	keysFile = "keys"
)

// key is one private key of a log.
type key struct {
	signer   note.Signer
	verifier string
	// text is the form of golang.org/x/mod/sumdb/note, and a line feed.
	text []byte
}

func (k *key) logID() string { return strings.TrimPrefix(k.signer.Name(), tree.OriginPrefix) }

// newKey makes a key of a log; the first of a new one where logID is empty.
func newKey(logID string) (key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return key{}, fmt.Errorf("cannot make the log's key: %w", err)
	}
	if logID == "" {
		logID = tree.LogID(public)
	}
	verifier, err := note.NewEd25519VerifierKey(tree.Origin(logID), public)
	if err != nil {
		return key{}, fmt.Errorf("cannot make the log's key: %w", err)
	}
	// The verifier's name and hash are the signer's.
	name, rest, _ := strings.Cut(verifier, "+")
	hash, _, _ := strings.Cut(rest, "+")
	seed := append([]byte{algorithmEd25519}, private.Seed()...)
	return parseKey(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s\n", name, hash, base64.StdEncoding.EncodeToString(seed)))
}

const algorithmEd25519 = 1

func parseKey(text string) (key, error) {
	line := strings.TrimSuffix(text, "\n")
	signer, err := note.NewSigner(line)
	if err != nil {
		return key{}, errors.New("not a note signer key")
	}
	// PRIVATE, KEY, name, hash, seed; the seed's base64 may hold plus signs.
	parts := strings.SplitN(line, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return key{}, errors.New("not an ed25519 note signer key")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok || !strings.HasPrefix(signer.Name(), tree.OriginPrefix) {
		return key{}, fmt.Errorf("key %q is not a log's", signer.Name())
	}
	verifier, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return key{}, err
	}
	return key{signer: signer, verifier: verifier, text: []byte(line + "\n")}, nil
}

// readKey reads a private key; the error is fs.ErrNotExist where there is none.
func readKey(path string) (key, time.Time, error) {
	info, err := os.Stat(path)
	if err != nil {
		return key{}, time.Time{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key{}, time.Time{}, fmt.Errorf("log key is open to others: %q has mode %v: chmod 600 it, and consider the log's signatures forgeable since", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return key{}, time.Time{}, err
	}
	k, err := parseKey(string(data))
	if err != nil {
		return key{}, time.Time{}, fmt.Errorf("%w: log key %q: %w", ErrCorrupt, path, err)
	}
	return k, info.ModTime(), nil
}

// identity is what a directory's key files say.
type identity struct {
	// id comes from the first key and stays.
	id   string
	key  key
	keys *tree.Keys
	// since is when the current key was made.
	since time.Time
}

// keyring is the identity's part that a rotation changes.
type keyring struct {
	mu     sync.Mutex // held also while something is signed and gets its place
	signer note.Signer
	keys   *tree.Keys
	since  time.Time
}

type keysDocument struct {
	Log string `json:"log"`
	// Key is the first key, a note verifier.
	Key       string    `json:"key"`
	Rotations []string  `json:"rotations,omitempty"`
	Since     time.Time `json:"since"`
}

// write keeps the public keys beside the private one.
func (id *identity) write(dir string) error {
	data, err := json.Marshal(keysDocument{Log: id.id, Key: id.keys.First(), Rotations: id.keys.Rotations(), Since: id.since.UTC()})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, keysFile), append(data, '\n'))
}

// readIdentity reads the directory's keys; the error is fs.ErrNotExist where
// there is no private key.
func readIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, keyFile)
	k, made, err := readKey(path)
	if err != nil {
		return identity{}, err
	}
	id := identity{id: k.logID(), key: k, since: made}
	data, err := os.ReadFile(filepath.Join(dir, keysFile))
	if errors.Is(err, fs.ErrNotExist) {
		if id.keys, err = tree.NewKeys(id.id, k.verifier); err != nil {
			return identity{}, fmt.Errorf("%w: log key %q is not the log's first, and %q is missing: restore it from a copy: %w", ErrCorrupt, path, keysFile, err)
		}
		return id, nil
	}
	if err != nil {
		return identity{}, err
	}
	if id.keys, id.since, err = parseKeys(data, id.id); err != nil {
		return identity{}, fmt.Errorf("%w: %q: restore it from a copy: %w", ErrCorrupt, filepath.Join(dir, keysFile), err)
	}
	if id.keys.Current() == k.verifier {
		return id, nil
	}
	// A rotation may have been cut short before its last step.
	nextPath := filepath.Join(dir, nextKeyFile)
	next, _, err := readKey(nextPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return identity{}, err
	}
	if err != nil || next.verifier != id.keys.Current() {
		return identity{}, fmt.Errorf("%w: log key %q is not the last that %q names: restore the key", ErrCorrupt, path, keysFile)
	}
	id.key = next
	return id, renameKey(dir)
}

func parseKeys(data []byte, logID string) (*tree.Keys, time.Time, error) {
	var d keysDocument
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, time.Time{}, err
	}
	keys, err := tree.NewKeys(logID, d.Key)
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, rotation := range d.Rotations {
		if err := keys.Follow(rotation); err != nil {
			return nil, time.Time{}, err
		}
	}
	return keys, d.Since, nil
}
