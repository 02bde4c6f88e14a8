// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// floor is what binds all namespaces, and what requesters may not read.
const floor = `apiVersion: doorward.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: canary-floor}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: Everyone, identityProvider: "*"}]
  namespaces: [{name: shop}]
  connections: [{name: inner-db}]
  rules:
  - name: canary-customers
    effect: RequireApproval
    actions: [select]
    resources: [public.customers]
    message: customers are looked at with a reason
    approval: {approvers: [{kind: Group, name: dba}], minimum: 1, timeoutSeconds: 300}
  masks: []
  limits: []
`

// almost is ClusterRole doorward-caller without the right to forward ports; labels of
// namespaces are needed to tell which policies of the whole cluster hold.
const almost = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: almost-caller, namespace: shop}
rules:
- {apiGroups: [""], resources: [configmaps], resourceNames: [doorward-trust-bundle], verbs: [get]}
- {apiGroups: [""], resources: [services], verbs: [get]}
- {apiGroups: [""], resources: [pods], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reads-namespaces}
rules:
- {apiGroups: [""], resources: [namespaces], verbs: [get]}
`

// people are those who type, and the roles that they hold in the namespace; the kind is
// ClusterRole where nothing else is said.
var people = map[string][]rbacv1.RoleRef{
	"petra": {{Name: "doorward-requester"}, {Name: "doorward-caller"}},
	"nina":  {{Name: "doorward-requester"}},
	"wanda": {{Name: "doorward-caller"}},
	"vera":  {{Name: "doorward-caller"}, {Name: "reads-namespaces"}},
	"nora":  {{Name: "doorward-requester"}, {Kind: "Role", Name: "almost-caller"}},
}

// TestScripts reads like people's terminals: the real plugin asks a real proxy, by a port
// that a real API server forwards.
func TestScripts(t *testing.T) {
	stacktest.Must(t, world.Apply(t.Context(), floor, almost))
	t.Cleanup(func() {
		_, err := world.Control.Kubectl(context.Background(), world.Control.Direct, "delete", "clusteraccesspolicy", "canary-floor")
		stacktest.Must(t, err)
	})
	stacktest.Inside(t, world, "inner-db")
	kubeconfigs := map[string]string{}
	for name, roles := range people {
		user, err := world.User(name, "analysts")
		stacktest.Must(t, err)
		kubeconfigs[name], err = world.Control.WriteKubeconfig("ls-"+name, user)
		stacktest.Must(t, err)
		for _, role := range roles {
			role.APIGroup = rbacv1.GroupName
			if role.Kind == "" {
				role.Kind = "ClusterRole"
			}
			stacktest.Create(t, world, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: stack.Namespace, Name: name + "-" + role.Name}, RoleRef: role,
				Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
			})
		}
	}
	// Wanda sees the Connections of all namespaces, Vera all that policies say.
	for name, role := range map[string]string{"wanda": "doorward-requester", "vera": "doorward-auditor"} {
		stacktest.Create(t, world, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
		})
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(world.Plugin())+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("CA", world.CAPath)
			env.Setenv("OTHER", filepath.Join(env.WorkDir, "other.pem"))
			return os.WriteFile(env.Getenv("OTHER"), world.Issuer.CAPEM, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// as PERSON: who types from here on, with a token of theirs in $TOKEN, and one for the
			// API server in $FOREIGN.
			"as": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 || kubeconfigs[args[0]] == "" {
					ts.Fatalf("usage: as PERSON")
				}
				ts.Setenv("KUBECONFIG", kubeconfigs[args[0]])
				ts.Setenv("XDG_CONFIG_HOME", ts.MkAbs("config-"+args[0]))
				for variable, audience := range map[string]string{"TOKEN": stack.GatewayAudience, "FOREIGN": stack.KubernetesAudience} {
					token, err := world.Issuer.Token(audience, args[0], "analysts")
					ts.Check(err)
					path := ts.MkAbs(variable + "-" + args[0])
					ts.Check(os.WriteFile(path, []byte(token+"\n"), 0o600))
					ts.Setenv(variable, path)
				}
			},
		},
	})
}
