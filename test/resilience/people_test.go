// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// create creates an object for one test.
func create(t *testing.T, object client.Object) {
	t.Helper()
	stacktest.Create(t, world, object)
}

// bind gives a user a role in the shop's namespace.
func bind(t *testing.T, user, kind, role string) {
	t.Helper()
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: user + "-" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

// bindApprover gives a user the verb approve, beside what the policies say.
func bindApprover(t *testing.T, user string) {
	t.Helper()
	bind(t, user, "Role", "shop-db-approver")
	bind(t, user, "Role", "doorward-reader")
}

// unmapped is a caller whose provider maps nobody to a Kubernetes user.
func unmapped(t *testing.T) caller {
	t.Helper()
	const audience = "doorward-unmapped"
	create(t, &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "unmapped"},
		Spec: v1alpha1.IdentityProviderSpec{Type: v1alpha1.IdentityProviderOIDC, OIDC: &v1alpha1.OIDCProvider{
			Issuer:               v1alpha1.OIDCIssuer{URL: world.Issuer.URL, Audiences: []string{audience}, CertificateAuthority: string(world.Issuer.CAPEM)},
			ClaimMappings:        v1alpha1.ClaimMappings{Username: v1alpha1.PrefixedClaimMapping{Claim: "preferred_username", Prefix: new("unmapped:")}},
			ClaimValidationRules: []v1alpha1.ClaimValidationRule{},
			UserValidationRules:  []v1alpha1.UserValidationRule{},
		}},
	})
	who := caller{User: "uma", Audience: audience}
	givePolicy(t, stack.Policy("unmapped", []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: "unmapped:uma", IdentityProvider: "unmapped"}},
		talk, approval("change", 300), readOrders))
	await(t, "a session by the new provider", func(ctx context.Context) error {
		return stacktest.Visit(ctx, world, world.Proxy(), who, "SELECT 1")
	})
	return who
}
