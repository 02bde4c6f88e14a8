// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac lists what each ServiceAccount may do, as the API server answers
// it, and compares with golden files: every right that is added shows in review.
package rbac

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/test/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, &env)) }

// TestRights lists the rights of the manager in its own namespace, in one of
// Connections and in a foreign one, and of the proxies of each placement.
func TestRights(t *testing.T) {
	scheme, err := setup.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(env.RESTConfig, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"doorward-system", "shop-access", "foreign"} {
		must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	must(t, env.Apply(t.Context(), filepath.Join(testenv.Root(), "config", "rbac")))
	must(t, admin.Create(t.Context(), binding("doorward-manager", "ClusterRole", "doorward-namespace", "doorward-system", "doorward-manager")))
	for name, placement := range map[string]v1alpha1.Placement{"managed": v1alpha1.PlacementManaged, "external": v1alpha1.PlacementExternal} {
		proxy(t, admin, name, placement)
	}
	tests := map[string]struct{ account, namespace, of string }{
		"manager-own":         {"doorward-manager", "doorward-system", "doorward-system"},
		"manager-connections": {"doorward-manager", "doorward-system", "shop-access"},
		"manager-foreign":     {"doorward-manager", "doorward-system", "foreign"},
		"proxy-managed":       {"doorward-managed", "shop-access", "shop-access"},
		"proxy-external":      {"doorward-external", "shop-access", "shop-access"},
		"proxy-foreign":       {"doorward-external", "shop-access", "foreign"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := rights(t, client.Options{Scheme: scheme}, tc.namespace, tc.account, tc.of)
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				must(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			must(t, err)
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got, go test -update writes it anew:\n%s", diff)
			}
		})
	}
}

// proxy makes the ServiceAccount and Role that the manager makes.
func proxy(t *testing.T, admin client.Client, name string, placement v1alpha1.Placement) {
	t.Helper()
	c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: "shop-access", Name: name}}
	c.Spec.Proxy.Placement = placement
	c.Spec.Credential.Secret = &v1alpha1.SecretReference{Name: name + "-credential"}
	meta := metav1.ObjectMeta{Namespace: c.Namespace, Name: connection.ObjectName(name)}
	must(t, admin.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: meta}))
	must(t, admin.Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: connection.Rules(c)}))
	must(t, admin.Create(t.Context(), binding(meta.Name, "Role", meta.Name, c.Namespace, meta.Name)))
}

func binding(name, kind, role, namespace, account string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop-access", Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
}

// rights asks the API server, as the account, for its rights in a namespace: one
// line for each verb, resource and name. What every account may do is left out.
func rights(t *testing.T, options client.Options, namespace, account, of string) string {
	t.Helper()
	config, err := env.ServiceAccountConfig(t.Context(), namespace, account)
	must(t, err)
	c, err := client.New(config, options)
	must(t, err)
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: of}}
	must(t, c.Create(context.Background(), review))
	var lines []string
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			if group == "authorization.k8s.io" || group == "authentication.k8s.io" {
				continue
			}
			for _, resource := range rule.Resources {
				names := rule.ResourceNames
				if len(names) == 0 {
					names = []string{"(any)"}
				}
				for _, name := range names {
					verbs := slices.Sorted(slices.Values(rule.Verbs))
					lines = append(lines, strings.TrimPrefix(group+"/"+resource, "/")+" "+name+": "+strings.Join(verbs, " "))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
