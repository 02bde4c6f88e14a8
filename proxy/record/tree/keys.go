// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// rotationHeader is the first line of a KeyRotation's text.
const rotationHeader = "doorward.dev/key-rotation/v1"

// algorithmEd25519 is the note key algorithm (golang.org/x/mod/sumdb/note).
const algorithmEd25519 = 1

// LogID is the id of the log whose first key this is: the first 16 bytes of
// the SHA-256 of the public key, in hex.
func LogID(first ed25519.PublicKey) string {
	sum := sha256.Sum256(first)
	return hex.EncodeToString(sum[:16])
}

// KeyRotation is the statement of a log's key that another takes its place.
type KeyRotation struct {
	LogID string
	// Index is that of the KeyRotated record that holds the statement. A
	// checkpoint that covers it is signed by the next key.
	Index int64
	// Next is the next key in the form of a note verifier.
	Next string
}

// Text is what is signed.
func (r *KeyRotation) Text() string {
	return fmt.Sprintf("%s\n%s\n%d\n%s\n", rotationHeader, r.LogID, r.Index, r.Next)
}

// Sign returns the statement as a note signed by the key that is replaced.
func (r *KeyRotation) Sign(signer note.Signer) (string, error) {
	if signer.Name() != Origin(r.LogID) {
		return "", fmt.Errorf("cannot sign key rotation: key %q is not one of log %q", signer.Name(), r.LogID)
	}
	if _, err := ParseKeyRotation(r.Text()); err != nil {
		return "", fmt.Errorf("cannot sign key rotation: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: r.Text()}, signer)
	return string(signed), err
}

// ParseKeyRotation reads a text, and only one that Text would write.
func ParseKeyRotation(text string) (KeyRotation, error) {
	if len(text) > maxNote {
		return KeyRotation{}, fmt.Errorf("%w key rotation: %d bytes, at most %d", ErrMalformed, len(text), maxNote)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != rotationHeader || lines[4] != "" {
		return KeyRotation{}, fmt.Errorf("%w key rotation: not the lines %q, log id, index and key", ErrMalformed, rotationHeader)
	}
	r := KeyRotation{LogID: lines[1], Next: lines[3]}
	var err error
	if r.Index, err = parseSize(lines[2]); err != nil {
		return KeyRotation{}, err
	}
	if _, err := parseKey(r.LogID, r.Next); err != nil {
		return KeyRotation{}, err
	}
	return r, nil
}

// parseKey reads a note verifier of a log and returns its public key.
func parseKey(logID, text string) (ed25519.PublicKey, error) {
	if err := checkID(logID); err != nil {
		return nil, err
	}
	if len(text) > 512 {
		return nil, fmt.Errorf("%w key: %d bytes", ErrMalformed, len(text))
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("%w key: not a note verifier: %q", ErrMalformed, text)
	}
	if v.Name() != Origin(logID) {
		return nil, fmt.Errorf("key %q is not one of log %q", v.Name(), logID)
	}
	parts := strings.SplitN(text, "+", 3)
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algorithmEd25519 {
		return nil, fmt.Errorf("%w key: not an ed25519 note verifier: %q", ErrMalformed, text)
	}
	public := ed25519.PublicKey(raw[1:])
	if same, err := note.NewEd25519VerifierKey(v.Name(), public); err != nil || same != text {
		return nil, fmt.Errorf("%w key: not in its usual form: %q", ErrMalformed, text)
	}
	return public, nil
}

// Keys are the keys of one log, from the first, which the log's id certifies,
// each introduced by the one before it. Not safe for concurrent use with Follow.
type Keys struct {
	logID string
	keys  []key
}

type key struct {
	text     string
	verifier note.Verifier
	// since is the index of the record that introduced it; -1 for the first.
	since int64
	// note is the signed KeyRotation, empty for the first.
	note string
}

// NewKeys begins with a log's first key, a note verifier.
func NewKeys(logID, first string) (*Keys, error) {
	public, err := parseKey(logID, first)
	if err != nil {
		return nil, err
	}
	if own := LogID(public); own != logID {
		return nil, fmt.Errorf("key is not the first of log %q: it is that of log %q", logID, own)
	}
	verifier, err := note.NewVerifier(first)
	if err != nil {
		return nil, err
	}
	return &Keys{logID: logID, keys: []key{{text: first, verifier: verifier, since: -1}}}, nil
}

// Follow adds the key that a signed KeyRotation introduces. A rotation that
// was followed before is no error.
func (k *Keys) Follow(rotation string) error {
	for _, known := range k.keys {
		if known.note == rotation && rotation != "" {
			return nil
		}
	}
	last := k.keys[len(k.keys)-1]
	n, err := openNote("key rotation", rotation, note.VerifierList(last.verifier))
	if err != nil {
		return err
	}
	r, err := ParseKeyRotation(n.Text)
	switch {
	case err != nil:
		return err
	case r.LogID != k.logID:
		return fmt.Errorf("key rotation is of log %q, not of %q", r.LogID, k.logID)
	case r.Index <= last.since:
		return fmt.Errorf("key rotation by record %d does not come after that by record %d", r.Index, last.since)
	}
	next := key{text: r.Next, since: r.Index, note: rotation}
	if next.verifier, err = note.NewVerifier(r.Next); err != nil {
		return err
	}
	// Notes name keys by a hash of 32 bits, so two may not share one.
	if slices.ContainsFunc(k.keys, func(old key) bool { return old.verifier.KeyHash() == next.verifier.KeyHash() }) {
		return errors.New("key rotation to a key that the log has had before")
	}
	k.keys = append(k.keys, next)
	return nil
}

// LogID is the id of the log.
func (k *Keys) LogID() string { return k.logID }

// First is the text of the first key.
func (k *Keys) First() string { return k.keys[0].text }

// Current is the text of the last key.
func (k *Keys) Current() string { return k.keys[len(k.keys)-1].text }

// Since is the index of the record that introduced the last key, -1 where it
// is the first.
func (k *Keys) Since() int64 { return k.keys[len(k.keys)-1].since }

// Rotations are the signed notes that introduced all keys but the first.
func (k *Keys) Rotations() []string {
	var notes []string
	for _, next := range k.keys[1:] {
		notes = append(notes, next.note)
	}
	return notes
}

// Texts are the keys in order.
func (k *Keys) Texts() []string {
	var texts []string
	for _, each := range k.keys {
		texts = append(texts, each.text)
	}
	return texts
}

// For is the one key that may sign a checkpoint of the given size: the last
// that was introduced by a record it covers.
func (k *Keys) For(size int64) note.Verifiers {
	at := 0
	for i, each := range k.keys {
		if each.since < size {
			at = i
		}
	}
	return note.VerifierList(k.keys[at].verifier)
}

// Open reads a checkpoint of this log that is signed by the key that was in
// force for its size.
func (k *Keys) Open(signed string) (Checkpoint, error) {
	var all []note.Verifier
	for _, each := range k.keys {
		all = append(all, each.verifier)
	}
	c, err := Open(signed, note.VerifierList(all...))
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != Origin(k.logID) {
		return Checkpoint{}, fmt.Errorf("checkpoint is of log %q, not of %q", c.LogID(), k.logID)
	}
	c, err = Open(signed, k.For(c.Size))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("key not in force for %d records: %w", c.Size, err)
	}
	return c, nil
}

// Clone returns a copy that Follow may change.
func (k *Keys) Clone() *Keys { return &Keys{logID: k.logID, keys: slices.Clone(k.keys)} }
