// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// TokenReviewer asks an API server about a token (authentication.k8s.io/v1
// TokenReview). An error means that there is no answer.
type TokenReviewer interface {
	ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error)
}

// review has the API server say that it made the token, and that what the token is bound
// to is still there. The token must be what the provider is about, and be its subject's:
// an API server takes tokens of other issuers too.
func (v *Verifier) review(ctx context.Context, token string) error {
	all, err := claimsOf(token)
	if err != nil {
		return rejected(err)
	}
	// Unproven yet; the API server is asked about none that would be refused anyway.
	if issuer, err := all.text("iss"); err != nil || issuer != v.config.IssuerURL {
		return rejected(fmt.Errorf("token is of another issuer: want %q", v.config.IssuerURL))
	}
	if err := all.audience(v.config.Audiences); err != nil {
		return rejected(err)
	}
	subject, err := all.text("sub")
	if err != nil {
		return rejected(err)
	}
	status, err := v.config.Review.ReviewToken(ctx, token, v.config.Audiences)
	switch {
	case err != nil:
		return fmt.Errorf("cannot check token: the API server does not review it: %w", err)
	// What its authenticators say is not for callers: it may name the inside of the network.
	case !status.Authenticated:
		return rejected(errors.New("the API server refuses the token"))
	case status.Error != "":
		return errors.New("cannot check token: the API server does not review it")
	case !slices.ContainsFunc(status.Audiences, func(a string) bool { return slices.Contains(v.config.Audiences, a) }):
		return rejected(fmt.Errorf("the API server does not confirm the token's audience: want one of %q", v.config.Audiences))
	case status.User.Username != subject:
		return rejected(errors.New("the API server names another user than the token"))
	}
	return nil
}
