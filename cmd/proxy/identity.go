// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/snapshot"
)

// newVerifier makes verifiers of a snapshot's providers. The pool lets a new
// snapshot keep the keys that are known of an issuer.
func newVerifier(pool *oidc.Pool) access.NewVerifier {
	return func(_ context.Context, providers []snapshot.IdentityProvider) (identity.Verifier, error) {
		configs := make([]oidc.Config, 0, len(providers))
		for _, provider := range providers {
			config, err := oidcConfig(provider)
			if err != nil {
				return nil, err
			}
			configs = append(configs, config)
		}
		return pool.Chain(configs)
	}
}

func oidcConfig(p snapshot.IdentityProvider) (oidc.Config, error) {
	if p.Type != "OIDC" || p.OIDC == nil {
		return oidc.Config{}, fmt.Errorf("type of IdentityProvider %q unknown to this proxy: %q: upgrade the proxy to the manager's version", p.Name, p.Type)
	}
	config := oidc.Config{
		Name: p.Name, IssuerURL: p.OIDC.IssuerURL, Audiences: p.OIDC.Audiences, Algorithms: p.OIDC.Algorithms,
		UsernameClaim: p.OIDC.Username.Claim, UsernamePrefix: p.OIDC.Username.Prefix, KindClaim: p.OIDC.KindClaim,
		ClockSkew:                time.Duration(p.OIDC.ClockSkewSeconds) * time.Second,
		KubernetesUsernamePrefix: p.KubernetesUsernamePrefix,
		Claims:                   p.Claims,
	}
	if p.OIDC.CertificateAuthority != "" {
		config.CertificateAuthorityPEM = []byte(p.OIDC.CertificateAuthority)
	}
	if groups := p.OIDC.Groups; groups != nil {
		config.GroupsClaim, config.GroupsPrefix = groups.Claim, groups.Prefix
	}
	for _, required := range p.OIDC.RequiredClaims {
		config.RequiredClaims = append(config.RequiredClaims, oidc.RequiredClaim{Claim: required.Claim, Value: required.Value})
	}
	return config, nil
}
