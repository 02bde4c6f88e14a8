// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// MaxKeys bounds the keys that are good at a time: two while the manager changes from one
// to the other.
const MaxKeys = 8

// beginSkew is by how much the clocks of the manager and of a proxy may differ at the
// beginning of a credential.
const beginSkew = time.Minute

// remedy is said with each refusal.
const remedy = "get a new one: kubectl doorward login"

// Verifier proves Statements by the manager's public keys. It is safe for concurrent use.
type Verifier struct {
	keys    map[string]*ecdsa.PublicKey // by KeyID
	closed  string
	revoked func(id string) (reason string, revoked bool)
	now     func() time.Time
}

// NewVerifier makes a Verifier of public keys in DER (SubjectPublicKeyInfo, RFC 5280
// section 4.1). Closed, where it is not empty, says why no credential is good, and what to
// do about it. Revoked is asked about each credential; where there are no keys, none is
// good.
func NewVerifier(keys [][]byte, closed string, revoked func(id string) (reason string, revoked bool)) (*Verifier, error) {
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("too many keys of gateway credentials: %d, at most %d", len(keys), MaxKeys)
	}
	v := &Verifier{keys: make(map[string]*ecdsa.PublicKey, len(keys)), closed: closed, revoked: revoked, now: time.Now}
	for _, der := range keys {
		key, err := parseKey(der)
		if err != nil {
			return nil, err
		}
		id, err := KeyID(key)
		if err != nil {
			return nil, err
		}
		v.keys[id] = key
	}
	return v, nil
}

func parseKey(der []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("invalid key of gateway credentials: not a public key")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("invalid key of gateway credentials: want ECDSA on P-256")
	}
	return key, nil
}

// ParseKeys reads public keys of PEM blocks "PUBLIC KEY", in DER as NewVerifier takes
// them. A text without any is one of no keys.
func ParseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	for len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			if len(keys) == 0 || len(bytes.TrimSpace(text)) > 0 {
				return nil, errors.New("holds something else than PEM blocks \"PUBLIC KEY\"")
			}
			break
		}
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("holds a PEM block of another type than \"PUBLIC KEY\": %q", identity.Shorten(block.Type))
		}
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		// What is hashed is how it is written here, not how somebody else did.
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return nil, fmt.Errorf("cannot encode the public key: %w", err)
		}
		keys, text = append(keys, der), rest
	}
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("holds %d keys, at most %d are allowed: remove those that nothing is signed with any more", len(keys), MaxKeys)
	}
	return keys, nil
}

// judged is a Statement as it was read, where there was no error in it and it is good now.
func (v *Verifier) judged(s Statement, err error) (Statement, error) {
	if err == nil {
		err = v.judge(&s)
	}
	if err != nil {
		return Statement{}, rejected(err)
	}
	return s, nil
}

// judge says why a Statement that the manager has signed is good no more, or not yet.
func (v *Verifier) judge(s *Statement) error {
	now := v.now()
	switch {
	case !now.Before(s.ExpiresAt):
		return fmt.Errorf("gateway credential %s expired at %s: %s", s.ID, s.ExpiresAt.UTC().Format(time.RFC3339), remedy)
	case now.Add(beginSkew).Before(s.IssuedAt):
		return fmt.Errorf("gateway credential %s is not valid before %s: check the clocks of manager and proxy", s.ID, s.IssuedAt.UTC().Format(time.RFC3339))
	}
	if reason, revoked := v.revoked(s.ID); revoked {
		return fmt.Errorf("gateway credential %s was revoked: %s: %s", s.ID, reason, remedy)
	}
	return nil
}

func rejected(err error) error { return fmt.Errorf("%w: %w", identity.ErrRejected, err) }
