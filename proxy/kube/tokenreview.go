// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ReviewToken asks the API server whose a token is (authentication.k8s.io/v1
// TokenReview), and that it is for one of the audiences. An error means that there is
// no answer, and never holds the token.
func (c *core) ReviewToken(ctx context.Context, token string, audiences []string) (*authenticationv1.TokenReviewStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer := &authenticationv1.TokenReview{}
	err := c.client.Post().AbsPath("/apis/authentication.k8s.io/v1/tokenreviews").
		Body(&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}).
		Do(ctx).Into(answer)
	if apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("the proxy may not create TokenReviews: bind ClusterRole doorward-token-reviewer to its ServiceAccount, "+
			"as docs/identity/kubernetes.md says: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot create a TokenReview: %w", err)
	}
	return &answer.Status, nil
}
