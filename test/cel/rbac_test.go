// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/test/testenv"
)

// install applies the default installation and binds the manager in one namespace, and each
// role for people to a group of its name there.
func install(t *testing.T) {
	t.Helper()
	if err := env.Apply(t.Context(), filepath.Join(testenv.Root(), "config", "default")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bound", "unbound"} {
		if err := client.IgnoreAlreadyExists(admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})); err != nil {
			t.Fatal(err)
		}
	}
	bind := func(role string, subject rbacv1.Subject) {
		t.Helper()
		err := admin.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "bound", Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{subject},
		})
		if client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	bind("doorward-namespace", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "doorward-system", Name: "doorward-manager"})
	for _, role := range []string{"doorward-requester", "doorward-approver", "doorward-auditor", "doorward-editor"} {
		bind(role, rbacv1.Subject{Kind: "Group", APIGroup: rbacv1.GroupName, Name: role})
	}
}

// may asks the API server whether a user may do "<verb> <resource>[/<subresource>][.<group>]"
// in a namespace, or in the whole cluster where it is empty.
func may(t *testing.T, user, group, namespace, what string) bool {
	t.Helper()
	verb, resource, _ := strings.Cut(what, " ")
	resource, apiGroup, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: apiGroup, Resource: resource, Subresource: subresource, Name: "any",
		},
	}}
	if group != "" {
		review.Spec.Groups = []string{group}
	}
	if err := admin.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// The manager is trusted with the Secrets of the namespaces that it is bound to, and no others.
func TestManagerRights(t *testing.T) {
	install(t)
	cases := map[string]struct {
		namespace string
		allowed   []string
		refused   []string
	}{
		"Cluster": {
			allowed: []string{
				"watch connections.doorward.dev", "list accesspolicies.doorward.dev", "patch identityproviders/status.doorward.dev", "list clusteraccesspolicies.doorward.dev", "patch clusteraccesspolicies/status.doorward.dev", "watch namespaces",
				"watch validatingadmissionpolicies.admissionregistration.k8s.io", "create subjectaccessreviews.authorization.k8s.io",
			},
			refused: []string{
				"get secrets", "list secrets", "watch secrets", "create secrets", "patch secrets", "delete secrets",
				"create roles.rbac.authorization.k8s.io", "create rolebindings.rbac.authorization.k8s.io", "create clusterrolebindings.rbac.authorization.k8s.io",
				"update validatingadmissionpolicies.admissionregistration.k8s.io", "delete validatingadmissionpolicybindings.admissionregistration.k8s.io",
				"serve connections.doorward.dev", "approve connections.doorward.dev", "update connections.doorward.dev",
				"update accesspolicies.doorward.dev", "update customresourcedefinitions.apiextensions.k8s.io",
				"impersonate users", "create pods", "create serviceaccounts/token", "get nodes", "create auditlogs.doorward.dev", "delete auditlogs.doorward.dev",
			},
		},
		"OwnNamespace": {
			namespace: "doorward-system",
			allowed:   []string{"create secrets", "get secrets", "watch secrets", "create leases.coordination.k8s.io"}, // LogSinks name Secrets there
			refused:   []string{"patch secrets", "delete secrets", "create roles.rbac.authorization.k8s.io", "create pods", "create serviceaccounts/token"},
		},
		"BoundNamespace": {
			namespace: "bound",
			allowed: []string{
				"get secrets", "create secrets", "create deployments.apps", "create roles.rbac.authorization.k8s.io", "create rolebindings.rbac.authorization.k8s.io",
				"patch approvalrequests/status.doorward.dev", "delete auditsessions.doorward.dev", "create auditlogs.doorward.dev", "patch auditlogs/status.doorward.dev", "serve connections.doorward.dev",
			},
			refused: []string{
				"approve connections.doorward.dev", "update connections.doorward.dev", "update accesspolicies.doorward.dev", "create accesspolicies.doorward.dev",
				"create pods", "create pods/exec", "escalate roles.rbac.authorization.k8s.io", "bind roles.rbac.authorization.k8s.io", "impersonate serviceaccounts",
			},
		},
		"OtherNamespace": {
			namespace: "unbound",
			refused:   []string{"get secrets", "list secrets", "watch secrets", "create secrets", "create roles.rbac.authorization.k8s.io", "serve connections.doorward.dev", "patch approvalrequests/status.doorward.dev"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, what := range tc.allowed {
				if !may(t, managerUser, "", tc.namespace, what) {
					t.Errorf("the manager may not %s", what)
				}
			}
			for _, what := range tc.refused {
				if may(t, managerUser, "", tc.namespace, what) {
					t.Errorf("the manager may %s", what)
				}
			}
		})
	}
}

