// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testenv"
)

// Names in config/rbac.
const (
	managerAccount       = "doorward-manager"
	managerNamespaceRole = "doorward-namespace"
	trustBundle          = "doorward-trust-bundle"
	trustBundleKey       = "ca.crt"
)

// installOperator creates the namespaces and the manager's rights, as an admin would.
func (s *Stack) installOperator(ctx context.Context) error {
	for _, name := range []string{OperatorNamespace, Namespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := s.Admin.Create(ctx, namespace); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("cannot create namespace %q: %w", name, err)
		}
	}
	if err := s.Control.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")); err != nil {
		return err
	}
	// The manager has rights on Secrets only where an admin binds it.
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: managerAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: managerNamespaceRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: OperatorNamespace, Name: managerAccount}},
	}
	if err := s.Admin.Create(ctx, binding); err != nil {
		return fmt.Errorf("cannot bind the manager to namespace %q: %w", Namespace, err)
	}
	return nil
}

// StartManager runs the manager with its own ServiceAccount's token, and waits
// for the trust bundle.
func (s *Stack) StartManager(ctx context.Context) (err error) {
	if s.manager, err = s.launchManager(ctx, "manager", "0"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	return s.manager.WaitReady(ctx, pollInterval, s.writeTrustBundle)
}

// Manager is the manager's process.
func (s *Stack) Manager() *proc.Process { return s.manager }

// launchManager runs a manager with its own ServiceAccount's token, and does not wait.
func (s *Stack) launchManager(ctx context.Context, name, health string) (*proc.Process, error) {
	config, err := s.Control.ServiceAccountConfig(ctx, OperatorNamespace, managerAccount)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := s.Control.WriteKubeconfig(name, config)
	if err != nil {
		return nil, err
	}
	return proc.Start(proc.Command{
		Name: name, Path: s.binaries.Manager,
		Args: append([]string{
			"--kubeconfig=" + kubeconfig, "--namespaces=" + Namespace, "--namespace=" + OperatorNamespace,
			"--metrics-address=0", "--health-address=" + health, fmt.Sprintf("--leader-elect=%t", s.options.LeaderElection),
		}, s.options.ManagerArgs...),
		Output: filepath.Join(s.Logs(), name+".log"),
	})
}

// AddManager runs one more manager beside the first, and waits until it is ready.
// The stack ends it, if its caller has not.
func (s *Stack) AddManager(ctx context.Context, name string) (*proc.Process, error) {
	health, err := proc.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	manager, err := s.launchManager(ctx, name, health)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.managers = append(s.managers, manager)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, ReadyTimeout)
	defer cancel()
	if err := manager.WaitReady(ctx, pollInterval, proc.Answers(http.DefaultClient, "http://"+health+"/readyz")); err != nil {
		return nil, err
	}
	return manager, nil
}

// StopManager ends the manager, if it runs.
func (s *Stack) StopManager() error {
	if s.manager == nil {
		return nil
	}
	manager := s.manager
	s.manager = nil
	return manager.Stop()
}

// KillManager ends the manager without a word, as a crash does, and waits until
// it is gone. StartManager brings it back.
func (s *Stack) KillManager() error {
	manager := s.manager
	if manager == nil {
		return nil
	}
	if err := manager.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-manager.Done()
	s.manager = nil
	return nil
}

// writeTrustBundle keeps the manager's CA for psql.
func (s *Stack) writeTrustBundle(ctx context.Context) error {
	var bundle corev1.ConfigMap
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: trustBundle}, &bundle); err != nil {
		return fmt.Errorf("no trust bundle yet: %w", err)
	}
	// Clients may read it meanwhile: they find the former or this one, whole.
	written := s.CAPath + ".new"
	if err := errors.Join(os.WriteFile(written, []byte(bundle.Data[trustBundleKey]), 0o600), os.Rename(written, s.CAPath)); err != nil {
		return fmt.Errorf("cannot write the trust bundle: %w", err)
	}
	return nil
}

func caPath(dir string) string { return filepath.Join(dir, "ca.crt") }

// Attach opens a stack that another process runs, to start further proxies.
func Attach(ctx context.Context, dir, proxyBinary string) (*Stack, error) {
	s := &Stack{Dir: dir, CAPath: caPath(dir), binaries: Binaries{Proxy: proxyBinary}}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "control-plane", "admin.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("no playground runs here: start it with `make playground`: %w", err)
	}
	s.adminConfig = config
	if s.Admin, err = NewClient(config); err != nil {
		return nil, err
	}
	return s, s.Admin.List(ctx, &v1alpha1.ConnectionList{}, client.InNamespace(Namespace))
}
