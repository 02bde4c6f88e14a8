// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/snapshot"
)

// proves says why a caller who was proven under one snapshot is not proven under another,
// or nil.
func proves(was, is *snapshot.Snapshot, who *identity.Principal) error {
	provider := who.Provider
	if !reflect.DeepEqual(proof(was, provider), proof(is, provider)) {
		return fmt.Errorf("%w: IdentityProvider %q is gone or proves its callers in another way", ErrRevoked, provider)
	}
	if claim := newClaim(was, is, provider); claim != "" {
		return fmt.Errorf("%w: policies now look at claim %q of the token, which the session has not kept", ErrRevoked, claim)
	}
	return stillIssued(is, who)
}

// stillIssued says why the gateway credential that proved a caller is good no more, or
// nil; also where it was none.
func stillIssued(is *snapshot.Snapshot, who *identity.Principal) error {
	id := who.Credential.ID
	if id == "" {
		return nil
	}
	if is.Login.Closed != "" {
		return fmt.Errorf("%w: %s", ErrRevoked, is.Login.Closed)
	}
	if reason, revoked := is.Login.Revocation(id); revoked {
		return fmt.Errorf("%w: gateway credential %s was revoked: %s", ErrRevoked, id, reason)
	}
	if reason, revoked := is.Login.OwnerRevocation(who.Issuer, who.Subject); revoked {
		return fmt.Errorf("%w: gateway credential %s is good no more: %s", ErrRevoked, id, reason)
	}
	if !is.Login.Knows(who.Credential.KeyID) {
		return fmt.Errorf("%w: the key that signed gateway credential %s is the manager's no more", ErrRevoked, id)
	}
	if !slices.ContainsFunc(is.IdentityProviders, func(p snapshot.IdentityProvider) bool { return p.Name == who.Provider && p.Login }) {
		return fmt.Errorf("%w: IdentityProvider %q has no spec.login any more", ErrRevoked, who.Provider)
	}
	return nil
}

// newClaim is a claim of a provider's tokens that policies look at now and did not
// then, so that nobody kept it; empty where there is none. One that only policies in
// mode Audit look at ends no session: they decide nothing.
func newClaim(was, is *snapshot.Snapshot, provider string) string {
	claims := func(s *snapshot.Snapshot) []string {
		for _, p := range s.IdentityProviders {
			if p.Name == provider {
				return p.Claims
			}
		}
		return nil
	}
	before := claims(was)
	for _, name := range claims(is) {
		if !slices.Contains(before, name) && !onlyAudited(is.Policies, name) {
			return name
		}
	}
	return ""
}

// onlyAudited says that policies in mode Audit may look at a claim and that no other
// does. A module may look at any.
func onlyAudited(set policy.Set, claim string) bool {
	audited := false
	for i := range set.Policies {
		p := &set.Policies[i]
		looks := p.Rego != "" || names(p.Subjects, claim)
		for j := range p.Masks {
			looks = looks || names(p.Masks[j].Exempt, claim)
		}
		if looks && !p.Audit {
			return false
		}
		audited = audited || looks
	}
	return audited
}

func names(subjects []policy.Subject, claim string) bool {
	return slices.ContainsFunc(subjects, func(s policy.Subject) bool {
		return s.Kind == policy.Claim && s.Name == claim || names(s.All, claim)
	})
}