// The manager can grant a proxy what it needs, by name, and nothing that it does not hold.
func TestManagerGrants(t *testing.T) {
	install(t)
	manager := as(managerUser)
	role := func(name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "bound", Name: name}, Rules: rules}
	}
	named := func(group, resource, name string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: []string{name}, Verbs: verbs}
	}
	external := &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: "bound", Name: "orders-db"},
		Spec: v1alpha1.ConnectionSpec{
			Credential: v1alpha1.TargetCredential{Secret: &v1alpha1.SecretReference{Name: "orders-db-credential"}},
			Proxy:      v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal},
		},
	}
	proxy := role("doorward-orders-db", connection.Rules(external)...)
	expect(t, "a proxy's rights", manager.Create(t.Context(), proxy, client.DryRunAll), "")
	expect(t, "no approvers", manager.Create(t.Context(), role("a", named("doorward.dev", "connections", "orders-db", "approve")), client.DryRunAll), "attempting to grant")
	expect(t, "no policy writers", manager.Create(t.Context(), role("b", named("doorward.dev", "accesspolicies", "analysts", "update")), client.DryRunAll), "attempting to grant")
	expect(t, "no pods", manager.Create(t.Context(), role("c", named("", "pods/exec", "x", "create")), client.DryRunAll), "attempting to grant")
}

// checklist 31, 39, 46: the roles for people keep deciding, serving and configuring apart, and
// neither requesters nor approvers read who worked where.
func TestUserRoles(t *testing.T) {
	install(t)
	writes := []string{"update connections.doorward.dev", "update accesspolicies.doorward.dev"}
	always := []string{"create clusteraccesspolicies.doorward.dev", "update clusteraccesspolicies.doorward.dev", "delete clusteraccesspolicies.doorward.dev", "create auditlogs.doorward.dev", "patch auditlogs/status.doorward.dev", "delete auditlogs.doorward.dev", "serve connections.doorward.dev", "update approvalrequests/status.doorward.dev", "patch auditsessions/status.doorward.dev", "get secrets"}
	cases := map[string]struct {
		allowed []string
		refused []string
	}{
		"doorward-requester": {
			allowed: []string{"list connections.doorward.dev", "watch approvalrequests.doorward.dev", "get accesspolicies.doorward.dev", // hints name them
				"create approvalrequests.doorward.dev", "patch approvalrequests.doorward.dev"}, // of scope Session; admission lets them revoke
			refused: append([]string{"approve connections.doorward.dev", "patch auditsessions.doorward.dev", "list auditsessions.doorward.dev", "get auditsessions/recording.doorward.dev", "list auditlogs.doorward.dev"}, writes...),
		},
		"doorward-approver": {
			allowed: []string{"approve connections.doorward.dev", "patch approvalrequests.doorward.dev", "get approvalrequests.doorward.dev"},
			refused: append([]string{"create approvalrequests.doorward.dev", "update approvalrequests.doorward.dev", "patch auditsessions.doorward.dev", "list auditsessions.doorward.dev", "get auditsessions/recording.doorward.dev", "list auditlogs.doorward.dev"}, writes...),
		},
		"doorward-auditor": {
			allowed: []string{"list auditsessions.doorward.dev", "get auditsessions/recording.doorward.dev", "list auditlogs.doorward.dev", "list accesspolicies.doorward.dev"},
			refused: append([]string{"approve connections.doorward.dev", "create approvalrequests.doorward.dev", "patch approvalrequests.doorward.dev", "patch auditsessions.doorward.dev"}, writes...),
		},
		"doorward-editor": {
			allowed: append([]string{"patch auditsessions.doorward.dev", "patch approvalrequests.doorward.dev"}, writes...), // they end sessions, and revoke
			refused: []string{"approve connections.doorward.dev", "create approvalrequests.doorward.dev", "get auditsessions/recording.doorward.dev"},
		},
	}
	for role, tc := range cases {
		t.Run(role, func(t *testing.T) {
			for _, what := range tc.allowed {
				if !may(t, "company:someone", role, "bound", what) {
					t.Errorf("%s may not %s", role, what)
				}
			}
			for _, what := range slices.Concat(tc.refused, always) {
				if may(t, "company:someone", role, "bound", what) {
					t.Errorf("%s may %s", role, what)
				}
			}
		})
	}
}

// Who administers a namespace, or writes its policies in all of them, does not touch what
// binds all namespaces.
func TestClusterPolicyRole(t *testing.T) {
	install(t)
	bindings := map[string]string{"cluster-policy": "doorward-cluster-policy", "editors": "doorward-editor", "admins": "doorward-admin", "edit": "edit", "view": "view", "admin": "admin"}
	for group, role := range bindings {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "test-" + group},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: group}},
		}
		if err := admin.Create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { remove(t, b) })
	}
	for group, role := range bindings {
		for _, verb := range []string{"create", "update", "patch", "delete"} {
			if got, want := may(t, "company:someone", group, "", verb+" clusteraccesspolicies.doorward.dev"), group == "cluster-policy"; got != want {
				t.Errorf("%s may %s ClusterAccessPolicies: %t, want %t", role, verb, got, want)
			}
		}
	}
	for _, what := range []string{"update accesspolicies.doorward.dev", "update connections.doorward.dev", "patch clusteraccesspolicies/status.doorward.dev"} {
		if may(t, "company:someone", "cluster-policy", "", what) {
			t.Errorf("doorward-cluster-policy may %s", what)
		}
	}
}
