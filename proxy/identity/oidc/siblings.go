// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
)

// sibling is one of the providers that share an issuer.
type sibling struct {
	name      string
	audiences []string
	verifier  identity.Verifier
}

// siblings are the providers of one issuer, with no audience in common.
type siblings []sibling

// sharing is the name of a provider that has one of the audiences; empty where
// there is none.
func (s siblings) sharing(audiences []string) string {
	for _, one := range s {
		if slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(one.audiences, a) }) {
			return one.name
		}
	}
	return ""
}

// Verify finds the one provider that proves the caller. A token for audiences of
// two is nobody's: which policies apply must not be a matter of order.
func (s siblings) Verify(ctx context.Context, credential identity.Credential) (identity.Principal, error) {
	var proven *identity.Principal
	var rejections []error
	for _, one := range s {
		principal, err := one.verifier.Verify(ctx, credential)
		switch {
		case err == nil && proven != nil:
			return identity.Principal{}, fmt.Errorf("%w: identity providers %q and %q both take the token: ask the issuer for one audience",
				identity.ErrRejected, proven.Provider, principal.Provider)
		case err == nil:
			proven = &principal
		case !errors.Is(err, identity.ErrRejected):
			// Without all answers it cannot be said that only one takes it.
			return identity.Principal{}, err
		default:
			rejections = append(rejections, err)
		}
	}
	if proven == nil {
		return identity.Principal{}, errors.Join(rejections...)
	}
	return *proven, nil
}
