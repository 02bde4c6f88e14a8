// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oidc proves callers by tokens of an OpenID Connect issuer: signature
// by the issuer's published keys, issuer, audience, lifetime, and the claims
// that make a user name, groups, kind and delegation chain of it. A cluster is such
// an issuer of ServiceAccount tokens, whose claims mean what Kubernetes says.
//
// A Verifier needs the network only to learn keys, but for TokenReview. It goes on
// with the keys it has while the issuer is away, and asks for unknown ones at a
// bounded rate.
package oidc

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// Config says which tokens are believed and what is read from them.
type Config struct {
	// Name is that of the IdentityProvider.
	Name string
	// IssuerURL is the https URL that the iss claim must equal. With VouchedOnly it is any
	// name, such as the entity ID of a SAML identity provider.
	IssuerURL string
	// DiscoveryURL is where the discovery document is; below IssuerURL where empty.
	DiscoveryURL string
	// Audiences are those of which a token must name one in its aud claim.
	Audiences []string
	// CertificateAuthorityPEM proves the issuer's server; the system's CAs do
	// where it is empty.
	CertificateAuthorityPEM []byte
	// Algorithms are the accepted signature algorithms (RFC 7518 section 3.1);
	// RS256 and ES256 where empty. Only asymmetric ones exist here.
	Algorithms []string
	// UsernameClaim and UsernamePrefix make the user name, or UsernameExpression does.
	UsernameClaim, UsernamePrefix, UsernameExpression string
	// GroupsClaim and GroupsPrefix make the groups, or GroupsExpression does; none
	// where all are empty.
	GroupsClaim, GroupsPrefix, GroupsExpression string
	// UIDClaim or UIDExpression makes the uid that UserRules see.
	UIDClaim, UIDExpression string
	// KindClaim or KindExpression holds Human, Workload or Agent. A caller whose token
	// lacks it, and every caller where both are empty, is Human; one for whom somebody
	// else acts is an Agent, also where they say Human.
	KindClaim, KindExpression string
	// Extra are kept among the Principal's claims.
	Extra []Extra
	// Claims are the names of those claims that the Principal keeps besides; no other is.
	Claims []string
	// RequiredClaims must be present as strings of this very value.
	RequiredClaims []RequiredClaim
	// ClaimRules must be true of the claims, UserRules of the caller made of them.
	ClaimRules, UserRules []Rule
	// ClockSkew is by how much the issuer's clock may differ, at most 5 minutes.
	ClockSkew time.Duration
	// KubernetesUsernamePrefix makes the API server's name of a caller: prefix
	// plus KubernetesUsernameExpression, or, where that is empty, what the user name is
	// made of. Nil means that callers do not map.
	KubernetesUsernamePrefix     *string
	KubernetesUsernameExpression string

	// VouchedOnly says that the issuer makes no tokens that could be verified here: the
	// manager vouches for the claims of its callers. Every token is refused.
	VouchedOnly bool

	// ServiceAccounts says that the issuer is a cluster. Then nothing is mapped.
	ServiceAccounts *ServiceAccounts
	// Review, where not nil, verifies tokens instead of the issuer's keys.
	Review TokenReviewer `json:"-"`
}

// Extra keeps the value of an expression under a key.
type Extra struct {
	Key, Expression string
}

// Rule is an expression that must be true. Index is its place among the rules of the
// IdentityProvider, for errors.
type Rule struct {
	Index               int
	Expression, Message string
}

// RequiredClaim is a claim that must have a value.
type RequiredClaim struct {
	Claim, Value string
}

const maxClockSkew = 5 * time.Minute

// allowedAlgorithms are asymmetric without exception: with "none" or HS256,
// whoever knows the public key could make tokens.
var allowedAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

var defaultAlgorithms = []string{"RS256", "ES256"}

// validate returns the first fault, with the field's name and the remedy.
func (c *Config) validate() error {
	if c.Name == "" {
		return errors.New("the provider has no name")
	}
	if err := c.validateIssuer(); err != nil {
		return err
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		return errors.New("invalid audiences: want at least one, none of them empty")
	}
	for _, algorithm := range c.Algorithms {
		if !slices.Contains(allowedAlgorithms, algorithm) {
			return fmt.Errorf("invalid signing algorithm: want one of %q: %q", allowedAlgorithms, algorithm)
		}
	}
	if c.DiscoveryURL != "" {
		if err := checkURL(c.DiscoveryURL); err != nil {
			return fmt.Errorf("invalid discovery URL: %w", err)
		}
	}
	if err := c.validateMappings(); err != nil {
		return err
	}
	for _, required := range c.RequiredClaims {
		if required.Claim == "" || required.Value == "" {
			return fmt.Errorf("invalid required claim: want a claim and its value: %q", required.Claim)
		}
	}
	if err := c.validateClaims(); err != nil {
		return err
	}
	if c.ClockSkew < 0 || c.ClockSkew > maxClockSkew {
		return fmt.Errorf("invalid clock skew: want 0 to %s: %s", maxClockSkew, c.ClockSkew)
	}
	if len(c.CertificateAuthorityPEM) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CertificateAuthorityPEM) {
		return errors.New("invalid certificate authority: want at least one PEM certificate")
	}
	return nil
}

