// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// MaxRevoked bounds the credentials of Login.Revoked: two thousand take some 200 KiB of
// the snapshot, and mean that the key should be replaced.
const MaxRevoked = 2000

// Login is what proves gateway credentials. The zero value proves none.
type Login struct {
	// Keys are the manager's public keys in DER (SubjectPublicKeyInfo).
	Keys [][]byte `json:"keys,omitempty"`
	// Revoked are the credentials that were revoked before they expired, sorted by id.
	Revoked []Revoked `json:"revoked,omitempty"`
	// Closed is why no credential is good at all; empty where some are.
	Closed string `json:"closed,omitempty"`
}

// Revoked is a gateway credential that was revoked.
type Revoked struct {
	ID string `json:"id"`
	// Reason is in the words of who revoked it.
	Reason string `json:"reason"`
}

// IsZero says that no credential can be proven.
func (l Login) IsZero() bool { return len(l.Keys) == 0 && len(l.Revoked) == 0 && l.Closed == "" }

// Revocation says whether a credential is good no more, and why.
func (l *Login) Revocation(id string) (reason string, revoked bool) {
	if l.Closed != "" {
		return l.Closed, true
	}
	i, found := slices.BinarySearchFunc(l.Revoked, id, func(r Revoked, id string) int { return strings.Compare(r.ID, id) })
	if !found {
		return "", false
	}
	return l.Revoked[i].Reason, true
}

// Knows says whether a key is one of Keys, by the SHA-256 over it in hexadecimal.
func (l *Login) Knows(keyID string) bool {
	return slices.ContainsFunc(l.Keys, func(der []byte) bool {
		sum := sha256.Sum256(der)
		return hex.EncodeToString(sum[:]) == keyID
	})
}
