// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	clipolicy "github.com/doorward/doorward/cli/policy"
	"github.com/doorward/doorward/test/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) { os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, &env)) }

// kubeconfig is that of a user who may read what the rules say.
func kubeconfig(t *testing.T, file, name string, groups []string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	config, err := env.AddUser(name, groups...)
	if err != nil {
		t.Fatal(err)
	}
	clients := kubernetes.NewForConfigOrDie(rest.CopyConfig(env.RESTConfig)).RbacV1()
	if len(rules) > 0 {
		_, err = clients.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: file}, Rules: rules}, metav1.CreateOptions{})
		if err == nil {
			_, err = clients.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: file}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: file},
				Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
			}, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path, err := env.WriteKubeconfig(file, config)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func reads(resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"doorward.dev"}, Resources: resources, Verbs: []string{"get", "list"}}
}

var plain = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces", "configmaps"}, Verbs: []string{"get"}}

// TestCluster: what is in the cluster is explained as what is in files is, with the rights
// of whoever asks.
func TestCluster(t *testing.T) {
	// PolicyTests are for files; the authority of the target is not at stake here.
	text, err := os.ReadFile(shop + "/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := strings.Replace(string(text), "    certificateAuthority:\n      type: ConfigMap\n      configMap:\n        name: orders-db-ca\n        key: ca.crt\n", "", 1)
	objects, _, _ = strings.Cut(objects, "---\napiVersion: v1\nkind: Service")
	path := t.TempDir() + "/objects.yaml"
	if err := os.WriteFile(path, []byte(objects), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := env.Apply(context.Background(), path, shop+"/policies.yaml"); err != nil {
		t.Fatal(err)
	}
	everything := reads("connections", "accesspolicies", "clusteraccesspolicies", "identityproviders")
	reviewer := kubeconfig(t, "reviewer", "rita", nil, everything, plain)
	alice := kubeconfig(t, "alice", "company:alice", []string{"analysts"}, everything, plain)
	caller := []string{"--provider", "company", "--as", "alice", "--group", "analysts", "-c", "orders-db", "-n", "shop-access"}

	cases := map[string]struct {
		reason string
		args   []string
		ends   error
		want   []string
	}{
		"Explain": {
			"the rule is named by object and field", append([]string{"explain", "--kubeconfig", reviewer, "delete public.orders", "--property", "unboundedWrite"}, caller...),
			clipolicy.ErrDenied,
			[]string{"AccessPolicy shop-access/analysts spec.rules[name=no-unbounded-writes]", "ClusterAccessPolicy no-drops  "},
		},
		"Masks": {
			"as in files", append([]string{"explain", "--kubeconfig", reviewer, "select public.orders"}, caller...),
			nil,
			[]string{"Allowed: alice", "AccessPolicy shop-access/analysts spec.masks[name=contact]"},
		},
		"CanI": {
			"whoever asks is who the API server says", []string{"can-i", "--kubeconfig", alice, "-n", "shop-access", "-c", "orders-db", "select", "public.orders"}, nil, []string{"yes\n"},
		},
		"CanINot": {
			"no is an exit code too",
			[]string{"can-i", "--kubeconfig", alice, "-n", "shop-access", "-c", "orders-db", "drop public.orders"},
			clipolicy.ErrDenied,
			[]string{"no - nobody drops tables in production\n"},
		},
		"CanIAfterApproval": {
			"what may be approved is neither",
			[]string{"can-i", "--kubeconfig", alice, "-n", "shop-access", "-c", "orders-db", "update public.orders"},
			clipolicy.ErrApprovalRequired,
			[]string{"after approval - changes to orders"},
		},
		"CanIWhere": {"which Connections let me in", []string{"can-i", "--kubeconfig", alice, "-n", "shop-access"}, nil, []string{"shop-access/orders-db  yes"}},
		"CanIWhat": {
			"and what may I do there: only rules that are about me",
			[]string{"can-i", "--kubeconfig", alice, "-n", "shop-access", "-c", "orders-db"},
			nil,
			[]string{"analysts/read\n", "no-drops/drops\n"},
		},
		"Impersonated": {
			"an admin may ask for others",
			[]string{"can-i", "--kubeconfig", env.Kubeconfig, "--as", "company:bob", "--as-group", "oncall", "-n", "shop-access", "-c", "orders-db", "--at", "2026-11-28T12:00:00Z", "select public.orders"},
			errors.ErrUnsupported,
			[]string{"not permitted to list connections.doorward.dev in namespace shop-access"},
		},
		"Unmapped":   {"a name that no provider makes", []string{"can-i", "--kubeconfig", reviewer, "-n", "shop-access"}, errors.ErrUnsupported, []string{"the API server calls you \"rita\""}},
		"Completion": {"names come from the cluster", []string{"__complete", "explain", "--kubeconfig", reviewer, "-n", "shop-access", "-c", "or"}, nil, []string{"orders-db\n"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := call(t, tc.args...)
			switch {
			case errors.Is(tc.ends, errors.ErrUnsupported): // any error will do
				if err == nil {
					t.Fatalf("%s: no error:\n%s", tc.reason, out)
				}
				out += err.Error()
			case !errors.Is(err, tc.ends) || (err != nil) != (tc.ends != nil):
				t.Fatalf("%s: %v, want %v\n%s", tc.reason, err, tc.ends, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("%s: no %q in\n%s", tc.reason, want, out)
				}
			}
		})
	}
}

// TestMissingRights: every right that is missing is named, at once.
func TestMissingRights(t *testing.T) {
	ask := func(config string) string {
		_, err := call(t, "explain", "--kubeconfig", config, "-n", "shop-access", "-c", "orders-db", "--as", "alice")
		if err == nil {
			t.Fatal("explained without rights")
		}
		return err.Error()
	}
	nothing := ask(kubeconfig(t, "nobody", "nina", nil))
	for _, resource := range []string{"connections", "accesspolicies", "clusteraccesspolicies", "identityproviders"} {
		if want := "ask for the verb \"list\" on " + resource + ".doorward.dev"; !strings.Contains(nothing, want) {
			t.Errorf("no %q in %s", want, nothing)
		}
	}
	most := ask(kubeconfig(t, "half", "hana", nil, reads("connections", "accesspolicies", "identityproviders")))
	if strings.Contains(most, "\"list\" on accesspolicies") || !strings.Contains(most, "clusteraccesspolicies") {
		t.Errorf("one right is missing, and it is said: %s", most)
	}
}