// validateIssuer is about who makes the tokens.
func (c *Config) validateIssuer() error {
	if !c.VouchedOnly {
		if err := checkURL(c.IssuerURL); err != nil {
			return fmt.Errorf("invalid issuer URL: %w", err)
		}
		return nil
	}
	if c.IssuerURL == "" || len(c.IssuerURL) > 2048 || checkPrintable(c.IssuerURL) != nil {
		return errors.New("invalid issuer: want a name of at most 2048 bytes that prints")
	}
	if c.DiscoveryURL != "" || len(c.CertificateAuthorityPEM) > 0 || len(c.Algorithms) > 0 || c.ServiceAccounts != nil || c.Review != nil {
		return errors.New("invalid issuer: what its tokens are verified by is of no use where it makes none")
	}
	return nil
}

// validateMappings is about what makes the caller, but for the expressions.
func (c *Config) validateMappings() error {
	if c.ServiceAccounts != nil {
		if i := slices.IndexFunc(c.Audiences, c.takenByServer); i >= 0 {
			return fmt.Errorf("invalid audience: it is that of an API server, so every pod's own token would do: ask for tokens of another, such as doorward: %q", c.Audiences[i])
		}
		if c.UsernameClaim != "" || c.UsernameExpression != "" || c.KubernetesUsernamePrefix != nil {
			return errors.New("invalid username mapping: that of ServiceAccounts is Kubernetes' own")
		}
		return nil
	}
	if c.Review != nil {
		return errors.New("invalid verification: a TokenReview is for ServiceAccounts")
	}
	if c.VouchedOnly && c.UsernameClaim == emailClaim {
		return errors.New("invalid username mapping: no claim says that an address of SAML is verified: use another claim than email, or an expression that also uses claims.email_verified")
	}
	if (c.UsernameClaim == "") == (c.UsernameExpression == "") {
		return errors.New("invalid username mapping: want a claim or an expression")
	}
	for name, both := range map[string]bool{
		"groups": c.GroupsClaim != "" && c.GroupsExpression != "",
		"uid":    c.UIDClaim != "" && c.UIDExpression != "",
		"kind":   c.KindClaim != "" && c.KindExpression != "",
	} {
		if both {
			return fmt.Errorf("invalid %s mapping: want a claim or an expression, and not both", name)
		}
	}
	return nil
}

// takenByServer says that an API server may take an audience for its own: by default it
// takes its issuer, and the clouds set one of the names by which pods reach it. The token
// that each pod has anyway is for that one.
func (c *Config) takenByServer(audience string) bool {
	return audience == c.IssuerURL || serverAudience.MatchString(audience)
}

var serverAudience = regexp.MustCompile(`^https://kubernetes[.]default([.].*)?/?$`)

// algorithms are the accepted ones with the default filled in.
func (c *Config) algorithms() []string {
	if len(c.Algorithms) == 0 {
		return defaultAlgorithms
	}
	return c.Algorithms
}

// fingerprint tells equal configurations.
func (c *Config) fingerprint() (string, error) {
	// Who asks the cluster has nothing to do with who has the issuer's keys.
	encoded, err := json.Marshal(struct {
		*Config
		Reviewed bool
	}{c, c.Review != nil})
	if err != nil {
		return "", fmt.Errorf("invalid identity provider: %q: %w", c.Name, err)
	}
	return string(encoded), nil
}

// clone is a copy that shares nothing with the caller.
func (c Config) clone() Config {
	c.Audiences = slices.Clone(c.Audiences)
	c.CertificateAuthorityPEM = slices.Clone(c.CertificateAuthorityPEM)
	c.Algorithms = slices.Clone(c.Algorithms)
	c.RequiredClaims = slices.Clone(c.RequiredClaims)
	c.Extra, c.ClaimRules, c.UserRules = slices.Clone(c.Extra), slices.Clone(c.ClaimRules), slices.Clone(c.UserRules)
	c.Claims = slices.Compact(slices.Sorted(slices.Values(c.Claims)))
	if c.KubernetesUsernamePrefix != nil {
		prefix := *c.KubernetesUsernamePrefix
		c.KubernetesUsernamePrefix = &prefix
	}
	if c.ServiceAccounts != nil {
		accounts := *c.ServiceAccounts
		c.ServiceAccounts = &accounts
	}
	return c
}

// checkURL admits https URLs without user, query and fragment (OpenID Connect
// Discovery 1.0 section 3). The error does not repeat a user's password.
func checkURL(text string) error {
	if !utf8.ValidString(text) || len(text) > 2048 {
		return errors.New("want at most 2048 bytes of UTF-8")
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return errors.New("not a URL")
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return errors.New("a user, query or fragment does not belong there")
	}
	if parsed.Scheme != "https" || parsed.Host == "" {
		return fmt.Errorf("want https:// and a host: %q", text)
	}
	return nil
}
