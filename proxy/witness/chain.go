// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Where the witness publishes its keys: a ConfigMap in the operator's namespace.
const (
	KeysConfigMapName = "doorward-witness"
	// KeysVerifier holds the newest verifier, KeysChain the JSON of the Chain.
	KeysVerifier = "verifier"
	KeysChain    = "chain.json"
)

// NamePrefix is what the name of a witness's key has before the key's id.
const NamePrefix = "doorward.dev/witness/"

const (
	// rotationHeader is the first line of what certifies a witness's next key.
	rotationHeader = "doorward.dev/witness-rotation/v1"
	// algorithmEd25519 is the note key algorithm (golang.org/x/mod/sumdb/note).
	algorithmEd25519 = 1
	// MaxKeys bounds a Chain; the oldest fall out.
	MaxKeys = 256
)

var errMalformed = errors.New("malformed")

// NewKey makes the signer and the verifier of a witness's key. Its name is made
// from the key, so that no two share one.
func NewKey(private ed25519.PrivateKey) (note.Signer, string, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, "", errors.New("cannot make the witness's key: not an ed25519 key")
	}
	sum := sha256.Sum256(public)
	verifier, err := note.NewEd25519VerifierKey(NamePrefix+hex.EncodeToString(sum[:16]), public)
	if err != nil {
		return nil, "", fmt.Errorf("cannot make the witness's key: %w", err)
	}
	// The signer's name and hash are the verifier's.
	parts := strings.SplitN(verifier, "+", 3)
	seed := append([]byte{algorithmEd25519}, private.Seed()...)
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", parts[0], parts[1], base64.StdEncoding.EncodeToString(seed)))
	if err != nil {
		return nil, "", errors.New("cannot make the witness's key: not usable as a note signer")
	}
	return signer, verifier, nil
}

// Key is one key of a witness.
type Key struct {
	// Verifier is the note verifier.
	Verifier string `json:"verifier"`
	// Since is when it was made, in UTC.
	Since time.Time `json:"since"`
	// Note is signed by the key before it and by this one: each vouches for the
	// other. It is empty for the first key, and for one that was made because
	// the key before it was lost.
	Note string `json:"note,omitempty"`
}

// Chain is all keys a witness has had, newest first.
type Chain []Key

// Rotate returns the chain with a next key in front of it, certified by the
// newest. old is nil where there is none, or where it was lost.
func (c Chain) Rotate(old, next note.Signer, verifier string, since time.Time) (Chain, error) {
	key := Key{Verifier: verifier, Since: since.UTC()}
	if old != nil && len(c) > 0 {
		signed, err := note.Sign(&note.Note{Text: rotationText(c[0].Verifier, verifier)}, old, next)
		if err != nil {
			return nil, fmt.Errorf("cannot certify the witness's next key: %w", err)
		}
		key.Note = string(signed)
	}
	all := append(Chain{key}, c...)
	return all[:min(len(all), MaxKeys)], nil
}

func rotationText(old, next string) string {
	return rotationHeader + "\n" + old + "\n" + next + "\n"
}

// Verifiers are the keys that are to be trusted by who trusts one of them: all
// that certificates connect with it.
func (c Chain) Verifiers(trusted string) (note.Verifiers, error) {
	at := -1
	for i := range c {
		if c[i].Verifier == trusted {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("not a key of this witness: %q", trusted)
	}
	first, last := at, at
	for first > 0 && c.connected(first-1) {
		first--
	}
	for last < len(c)-1 && c.connected(last) {
		last++
	}
	var all []note.Verifier
	for _, key := range c[first : last+1] {
		verifier, err := note.NewVerifier(key.Verifier)
		if err != nil {
			return nil, fmt.Errorf("%w key of a witness: %q", errMalformed, key.Verifier)
		}
		all = append(all, verifier)
	}
	return note.VerifierList(all...), nil
}

// connected says whether the key at i and the one before it certify each other.
func (c Chain) connected(i int) bool {
	if i+1 >= len(c) {
		return false
	}
	for _, text := range []string{c[i].Verifier, c[i+1].Verifier} {
		verifier, err := note.NewVerifier(text)
		if err != nil {
			return false
		}
		n, err := note.Open([]byte(c[i].Note), note.VerifierList(verifier))
		if err != nil || n.Text != rotationText(c[i+1].Verifier, c[i].Verifier) {
			return false
		}
	}
	return true
}

// Encode returns the JSON form.
func (c Chain) Encode() ([]byte, error) { return json.Marshal(c) }

// DecodeChain reads a Chain. It checks its form only: see Verifiers.
func DecodeChain(data []byte) (Chain, error) {
	var c Chain
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w keys of a witness: %w", errMalformed, err)
	}
	if len(c) == 0 || len(c) > MaxKeys {
		return nil, fmt.Errorf("%w keys of a witness: %d of them, at most %d", errMalformed, len(c), MaxKeys)
	}
	return c, nil
}
