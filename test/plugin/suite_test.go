// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plugin runs the verbs of the kubectl plugin as a terminal shows them: the real
// kubectl finds the plugin on its PATH, a real API server with the admission policies
// decides, the manager judges. People hold the roles of config/rbac and nothing else.
package plugin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/test/operator"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testenv"
)

const command = "kubectl-doorward"

var (
	env   *testenv.Env
	admin client.WithWatch
	// portal is where the manager's login portal listens.
	portal string
	// bin holds the plugin, and the name that kubectl completes it by.
	bin string
	// scripts are the files of testdata/scripts; each has a namespace of its own.
	scripts []string
)

// people are the API server's names for those who type, with their groups, and the role of
// config/rbac that each holds in the namespaces of Connections; some hold none.
var people = map[string]struct {
	name   string
	groups []string
	role   string
}{
	"alice": {"company:alice", []string{"analysts"}, "doorward-requester"},
	"bob":   {"company:bob", []string{"shop-leads"}, "doorward-approver"},
	"carol": {"company:carol", []string{"sales"}, "doorward-approver"},
	"dora":  {"company:dora", []string{"shop-leads"}, "doorward-approver"},
	"erin":  {"company:erin", []string{"shop-leads"}, "doorward-requester"},
	"frank": {"company:frank", []string{"shop-leads"}, "test-patches-requests"},
	"audra": {"company:audra", nil, "doorward-auditor"},
	"ada":   {"company:ada", []string{"analysts"}, "doorward-admin"},
	"nina":  {"company:nina", nil, ""},
	"vera":  {"company:vera", []string{"analysts"}, "doorward-auditor"},
	"paula": {"portal:paula", nil, "doorward-credential-owner"},
}

// everywhere are those of them whose role is bound in the whole cluster, for its
// cluster-scoped kinds.
var everywhere = []string{"vera", "paula"}

func TestMain(m *testing.M) {
	scripts, _ = filepath.Glob("testdata/scripts/*.txtar") // an error would be the pattern's
	suite := operator.Suite{Env: &env, Admin: &admin, Prepare: prepare, Edit: func(o *setup.Options) {
		o.Login = login.Settings{Address: portal, URL: "https://" + portal}
	}}
	for _, script := range scripts {
		suite.Namespaces = append(suite.Namespaces, namespace(script))
	}
	os.Exit(operator.Run(m, suite))
}

// build compiles the plugin, and links it to the name that kubectl completes it by.
func build(ctx context.Context) error {
	bin = filepath.Join(env.Dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return err
	}
	building := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(bin, command), "./cmd/kubectl-doorward")
	building.Dir = testenv.Root()
	if output, err := building.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the plugin: %w: %s", err, output)
	}
	return os.Symlink(command, filepath.Join(bin, "kubectl_complete-doorward"))
}

// prepare makes the plugin, and what an admin would: a provider, roles and their bindings.
func prepare(ctx context.Context) (err error) {
	if err := build(ctx); err != nil {
		return err
	}
	if portal, err = proc.FreeAddress(ctx); err != nil {
		return err
	}
	if err := env.Apply(ctx, "testdata/provider.yaml"); err != nil {
		return err
	}
	// What a role looks like that forgot the verb approve.
	if err := admin.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-patches-requests"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"doorward.dev"}, Resources: []string{"approvalrequests"}, Verbs: []string{"get", "list", "watch", "patch"}},
	}}); err != nil {
		return err
	}
	for _, name := range everywhere {
		b := bind("", name, people[name].role, people[name].name)
		if err := admin.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: b.ObjectMeta, RoleRef: b.RoleRef, Subjects: b.Subjects}); err != nil {
			return err
		}
	}
	for _, script := range scripts {
		for name, person := range people {
			if person.role == "" {
				continue
			}
			if err := admin.Create(ctx, bind(namespace(script), name, person.role, person.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind binds a role to a person in a namespace.
func bind(namespace, name, role, person string) *rbacv1.RoleBinding {
	return operator.Bind(namespace, name, "ClusterRole", role, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: person})
}

// namespace is a script's own.
func namespace(script string) string {
	return "shop-" + strings.TrimSuffix(filepath.Base(script), ".txtar")
}

// TestScripts runs every script of testdata/scripts; see commands for what they can do
// beside what testscript has.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/scripts", RequireExplicitExec: true, RequireUniqueNames: true, Setup: arrange,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"as": as, "asked": asked, "hold": hold, "use": use, "await": await, "session": session, "edit": edit, "seen": seen,
		},
	})
}
