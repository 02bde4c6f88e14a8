// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/gateway"
)

// claims are those of a token by their exact names.
type claims map[string]json.RawMessage

// proof is a caller whom a provider has proven. It is sealed as it is.
type proof struct {
	// Provider is the name of the IdentityProvider.
	Provider string `json:"p"`
	// ID tells the proof from all others (identity.ProofID). What is made of a gateway
	// token has that of the proof which the token was made of.
	ID string `json:"i"`
	// Owner is whom it proved.
	Owner v1alpha1.CredentialOwner `json:"o"`
	// Claims are those that proved the owner, but for iat, nbf and exp.
	Claims claims `json:"c"`
	// Actor is who acts for the owner, Depth how long the chain of actors is.
	Actor v1alpha1.CredentialActor `json:"a,omitzero"`
	Depth int                      `json:"d,omitempty"`
	// NotAfter is the latest that a credential may end.
	NotAfter time.Time `json:"n"`
	// DerivedFrom is the credential that was shown as proof.
	DerivedFrom string `json:"f,omitempty"`
	// RememberUntil is until when what is good once has to be known as used; zero where
	// the credential's own end is enough.
	RememberUntil time.Time `json:"r,omitzero"`
}

// vouch asks the provider, as a proxy will, whom a statement is about: what no proxy would
// take is not issued. what is what its claims came in.
func (p *Portal) vouch(ctx context.Context, what string, statement gateway.Statement) (*identity.Principal, error) {
	now, err := p.providers.now(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	vouching := now.vouching[statement.Provider]
	if vouching == nil {
		return nil, refuse(codeInvalidGrant, "IdentityProvider %q is not in force, or has no spec.login any more", statement.Provider)
	}
	if err := statement.Date(); err != nil {
		return nil, &fault{code: codeInvalidRequest, text: err.Error()}
	}
	principal, err := vouching.Vouched(ctx, statement.Claims)
	if err != nil {
		return nil, ofVerifier(what, err)
	}
	return &principal, nil
}

// vouchFor is vouch where it is known whom the statement is about. It must be that owner,
// whose quota counts, and nobody for whom somebody acts may pass for a person.
func (p *Portal) vouchFor(ctx context.Context, of *proof, statement gateway.Statement) error {
	principal, err := p.vouch(ctx, "the proof", statement)
	if err != nil {
		return err
	}
	if principal.Issuer != of.Owner.Issuer || principal.Subject != of.Owner.Subject || len(principal.Delegation) != of.Depth {
		return refuse(codeInvalidGrant, "the proof: IdentityProvider %q now makes somebody else of it: log in again", of.Provider)
	}
	if principal.Kind == identity.Human && of.Depth > 0 {
		return refuse(codeInvalidGrant, "the proof: IdentityProvider %q calls somebody Human for whom another acts", of.Provider)
	}
	return nil
}

// prove proves who a token is about, by the verifiers that proxies have. what is the
// parameter that the token came in.
func (p *Portal) prove(ctx context.Context, what, token string) (*proof, error) {
	if len(token) > identity.MaxTokenBytes {
		return nil, refuse(codeInvalidGrant, "%s: token is too large: %d bytes, at most %d are allowed", what, len(token), identity.MaxTokenBytes)
	}
	now, err := p.providers.now(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	unproven, err := claimsOf(token)
	if err != nil {
		return nil, refuse(codeInvalidGrant, "%s: %v", what, err)
	}
	if issuer, _ := unproven.text("iss"); issuer == gateway.Issuer {
		return p.proveOwn(ctx, now, what, token)
	}
	principal, err := now.verifier.Verify(ctx, identity.BearerToken(token))
	if err != nil {
		return nil, ofVerifier(what, err)
	}
	// The very bytes that were verified.
	proven := unproven
	object := now.byName[principal.Provider]
	if object == nil {
		return nil, refuse(codeInvalidGrant, "%s: IdentityProvider %q has no spec.login", what, principal.Provider)
	}
	// A credential is good for its lifetime from when the issuer last stood for the
	// caller: a token that is shown again gives none that ends later.
	issued, err := proven.instant("iat")
	if err != nil {
		return nil, refuse(codeInvalidGrant, "%s: the token has no usable claim iat, from which the lifetime of a credential counts", what)
	}
	return &proof{
		Provider: principal.Provider, ID: principal.ProofID, Owner: ownerOf(&principal), Claims: proven.withoutTimes(),
		Depth: len(principal.Delegation), Actor: outermost(&principal), NotAfter: issued.Add(lifetime(object)),
	}, nil
}

func lifetime(object *v1alpha1.IdentityProvider) time.Duration {
	return min(time.Duration(object.Spec.Login.LifetimeSeconds)*time.Second, gateway.MaxLifetime)
}

func ownerOf(p *identity.Principal) v1alpha1.CredentialOwner {
	return v1alpha1.CredentialOwner{Issuer: p.Issuer, Subject: p.Subject, Username: p.UserName, KubernetesUsername: p.KubernetesUser}
}

// outermost is who acts now, where the token itself says that somebody does.
func outermost(p *identity.Principal) v1alpha1.CredentialActor {
	if len(p.Delegation) == 0 {
		return v1alpha1.CredentialActor{}
	}
	actor := v1alpha1.CredentialActor{Issuer: p.Delegation[0].Issuer, Subject: p.Delegation[0].Subject}
	if actor.Issuer == "" {
		actor.Issuer = p.Issuer // the token's own (RFC 8693, section 4.1)
	}
	return actor
}

// claimsOf reads the claims of a compact JWS without checking anything of it.
func claimsOf(token string) (claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a signed token (RFC 7519)")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("not a signed token (RFC 7519)")
	}
	var all claims
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return nil, errors.New("not a signed token (RFC 7519)")
	}
	return all, nil
}

func (c claims) text(name string) (string, error) {
	var value string
	if err := json.Unmarshal(c[name], &value); err != nil || value == "" {
		return "", errors.New("no text")
	}
	return value, nil
}

// instant is a claim that must be a NumericDate (RFC 7519, section 2).
func (c claims) instant(name string) (time.Time, error) {
	var seconds float64
	if err := json.Unmarshal(c[name], &seconds); err != nil || seconds <= 0 || seconds > 253402300799 {
		return time.Time{}, errors.New("no date")
	}
	return time.Unix(int64(seconds), 0), nil
}

// withoutTimes leaves out what is the credential's own.
func (c claims) withoutTimes() claims {
	out := claims{}
	for name, value := range c {
		switch name {
		case "iat", "nbf", "exp":
		default:
			out[name] = value
		}
	}
	return out
}

// names says whether a claim is a text, or a list of texts with it.
func (c claims) names(name, text string) bool {
	if one, err := c.text(name); err == nil {
		return one == text
	}
	var all []string
	return json.Unmarshal(c[name], &all) == nil && slices.Contains(all, text)
}
