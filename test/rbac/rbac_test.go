// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac lists what each ServiceAccount and each role for people may do, as
// the API server answers it, and compares with a reviewed list that has a reason
// for every right: a right that appears or goes away shows in review.
package rbac

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

var update = flag.Bool("update", false, "write the list of rights anew; reasons are kept, new rights need one")

var env *testenv.Env

func TestMain(m *testing.M) {
	os.Exit(testenv.Run(m, testenv.Options{CRDs: true, ControllerManager: true}, &env))
}

// The namespaces that rights are looked at in. The manager is bound in those of
// Connections; nobody is bound in the others, so that what is allowed there is
// allowed in the whole cluster.
const (
	operator = "doorward-system"
	own      = "shop-access"
	other    = "till-access"
	foreign  = "foreign"
)

var namespaces = []string{operator, own, other, "kube-system", foreign}

// identity is somebody whose rights are listed.
type identity struct {
	name   string
	user   string
	groups []string
}

func account(name, namespace, serviceAccount string) identity {
	return identity{
		name: name, user: "system:serviceaccount:" + namespace + ":" + serviceAccount,
		groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

func person(name string) identity {
	return identity{name: name, user: name, groups: []string{"system:authenticated"}}
}

// identities are all whose rights are listed; people hold the role of their name
// in the namespace own.
var identities = []identity{
	account("manager", operator, "doorward-manager"),
	account("proxy Managed", own, connection.ObjectName("managed")),
	account("proxy External", own, connection.ObjectName("external")),
	person("requester"), person("caller"), person("credential-owner"), person("credential-admin"), person("cluster-policy"), person("approver"), person("auditor"), person("editor"), person("admin"),
}

// config is a client configuration of somebody.
func (i identity) config() *rest.Config {
	config := rest.CopyConfig(env.Direct)
	config.Impersonate = rest.ImpersonationConfig{UserName: i.user, Groups: i.groups}
	return config
}

// TestRights compares with the reviewed list.
func TestRights(t *testing.T) {
	scheme, err := setup.Scheme()
	must(t, err)
	admin, err := client.New(env.Direct, client.Options{Scheme: scheme})
	must(t, err)
	install(t, admin)

	// What anybody may do is nothing of ours.
	common := map[string]bool{}
	for _, nobody := range []identity{account("", foreign, "nobody"), person("nobody")} {
		for _, right := range rights(t, nobody, foreign) {
			common[right.String()] = true
		}
	}
	var all []right
	for _, who := range identities {
		everywhere := map[string]bool{}
		for _, namespace := range append([]string{foreign}, namespaces...) {
			for _, r := range rights(t, who, namespace) {
				if common[r.String()] || everywhere[r.String()] {
					continue
				}
				if namespace == foreign {
					everywhere[r.String()] = true
					r.scope = "everywhere"
				} else {
					r.scope = namespace
				}
				r.who = who.name
				all = append(all, r)
			}
		}
	}
	golden := filepath.Join("testdata", "rights.txt")
	before, err := os.ReadFile(golden)
	must(t, err)
	got := table(all, reasons(string(before)))
	if *update {
		must(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	if diff := cmp.Diff(strings.Split(string(before), "\n"), strings.Split(got, "\n")); diff != "" && !*update {
		t.Errorf("rights differ from the reviewed list, -want +got. Take away what nobody needs; go test ./test/rbac -update writes the list anew, and each new right needs a reason:\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if _, reason, found := strings.Cut(line, "#"); found && strings.TrimSpace(reason) == "" {
			t.Errorf("a right without a reason: %s", line)
		}
	}
	t.Run("Forbidden", func(t *testing.T) { nobodyMay(t, all) })
	t.Run("Asked", func(t *testing.T) { asked(t, admin, all, common) })
}

// nobodyMay names what must stay out of the list, whatever reason somebody gives.
func nobodyMay(t *testing.T, all []right) {
	t.Helper()
	for _, r := range all {
		inOwn := r.scope == own || r.scope == other && r.who == "manager"
		for _, verb := range r.verbs {
			switch {
			case verb == "*" || strings.Contains(r.resource, "*"):
				t.Errorf("everything of something: %s", r)
			case verb == "impersonate" || verb == "escalate" || verb == "bind":
				t.Errorf("becomes whom it wants: %s", r)
			case r.scope == "everywhere" && (r.resource == "secrets" || strings.HasPrefix(r.resource, "pods") || strings.HasPrefix(r.resource, "serviceaccounts")):
				t.Errorf("reaches all namespaces: %s", r)
			case r.scope == "kube-system":
				t.Errorf("reaches kube-system: %s", r)
			case r.who == "caller" && r.resource == "pods/portforward" && inOwn && (verb == "create" || verb == "get"):
				// It is what the role is for, and why it is bound where proxies run, and nothing else.
			case strings.HasPrefix(r.resource, "pods/") || r.resource == "pods" && verb != "get" && verb != "list" && verb != "watch":
				t.Errorf("runs or enters pods: %s", r)
			case r.who != "manager" && r.resource == "secrets" && (r.object == "" || verb != "get" && verb != "list" && verb != "watch"):
				t.Errorf("Secrets that are not its own: %s", r)
			case r.who != "manager" && r.resource == "serviceaccounts/token" && r.object == "":
				t.Errorf("tokens of others: %s", r)
			case r.who != "manager" && strings.HasPrefix(r.resource, "rbac.authorization.k8s.io/"):
				t.Errorf("grants rights: %s", r)
			case r.who != "approver" && verb == "approve":
				t.Errorf("approves: %s", r)
			case r.resource == "doorward.dev/clusteraccesspolicies" && r.who != "cluster-policy" && verb != "get" && verb != "list" && verb != "watch":
				t.Errorf("writes what no namespace may undo: %s", r)
			case r.resource == "doorward.dev/clusteraccesspolicies" && (r.who == "requester" || r.who == "approver"):
				t.Errorf("reads what is said of all namespaces: %s", r)
			case r.resource == "doorward.dev/gatewaycredentials" && (verb == "create" || verb == "update" || strings.HasPrefix(verb, "delete")) && r.who != "manager":
				t.Errorf("makes or forgets credentials: %s", r)
			case verb == v1alpha1.VerbRevoke && r.who != "credential-admin":
				t.Errorf("revokes the credentials of others: %s", r)
			case verb == v1alpha1.VerbServe && !strings.HasPrefix(r.who, "proxy") && r.who != "manager":
				t.Errorf("serves: %s", r)
			case strings.HasPrefix(r.who, "proxy") && !inOwn:
				t.Errorf("a proxy outside of its namespace: %s", r)
			}
		}
	}
}

// install makes all that rights depend on, as an admin and the manager do.
func install(t *testing.T, admin client.Client) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{operator, own, other, foreign} {
		must(t, admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	must(t, env.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")))
	manager := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: operator, Name: "doorward-manager"}
	for _, namespace := range []string{own, other} {
		must(t, admin.Create(ctx, binding(namespace, "doorward-manager", "ClusterRole", "doorward-namespace", manager)))
	}
	for name, placement := range map[string]v1alpha1.Placement{"managed": v1alpha1.PlacementManaged, "external": v1alpha1.PlacementExternal} {
		c := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: name}}
		c.Spec.Proxy.Placement = placement
		c.Spec.Credential.Secret = &v1alpha1.SecretReference{Name: name + "-credential"}
		meta := metav1.ObjectMeta{Namespace: own, Name: connection.ObjectName(name)}
		must(t, admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: connection.Rules(c)}))
		must(t, admin.Create(ctx, binding(own, meta.Name, "Role", meta.Name, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: own, Name: meta.Name})))
	}
	for _, role := range []string{"requester", "caller", "credential-owner", "credential-admin", "cluster-policy", "approver", "auditor", "editor", "admin"} {
		must(t, admin.Create(ctx, binding(own, role, "ClusterRole", "doorward-"+role, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role})))
	}
	waiting, cancel := context.WithTimeout(ctx, stack.ReadyTimeout)
	defer cancel()
	must(t, stack.Await(waiting, func(ctx context.Context) error {
		var aggregated rbacv1.ClusterRole
		err := admin.Get(ctx, client.ObjectKey{Name: "doorward-admin"}, &aggregated)
		if err == nil && len(aggregated.Rules) == 0 {
			err = fmt.Errorf("ClusterRole %q is not aggregated yet", aggregated.Name)
		}
		return err
	}))
}

func binding(namespace, name, kind, role string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}, Subjects: []rbacv1.Subject{subject},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
