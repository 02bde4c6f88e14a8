// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/identity"
)

// MaxRevoked bounds Login.Revoked and Login.Owners together: two thousand take some 200
// KiB of the snapshot, and mean that the key should be replaced.
const MaxRevoked = 2000

// MaxRevokedOfOwner is how many revoked credentials of one owner are named. Where there are
// more, none of the owner's is good: who revokes many has nobody refused but themselves.
const MaxRevokedOfOwner = 64

// Login is what proves gateway credentials. The zero value proves none.
type Login struct {
	// Keys are the manager's public keys in DER (SubjectPublicKeyInfo).
	Keys [][]byte `json:"keys,omitempty"`
	// Revoked are the credentials that were revoked before they expired, sorted by id.
	Revoked []Revoked `json:"revoked,omitempty"`
	// Owners are those of whom no credential is good, sorted by digest.
	Owners []RevokedOwner `json:"owners,omitempty"`
	// Closed is why no credential is good at all; empty where some are.
	Closed string `json:"closed,omitempty"`
	// Portal is where callers log in by a browser; zero where there is none for them.
	Portal LoginPortal `json:"portal,omitzero"`
}

// LoginPortal is the manager's login portal as proxies reach it.
type LoginPortal struct {
	// URL is https://host or https://host:port.
	URL string `json:"url"`
	// CA is a PEM bundle of the authorities of its serving certificate; empty means the
	// system's roots.
	CA string `json:"ca,omitempty"`
}

// Revoked is a gateway credential that was revoked.
type Revoked struct {
	ID string `json:"id"`
	// Reason is in the words of who revoked it.
	Reason string `json:"reason"`
}

// RevokedOwner is an owner of whom so many credentials were revoked that all of theirs are
// refused.
type RevokedOwner struct {
	// Digest is the OwnerDigest.
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

// OwnerDigest tells the owner of credentials from all others, by issuer and subject: 32
// lower-case hexadecimal digits.
func OwnerDigest(issuer, subject string) string {
	return identity.ProofID("owner", issuer, subject)
}

// IsZero says that no credential can be proven.
func (l Login) IsZero() bool {
	return len(l.Keys) == 0 && len(l.Revoked) == 0 && len(l.Owners) == 0 && l.Closed == "" && l.Portal == LoginPortal{}
}

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

// OwnerRevocation says whether no credential of an owner is good, and why.
func (l *Login) OwnerRevocation(issuer, subject string) (reason string, revoked bool) {
	i, found := slices.BinarySearchFunc(l.Owners, OwnerDigest(issuer, subject), func(o RevokedOwner, digest string) int { return strings.Compare(o.Digest, digest) })
	if !found {
		return "", false
	}
	return l.Owners[i].Reason, true
}

// Knows says whether a key is one of Keys, by the SHA-256 over it in hexadecimal.
func (l *Login) Knows(keyID string) bool {
	return slices.ContainsFunc(l.Keys, func(der []byte) bool {
		sum := sha256.Sum256(der)
		return hex.EncodeToString(sum[:]) == keyID
	})
}
