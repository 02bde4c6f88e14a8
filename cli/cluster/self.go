// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// Self is whoever runs the command, as the API server authenticated them.
func Self(ctx context.Context, c client.Client) (authenticationv1.UserInfo, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("cannot ask the cluster who you are: %w", err)
	}
	return review.Status.UserInfo, nil
}

// Permitted says whether whoever runs the command holds a verb on one of Doorward's
// resources; of all of its objects where name is empty.
func Permitted(ctx context.Context, c client.Client, verb, resource, namespace, name string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupName, Resource: resource, Verb: verb, Namespace: namespace, Name: name,
		},
	}}
	if err := c.Create(ctx, review); err != nil {
		return false, fmt.Errorf("cannot ask the cluster what you may do: %w", err)
	}
	return review.Status.Allowed, nil
}
