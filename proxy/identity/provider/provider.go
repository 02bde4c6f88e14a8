// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provider makes of a snapshot's identity providers what proves callers. The
// manager checks with it what it accepts, and a proxy runs it, so that no provider is
// accepted by the one and refused by the other.
package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The types of providers.
const (
	OIDC       = "OIDC"
	Kubernetes = "Kubernetes"
	SAML       = "SAML"
)

// Verifiers makes the Verifier of a snapshot's providers. The pool lets a new snapshot
// keep the keys that are known of an issuer. The reviewer is asked about tokens of
// providers that want a TokenReview; nil where there is no API server.
func Verifiers(pool *oidc.Pool, reviewer oidc.TokenReviewer) func(context.Context, []snapshot.IdentityProvider) (identity.Verifier, error) {
	return func(_ context.Context, providers []snapshot.IdentityProvider) (identity.Verifier, error) {
		configs := make([]oidc.Config, 0, len(providers))
		for i := range providers {
			config, err := configOf(&providers[i], reviewer)
			if err != nil {
				return nil, err
			}
			configs = append(configs, config)
		}
		return pool.Chain(configs)
	}
}

// Snapshot makes the Verifier of a snapshot: of tokens of its providers, and of the gateway
// credentials that the manager has issued to whom they prove. The arguments are those of
// Verifiers.
func Snapshot(pool *oidc.Pool, reviewer oidc.TokenReviewer) func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) {
	verifiers := Verifiers(pool, reviewer)
	return func(ctx context.Context, s *snapshot.Snapshot) (identity.Verifier, error) {
		issuers, err := verifiers(ctx, s.IdentityProviders)
		if err != nil {
			return nil, err
		}
		return withCredentials(pool, reviewer, s, issuers)
	}
}

// Check says what a proxy would find wrong with a provider. Faults of expressions are
// joined errors that begin with their fields.
func Check(p *snapshot.IdentityProvider) error {
	config, err := configOf(p, unasked{})
	if err != nil {
		return err
	}
	return oidc.Check(config)
}

// unasked stands for an API server where nobody is asked.
type unasked struct{ oidc.TokenReviewer }

func configOf(p *snapshot.IdentityProvider, reviewer oidc.TokenReviewer) (oidc.Config, error) {
	switch {
	case p.IssuerURL() == gateway.Issuer:
		return oidc.Config{}, fmt.Errorf("the issuer of IdentityProvider %q is the manager's own login: %q: name another", p.Name, gateway.Issuer)
	case p.Type == OIDC && p.OIDC != nil:
		return ofOIDC(p), nil
	case p.Type == Kubernetes && p.Kubernetes != nil:
		return ofKubernetes(p, reviewer)
	case p.Type == SAML && p.SAML != nil:
		return ofSAML(p), nil
	}
	return oidc.Config{}, fmt.Errorf("type of IdentityProvider %q unknown to this proxy: %q: upgrade the proxy to the manager's version", p.Name, p.Type)
}

// common is what all types have.
func common(p *snapshot.IdentityProvider, discovery, authority string, audiences []string) oidc.Config {
	config := oidc.Config{Name: p.Name, IssuerURL: p.IssuerURL(), DiscoveryURL: discovery, Audiences: audiences, Claims: p.Claims}
	if authority != "" {
		config.CertificateAuthorityPEM = []byte(authority)
	}
	return config
}

func ofOIDC(p *snapshot.IdentityProvider) oidc.Config {
	from := p.OIDC
	config := common(p, from.DiscoveryURL, from.CertificateAuthority, from.Audiences)
	config.Algorithms = from.Algorithms
	mapped(p, &from.Mapped, &config)
	return config
}

// ofSAML takes nothing that a caller shows: the manager verifies assertions, and vouches
// for their claims.
func ofSAML(p *snapshot.IdentityProvider) oidc.Config {
	config := common(p, "", "", []string{p.SAML.Audience})
	config.VouchedOnly = true
	mapped(p, &p.SAML.Mapped, &config)
	return config
}

// mapped is what both have that make callers of claims.
func mapped(p *snapshot.IdentityProvider, from *snapshot.Mapped, config *oidc.Config) {
	config.ClockSkew = time.Duration(from.ClockSkewSeconds) * time.Second
	config.KubernetesUsernamePrefix, config.KubernetesUsernameExpression = p.KubernetesUsernamePrefix, p.KubernetesUsernameExpression
	config.UsernameClaim, config.UsernamePrefix, config.UsernameExpression = from.Username.Claim, from.Username.Prefix, from.Username.Expression
	if m := from.Groups; m != nil {
		config.GroupsClaim, config.GroupsPrefix, config.GroupsExpression = m.Claim, m.Prefix, m.Expression
	}
	if m := from.UID; m != nil {
		config.UIDClaim, config.UIDExpression = m.Claim, m.Expression
	}
	if m := from.Kind; m != nil {
		config.KindClaim, config.KindExpression = m.Claim, m.Expression
	}
	for _, extra := range from.Extra {
		config.Extra = append(config.Extra, oidc.Extra{Key: extra.Key, Expression: extra.Expression})
	}
	for _, required := range from.RequiredClaims {
		config.RequiredClaims = append(config.RequiredClaims, oidc.RequiredClaim{Claim: required.Claim, Value: required.Value})
	}
	config.ClaimRules, config.UserRules = rules(from.ClaimRules), rules(from.UserRules)
}

func rules(all []snapshot.Rule) []oidc.Rule {
	var out []oidc.Rule
	for _, rule := range all {
		out = append(out, oidc.Rule{Index: rule.Index, Expression: rule.Expression, Message: rule.Message})
	}
	return out
}

// kubernetesAlgorithms are those that an API server may sign with (kube-apiserver's
// --service-account-signing-key-file takes RSA and ECDSA keys).
var kubernetesAlgorithms = []string{"RS256", "ES256", "ES384", "ES512"}

func ofKubernetes(p *snapshot.IdentityProvider, reviewer oidc.TokenReviewer) (oidc.Config, error) {
	from := p.Kubernetes
	config := common(p, from.DiscoveryURL, from.CertificateAuthority, from.Audiences)
	config.Algorithms = kubernetesAlgorithms
	config.ServiceAccounts = &oidc.ServiceAccounts{Prefix: from.Prefix}
	switch from.Verification {
	case snapshot.VerifyIssuerKeys:
	case snapshot.VerifyTokenReview:
		if reviewer == nil {
			return oidc.Config{}, fmt.Errorf("IdentityProvider %q wants a TokenReview, and there is no API server to ask: set spec.kubernetes.verification to IssuerKeys", p.Name)
		}
		config.Review = reviewer
	default:
		return oidc.Config{}, fmt.Errorf("verification of IdentityProvider %q unknown to this proxy: %q: upgrade the proxy to the manager's version", p.Name, from.Verification)
	}
	return config, nil
}

// Kept are the names of the claims that a provider keeps of every token, whatever
// policies look at.
func Kept(p *snapshot.IdentityProvider) []string {
	switch {
	case p.Kubernetes != nil:
		return oidc.ServiceAccountClaims()
	case p.Mappings() != nil:
		names := make([]string, 0, len(p.Mappings().Extra))
		for _, extra := range p.Mappings().Extra {
			names = append(names, extra.Key)
		}
		return names
	}
	return nil
}
