// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operator runs the manager in the process of a test, beside a real API server and
// with the rights that an admin gives it: those of config/rbac, bound in the namespaces of
// Connections, used with its own ServiceAccount's token.
//
//	func TestMain(m *testing.M) {
//		os.Exit(operator.Run(m, operator.Suite{Env: &env, Admin: &admin, Namespaces: []string{"shop-access"}}))
//	}
package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/protocol/all"
	"github.com/doorward/doorward/test/testenv"
)

// Namespace is the operator's, Account its manager's, both as in config/rbac.
const (
	Namespace = "doorward-system"
	Account   = "doorward-manager"
)

// namespaceRole is what the manager needs where Connections are, in config/rbac.
const namespaceRole = "doorward-namespace"

// Suite is a package of tests that share a control plane and a manager.
type Suite struct {
	// Env and Admin are where the control plane and its admin are kept, from before
	// Prepare on. The admin's scheme is the manager's.
	Env   **testenv.Env
	Admin *client.WithWatch
	// Namespaces are those of Connections. They are made, and the manager is bound there.
	Namespaces []string
	// Prepare makes what is to be there before the manager is; Ready waits for what the
	// manager makes before the first test. Either may be nil.
	Prepare, Ready func(context.Context) error
	// Edit changes what the manager is started with, where it is not nil.
	Edit func(*setup.Options)
}

// Run runs a package's tests and returns the code to exit with, which says, too, that the
// manager did not end well. It is for TestMain.
func Run(m *testing.M, suite Suite) int {
	ctrl.SetLogger(logr.Discard())
	code := 0
	if err := suite.run(func() { code = m.Run() }); err != nil {
		fmt.Fprintln(os.Stderr, "cannot run the suite:", err)
		return max(code, 1)
	}
	return code
}

func (s *Suite) run(tests func()) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if *s.Env, err = testenv.Start(ctx, testenv.Options{CRDs: true, Admission: true, ControllerManager: true}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, (*s.Env).Stop()) }()
	if err := s.install(ctx); err != nil {
		return err
	}
	if s.Prepare != nil {
		if err := s.Prepare(ctx); err != nil {
			return err
		}
	}
	done, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		cancel()
		if ended := <-done; ended != nil {
			err = errors.Join(err, fmt.Errorf("the manager did not end well: %w", ended))
		}
	}()
	if s.Ready != nil {
		if err := s.Ready(ctx); err != nil {
			return err
		}
	}
	tests()
	return nil
}

// install makes the namespaces and the manager's rights, as an admin would.
func (s *Suite) install(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	admin, err := client.NewWithWatch((*s.Env).Direct, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	*s.Admin = admin
	for _, name := range append([]string{Namespace}, s.Namespaces...) {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	if err := (*s.Env).Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")); err != nil {
		return err
	}
	for _, name := range s.Namespaces {
		if err := admin.Create(ctx, Bind(name, Account, "ClusterRole", namespaceRole, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: Account})); err != nil {
			return err
		}
	}
	return nil
}

// start runs the manager until the context ends; then the channel says how it ended.
func (s *Suite) start(ctx context.Context) (<-chan error, error) {
	config, err := (*s.Env).ServiceAccountConfig(ctx, Namespace, Account)
	if err != nil {
		return nil, err
	}
	options := setup.Options{
		Config: config, Logger: logr.Discard(), Namespace: Namespace, Namespaces: s.Namespaces,
		ProxyImage: "doorward:test", MetricsAddress: "0", HealthAddress: "0", UserAgent: Account,
	}
	for _, protocol := range all.Protocols() {
		options.Protocols = append(options.Protocols, compile.Protocol(protocol))
	}
	if s.Edit != nil {
		s.Edit(&options)
	}
	mgr, err := setup.New(ctx, options)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	return done, nil
}

// Bind binds a role of a kind, Role or ClusterRole, to somebody in a namespace.
func Bind(namespace, name, kind, role string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
		Subjects:   []rbacv1.Subject{subject},
	}
}
