// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"regexp"
)

// ProxyClient is the OAuth client ID of proxies at the login portal, for the logins that they
// begin for callers (RFC 8628). It is no secret and proves nothing: what is issued to it is
// bound, so that whoever else says to be a proxy has a token that no proxy takes.
const ProxyClient = "doorward-proxy"

// The parameters by which a proxy says, beside those of RFC 8628 section 3.1, what a login is
// for, so that whoever is asked to allow it can tell it from another (section 5.4).
const (
	// ParameterConnection is the Connection, as namespace/name.
	ParameterConnection = "connection"
	// ParameterClient is the IP address from which the caller has come to the proxy.
	ParameterClient = "client_address"
)

// challengeText is a SHA-256 in base64url (RFC 7636 section 4.2).
var challengeText = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// NewSecret makes what a login is bound to, which never leaves its proxy but to the portal: a
// code verifier (RFC 7636 section 4.1) of 256 bits.
func NewSecret() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails on supported platforms (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// Challenge is the code challenge of a secret, by S256 (RFC 7636 section 4.2).
func Challenge(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// unbound refuses a token that needs a secret, from whoever has shown it without. Those who
// show tokens are callers, and exchange them for others: it is a proxy's alone.
func (s *Statement) unbound() error {
	if s.Binding == "" {
		return nil
	}
	return errors.New("the token is bound to the login that it was issued for, and proves nobody elsewhere: " + remedy)
}

// boundTo refuses a token that is bound to something else, or to nothing.
func (s *Statement) boundTo(secret string) error {
	if s.Binding == "" || subtle.ConstantTimeCompare([]byte(s.Binding), []byte(Challenge(secret))) != 1 {
		return errors.New("the token is not bound to this login: log in again")
	}
	return nil
}
