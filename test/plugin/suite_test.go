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
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/login"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/protocol/all"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testenv"
)

const (
	operator = "doorward-system"
	command  = "kubectl-doorward"
)

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

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	fail := func(what string, err error) int {
		fmt.Fprintln(os.Stderr, what+":", err)
		return 1
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ctrl.SetLogger(logr.Discard())
	var err error
	if env, err = testenv.Start(ctx, testenv.Options{CRDs: true, Admission: true, ControllerManager: true}); err != nil {
		return fail("cannot start a control plane", err)
	}
	defer func() {
		if err := env.Stop(); err != nil {
			status = max(status, fail("cannot stop the control plane", err))
		}
	}()
	for _, step := range []func(context.Context) error{build, prepare} {
		if err := step(ctx); err != nil {
			return fail("cannot prepare the suite", err)
		}
	}
	managed, done := context.WithCancel(ctx)
	ended, err := manage(managed)
	defer done()
	if err != nil {
		return fail("cannot start the manager", err)
	}
	status = m.Run()
	done()
	if err := <-ended; err != nil {
		status = max(status, fail("the manager failed", err))
	}
	return status
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

// prepare makes what an admin would: namespaces, roles and their bindings.
func prepare(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if admin, err = client.NewWithWatch(env.RESTConfig, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if scripts, err = filepath.Glob("testdata/scripts/*.txtar"); err != nil {
		return err
	}
	if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}}); err != nil {
		return err
	}
	for _, script := range scripts {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(script)}}); err != nil {
			return err
		}
	}
	if err := env.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac"), "testdata/provider.yaml"); err != nil {
		return err
	}
	// What a role looks like that forgot the verb approve.
	if err := admin.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-patches-requests"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"doorward.dev"}, Resources: []string{"approvalrequests"}, Verbs: []string{"get", "list", "watch", "patch"}},
	}}); err != nil {
		return err
	}
	for _, name := range everywhere {
		b := bind("", name, people[name].role, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: people[name].name})
		if err := admin.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: b.ObjectMeta, RoleRef: b.RoleRef, Subjects: b.Subjects}); err != nil {
			return err
		}
	}
	for _, script := range scripts {
		bindings := []*rbacv1.RoleBinding{bind(namespace(script), "doorward-manager", "doorward-namespace", rbacv1.Subject{
			Kind: rbacv1.ServiceAccountKind, Namespace: operator, Name: "doorward-manager",
		})}
		for name, person := range people {
			if person.role != "" {
				bindings = append(bindings, bind(namespace(script), name, person.role, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: person.name}))
			}
		}
		for _, b := range bindings {
			if err := admin.Create(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func bind(namespace, name, role string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}, Subjects: []rbacv1.Subject{subject},
	}
}

// namespace is a script's own.
func namespace(script string) string {
	return "shop-" + strings.TrimSuffix(filepath.Base(script), ".txtar")
}

// manage runs the manager with its own ServiceAccount's token.
func manage(ctx context.Context) (<-chan error, error) {
	config, err := env.ServiceAccountConfig(ctx, operator, "doorward-manager")
	if err != nil {
		return nil, err
	}
	var protocols []compile.Protocol
	for _, p := range all.Protocols() {
		protocols = append(protocols, p)
	}
	namespaces := make([]string, len(scripts))
	for i, script := range scripts {
		namespaces[i] = namespace(script)
	}
	if portal, err = proc.FreeAddress(ctx); err != nil {
		return nil, err
	}
	mgr, err := setup.New(ctx, setup.Options{
		Config: config, Logger: logr.Discard(), Namespace: operator, Namespaces: slices.Clip(namespaces), Protocols: protocols,
		ProxyImage: "doorward:test", MetricsAddress: "0", HealthAddress: "0", UserAgent: "doorward-manager",
		Login: login.Settings{Address: portal, URL: "https://" + portal},
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return ended, nil
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
