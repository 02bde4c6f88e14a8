// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
)

// MaskKeySize is the size of a MaskKey in bytes.
const MaskKeySize = 32

// MaskKey is the key of the masks Hash and Digits on one Connection. It prints
// [redacted], also as JSON; only Seal writes it out and Open reads it. The zero
// value is no key.
type MaskKey struct {
	// key is behind two pointers, so that what prints it without asking this type,
	// as fmt does within unexported fields, prints an address: of what a wrong verb
	// is given for, fmt follows one.
	key **[MaskKeySize]byte
}

// NewMaskKey makes a key of MaskKeySize bytes.
func NewMaskKey(key []byte) (MaskKey, error) {
	if len(key) != MaskKeySize {
		return MaskKey{}, fmt.Errorf("invalid mask key: %d bytes, want %d", len(key), MaskKeySize)
	}
	own := (*[MaskKeySize]byte)(bytes.Clone(key))
	return MaskKey{key: &own}, nil
}

// Bytes is the key itself, for masking only; all zero where there is none.
func (k MaskKey) Bytes() [MaskKeySize]byte {
	if k.key == nil {
		return [MaskKeySize]byte{}
	}
	return **k.key
}

// IsZero says that there is no key.
func (k MaskKey) IsZero() bool { return k.key == nil }

// Equal compares two keys in constant time.
func (k MaskKey) Equal(other MaskKey) bool {
	if k.IsZero() || other.IsZero() {
		return k.IsZero() == other.IsZero()
	}
	return subtle.ConstantTimeCompare((*k.key)[:], (*other.key)[:]) == 1
}

// String says nothing of the key.
func (MaskKey) String() string { return "[redacted]" }

// GoString says nothing of the key.
func (MaskKey) GoString() string { return "[redacted]" }

// Format says nothing of the key, whatever the verb.
func (MaskKey) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// MarshalText says nothing of the key.
func (MaskKey) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// UnmarshalText refuses every text: only Open reads a key.
func (*MaskKey) UnmarshalText([]byte) error {
	return errors.New("a mask key is read from a sealed snapshot only")
}

// sealed is the JSON form of a snapshot in its Secret: the only place where the
// key is written out.
type sealed struct {
	Snapshot
	// MaskKey stands before the field of the same name in Snapshot.
	MaskKey []byte `json:"maskKey,omitempty"`
}

func sealedForm(s Snapshot) sealed {
	form := sealed{Snapshot: s}
	if !s.MaskKey.IsZero() {
		key := s.MaskKey.Bytes()
		form.MaskKey = key[:]
	}
	return form
}

// open gives the snapshot back.
func (f *sealed) open() (*Snapshot, error) {
	f.Snapshot.MaskKey = MaskKey{}
	if len(f.MaskKey) > 0 {
		key, err := NewMaskKey(f.MaskKey)
		if err != nil {
			return nil, err
		}
		f.Snapshot.MaskKey = key
	}
	return &f.Snapshot, nil
}
