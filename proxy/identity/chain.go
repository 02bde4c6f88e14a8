// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// MaxTokenBytes bounds a presented token, before anything of it is read.
const MaxTokenBytes = 16 << 10

// Chain is a Verifier that gives a token to the Verifier of its issuer. The
// issuer it goes by is unproven: it picks who proves it, and that Verifier must
// demand the very same issuer.
type Chain struct {
	verifiers map[string]Verifier
}

// NewChain makes a Chain of the Verifiers by issuer, compared byte for byte. A
// Chain of none rejects everything.
func NewChain(verifiers map[string]Verifier) (*Chain, error) {
	c := &Chain{verifiers: make(map[string]Verifier, len(verifiers))}
	for issuer, verifier := range verifiers {
		if issuer == "" || verifier == nil {
			return nil, fmt.Errorf("invalid identity provider: want an issuer and its verifier: issuer %q", issuer)
		}
		c.verifiers[issuer] = verifier
	}
	return c, nil
}

// Verify proves the caller by the Verifier of the token's issuer.
func (c *Chain) Verify(ctx context.Context, credential Credential) (Principal, error) {
	issuer, err := UnprovenIssuer(credential.Token())
	if err != nil {
		return Principal{}, fmt.Errorf("%w: %w", ErrRejected, err)
	}
	verifier, ok := c.verifiers[issuer]
	if !ok {
		return Principal{}, fmt.Errorf("%w: no identity provider for the token's issuer: %q", ErrRejected, Shorten(issuer))
	}
	principal, err := verifier.Verify(ctx, credential)
	if err != nil {
		return Principal{}, err
	}
	if principal.Issuer != issuer {
		return Principal{}, fmt.Errorf("%w: the identity provider proved another issuer than the token's", ErrRejected)
	}
	return principal, nil
}

// UnprovenIssuer reads the iss claim of a compact JWS (RFC 7519 section 4.1.1)
// without checking its signature.
func UnprovenIssuer(token string) (string, error) {
	if len(token) > MaxTokenBytes {
		return "", fmt.Errorf("token is too large: %d bytes, at most %d are allowed", len(token), MaxTokenBytes)
	}
	_, rest, found := strings.Cut(token, ".")
	payload, signature, also := strings.Cut(rest, ".")
	if !found || !also || strings.Contains(signature, ".") {
		return "", errors.New("not a signed token")
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", errors.New("not a signed token")
	}
	// A map and not a struct: encoding/json matches a struct's names whatever
	// their case, and "ISS" is not "iss".
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(raw, &claims); err != nil {
		return "", errors.New("not a signed token")
	}
	var issuer string
	if err := json.Unmarshal(claims["iss"], &issuer); err != nil || issuer == "" {
		return "", errors.New("token has no issuer")
	}
	return issuer, nil
}
