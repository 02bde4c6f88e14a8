// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
)

// Key is the secret of the methods Hash and Digits, one for each Connection. The
// zero Key is no key: what would be hashed under it is redacted. It prints as
// [redacted].
type Key [32]byte

// String says nothing of the key.
func (Key) String() string { return "[redacted]" }

// GoString says nothing of the key.
func (Key) GoString() string { return "[redacted]" }

// Format says nothing of the key, whatever the verb.
func (Key) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("[redacted]")) }

// MarshalText says nothing of the key.
func (Key) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// What a MAC is taken for. Two uses never share an input, so that no result of
// one says anything about the other.
const (
	forText    = 't'
	forUUID    = 'u'
	forNumeric = 'n'
	forDigits  = 'd'
	forBlock   = 'k'
	forMore    = 'm'
)

// keyed makes what depends on a key. It is safe for concurrent use: what a call
// needs is in a scratch that it takes for itself.
type keyed struct {
	block cipher.Block
	pool  sync.Pool
}

// scratch is what one call works in.
type scratch struct {
	mac hash.Hash
	sum [sha256.Size]byte
	in  [aes.BlockSize]byte
	out [aes.BlockSize]byte
	// text holds a value in another shape; it keeps what it grew to, bounded by
	// maxKept.
	text []byte
	// other holds a second one.
	other []byte
}

// maxKept bounds the buffers that stay in the pool, in bytes.
const maxKept = 16 << 10

// newKeyed returns nil for the zero Key.
func newKeyed(key Key) *keyed {
	if key == (Key{}) {
		return nil
	}
	k := &keyed{}
	k.pool.New = func() any { return &scratch{mac: hmac.New(sha256.New, key[:])} }
	s := k.take()
	defer k.give(s)
	block, err := aes.NewCipher(s.digest(forBlock, nil))
	if err != nil {
		return nil // a digest is a valid key of AES-256
	}
	k.block = block
	return k
}

func (k *keyed) take() *scratch {
	return k.pool.Get().(*scratch) //nolint:forcetypeassert,errcheck // the pool's own New
}

// give takes a scratch back, without what was in it.
func (k *keyed) give(s *scratch) {
	clear(s.sum[:])
	clear(s.in[:])
	clear(s.out[:])
	s.text, s.other = wiped(s.text), wiped(s.other)
	k.pool.Put(s)
}

func wiped(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	clear(b)
	return b[:0]
}

// digest is the MAC of a value for one use, valid until the next call.
func (s *scratch) digest(use byte, value []byte) []byte {
	s.mac.Reset()
	s.in[0] = use
	s.mac.Write(s.in[:1])
	s.mac.Write(value)
	return s.mac.Sum(s.sum[:0])
}
