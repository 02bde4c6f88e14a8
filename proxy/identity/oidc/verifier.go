// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/doorward/doorward/proxy/identity"
)

// The methods of Principals proven here. By SAML nobody is who has not logged in at the
// manager's login portal.
const (
	Method     = "oidc"
	MethodSAML = "saml"
)

// Verifier proves callers by the tokens of one issuer. It is safe for
// concurrent use.
type Verifier struct {
	config     Config
	programs   *programs
	algorithms []jose.SignatureAlgorithm
	keys       *keys
	now        func() time.Time
	fetches    *group
}

var _ identity.Verifier = (*Verifier)(nil)

// New makes a Verifier. It reaches for nothing: keys are fetched when the first
// token comes, so that an issuer that is away keeps no proxy from starting.
// Fetches end with ctx.
func New(ctx context.Context, config Config) (*Verifier, error) {
	return newVerifier(newGroup(ctx), config, time.Now)
}

func newVerifier(fetches *group, config Config, now func() time.Time) (*Verifier, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("invalid identity provider: %q: %w", config.Name, err)
	}
	client, err := newClient(config.CertificateAuthorityPEM)
	if err != nil {
		return nil, fmt.Errorf("invalid identity provider: %q: %w", config.Name, err)
	}
	v := &Verifier{config: config.clone(), now: now, fetches: fetches}
	if v.programs, err = v.config.compile(); err != nil {
		return nil, fmt.Errorf("invalid identity provider: %q: %w", config.Name, err)
	}
	for _, algorithm := range v.config.algorithms() {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(algorithm))
	}
	v.keys = newKeys(fetches, place{issuer: v.config.IssuerURL, discovery: v.config.DiscoveryURL}, client, now)
	return v, nil
}

// method is how callers of the provider authenticate.
func (v *Verifier) method() string {
	if v.config.VouchedOnly {
		return MethodSAML
	}
	return Method
}

// Close ends the fetches under way and waits for them. The Verifier goes on with
// the keys it has.
func (v *Verifier) Close() { v.fetches.close() }

// Verify proves the caller who presented a token. Errors wrap
// identity.ErrRejected unless the issuer's keys could not be had.
func (v *Verifier) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	if v.config.VouchedOnly {
		return identity.Principal{}, rejected(fmt.Errorf("callers of IdentityProvider %q show what the login portal issued them, and no token of its own: run `kubectl doorward login`", v.config.Name))
	}
	token := credential.Token()
	if err := v.checkShape(token); err != nil {
		return identity.Principal{}, rejected(err)
	}
	if err := v.prove(ctx, token); err != nil {
		return identity.Principal{}, err
	}
	all, err := claimsOf(token)
	if err != nil {
		return identity.Principal{}, rejected(err)
	}
	principal, err := v.principal(ctx, all, v.config.ClockSkew)
	if err != nil {
		return identity.Principal{}, rejected(err)
	}
	principal.ProofID = proofID(principal.Issuer, token, all)
	return principal, nil
}

// prove says that the issuer made the token, whatever it says.
func (v *Verifier) prove(ctx context.Context, token string) error {
	if v.config.Review != nil {
		return v.review(ctx, token)
	}
	keySet := &call{keys: v.keys, algorithms: v.algorithms}
	_, err := oidc.NewVerifier(v.config.IssuerURL, keySet, &oidc.Config{
		SupportedSigningAlgs: v.config.algorithms(),
		// Several audiences and clock skew are more than go-oidc knows; both are
		// checked by the claims below.
		SkipClientIDCheck: true,
		SkipExpiryCheck:   true,
	}).Verify(ctx, token)
	if keySet.failure != nil {
		return fmt.Errorf("cannot check token: %w", keySet.failure)
	}
	if err != nil {
		return rejected(errors.New(identity.Shorten(err.Error())))
	}
	return nil
}

// tokenTypes are the accepted values of the typ header parameter, without
// "application/": a JWT (RFC 7519 section 5.1) or an access token (RFC 9068).
// Logout tokens, proofs and request objects are signed by the same keys.
var tokenTypes = []string{"", "jwt", "at+jwt"}

// checkShape refuses what cannot be a token for us before a key is looked up.
func (v *Verifier) checkShape(token string) error {
	if len(token) > identity.MaxTokenBytes {
		return fmt.Errorf("token is too large: %d bytes, at most %d are allowed", len(token), identity.MaxTokenBytes)
	}
	// Decoders of base64 skip line ends: one token would have many spellings.
	if strings.ContainsFunc(token, notOfToken) {
		return errors.New("not a token: it has characters that no token has")
	}
	signed, err := jose.ParseSignedCompact(token, v.algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return fmt.Errorf("not a token signed with one of %q", v.config.algorithms())
	}
	header := signed.Signatures[0].Header.ExtraHeaders
	if _, present := header["b64"]; present {
		// RFC 7797 section 7. What is signed would not be the text of the token.
		return errors.New("not a token: its header has b64, which no token has")
	}
	kind := ""
	if value, present := header[jose.HeaderType]; present {
		text, ok := value.(string)
		if !ok {
			return errors.New("header typ is no string")
		}
		kind = strings.TrimPrefix(strings.ToLower(text), "application/")
	}
	if !slices.Contains(tokenTypes, kind) {
		return fmt.Errorf("token is of another type: want JWT: %q", identity.Shorten(kind))
	}
	return nil
}

// notOfToken is false for the characters of a compact JWS: base64url (RFC 4648
// section 5) and the dots between its parts.
func notOfToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func rejected(err error) error { return fmt.Errorf("%w: %w", identity.ErrRejected, err) }
