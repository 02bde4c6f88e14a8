// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/snapshot"
)

// The Principal's methods of callers who showed a gateway credential.
const (
	MethodGatewayToken      = "gateway-token"
	MethodClientCertificate = "client-certificate"
	MethodSSHCertificate    = "ssh-certificate"
)

// credentials proves callers by gateway credentials, and has all others proven by the
// issuer of their token.
type credentials struct {
	issuers identity.Verifier
	gateway *gateway.Verifier
	// vouching are the verifiers of the providers with login, by name.
	vouching map[string]*oidc.Verifier
	login    *snapshot.Login
}

func withCredentials(pool *oidc.Pool, reviewer oidc.TokenReviewer, s *snapshot.Snapshot, issuers identity.Verifier) (identity.Verifier, error) {
	proves, err := gateway.NewVerifier(s.Login.Keys, s.Login.Closed, s.Login.Revocation)
	if err != nil {
		return nil, err
	}
	c := &credentials{issuers: issuers, gateway: proves, vouching: map[string]*oidc.Verifier{}, login: &s.Login}
	for i := range s.IdentityProviders {
		p := &s.IdentityProviders[i]
		if !p.Login {
			continue
		}
		if c.vouching[p.Name], err = Vouching(pool, p, reviewer); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Vouching makes the Verifier of a provider by which claims are judged that the manager
// vouches for, here and where they are vouched for.
func Vouching(pool *oidc.Pool, p *snapshot.IdentityProvider, reviewer oidc.TokenReviewer) (*oidc.Verifier, error) {
	config, err := configOf(p, reviewer)
	if err != nil {
		return nil, err
	}
	return pool.Verifier(config)
}

// Verify goes by what a token says of its issuer: each class of tokens is refused by the
// verifier of the other, by the header parameter typ (RFC 8725 section 3.11).
func (c *credentials) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	statement, method, err := gateway.Statement{}, MethodGatewayToken, error(nil)
	if certificate := credential.Certificate(); certificate != nil {
		method = MethodClientCertificate
		statement, err = c.gateway.Certificate(certificate)
	} else if key := credential.SSHPublicKey(); key != nil {
		method = MethodSSHCertificate
		statement, err = c.gateway.SSHCertificate(key)
	} else if issuer, unread := identity.UnprovenIssuer(credential.Token()); unread != nil || issuer != gateway.Issuer {
		if credential.Secret() != "" {
			return identity.Principal{}, fmt.Errorf("%w: what the login portal gave is no token of the gateway: ask an admin whether it is the manager's portal", identity.ErrRejected)
		}
		return c.issuers.Verify(ctx, credential)
	} else if secret := credential.Secret(); secret != "" {
		statement, err = c.gateway.BoundToken(credential.Token(), secret)
	} else {
		statement, err = c.gateway.Token(credential.Token())
	}
	if err != nil {
		return identity.Principal{}, err
	}
	vouching, present := c.vouching[statement.Provider]
	if !present {
		return identity.Principal{}, fmt.Errorf("%w: gateway credential %s was issued to whom IdentityProvider %q proved, which is gone, or has no spec.login any more",
			identity.ErrRejected, statement.ID, identity.Shorten(statement.Provider))
	}
	principal, err := vouching.Vouched(ctx, statement.Claims)
	if err != nil {
		return identity.Principal{}, err
	}
	if reason, revoked := c.login.OwnerRevocation(principal.Issuer, principal.Subject); revoked {
		return identity.Principal{}, fmt.Errorf("%w: gateway credential %s is not taken: %s", identity.ErrRejected, statement.ID, reason)
	}
	principal.Credential = identity.Issued{ID: statement.ID, KeyID: statement.KeyID, ProvenBy: principal.Method}
	principal.Method, principal.ProofID = method, statement.Proof
	// What the provider bounds its callers to holds for the credential, too.
	if statement.ExpiresAt.Before(principal.ExpiresAt) {
		principal.ExpiresAt = statement.ExpiresAt
	}
	return principal, nil
}
