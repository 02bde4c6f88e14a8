// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// maxSealed is the longest that anything sealed is good for.
	maxSealed = 15 * time.Minute
	// maxOpened bounds what is sealed, in bytes.
	maxOpened = 64 << 10
	sealIDLen = 4
)

// errUnsealed says that a text is none that the portal sealed for this purpose, or that
// its time is over.
var errUnsealed = errors.New("it is not of this portal, or too old")

// sealer seals what passes through the hands of others: AES-256-GCM with a random nonce,
// the purpose as additional data, and an expiry.
type sealer struct {
	seals [sealIDLen]byte
	opens map[[sealIDLen]byte]cipher.AEAD
}

func newSealer(keys []ringKey, used int) (*sealer, error) {
	s := &sealer{opens: map[[sealIDLen]byte]cipher.AEAD{}}
	for i, one := range keys {
		if len(one.Key) != sealingSize {
			return nil, fmt.Errorf("a sealing key has %d bytes, want %d", len(one.Key), sealingSize)
		}
		block, err := aes.NewCipher(one.Key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("doorward.dev/login/key-id\n"), one.Key...))
		id := [sealIDLen]byte(sum[:sealIDLen])
		s.opens[id] = aead
		if i == used {
			s.seals = id
		}
	}
	return s, nil
}

// sealed is what is sealed.
type sealed struct {
	Expiry int64           `json:"e"`
	Value  json.RawMessage `json:"v"`
}

func purposeOf(purpose string) []byte { return []byte("doorward.dev/login/" + purpose) }

// seal seals a value for a purpose until its expiry, as base64url.
func (s *sealer) seal(purpose string, value any, expiry time.Time) (string, error) {
	encoded, err := json.Marshal(value)
	if err == nil {
		encoded, err = json.Marshal(sealed{Expiry: expiry.Unix(), Value: encoded})
	}
	if err != nil {
		return "", fmt.Errorf("cannot seal: %w", err)
	}
	if len(encoded) > maxOpened {
		return "", fmt.Errorf("cannot seal: %d bytes, at most %d are allowed", len(encoded), maxOpened)
	}
	// Not compressed: the length would tell what attackers have guessed of what is mixed
	// with what they choose.
	out := s.opens[s.seals].Seal(bytes.Clone(s.seals[:]), nil, encoded, purposeOf(purpose)) //nolint:gosec // the nonce is the AEAD's own, and random
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// open opens what was sealed for the same purpose. Errors are errUnsealed.
func (s *sealer) open(purpose, text string, into any, now time.Time) error {
	// Decoders of base64 skip line ends: one text would have many spellings.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) <= sealIDLen || bytes.ContainsAny([]byte(text), "\r\n") {
		return errUnsealed
	}
	aead := s.opens[[sealIDLen]byte(raw[:sealIDLen])]
	if aead == nil {
		return errUnsealed
	}
	encoded, err := aead.Open(nil, nil, raw[sealIDLen:], purposeOf(purpose))
	if err != nil {
		return errUnsealed
	}
	var found sealed
	if json.Unmarshal(encoded, &found) != nil || !now.Before(time.Unix(found.Expiry, 0)) {
		return errUnsealed
	}
	if err := json.Unmarshal(found.Value, into); err != nil {
		return errUnsealed
	}
	return nil
}
