// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testenv"
)

const operator = "doorward-system"

// number is a setting of the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// TestScale prints how the manager fares. Without DOORWARD_LONG the numbers are so
// small that it shows only that the measurement works.
func TestScale(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	small := os.Getenv("DOORWARD_LONG") != "1"
	size := func(name string, whole int) int {
		if small {
			whole = max(2, whole/100)
		}
		return number(t, name, whole)
	}
	l := &lab{
		T: t, connections: size("SCALE_CONNECTIONS", 1000), sessions: size("SCALE_SESSIONS", 10000),
		requests: size("SCALE_REQUESTS", 1000), namespaces: size("SCALE_NAMESPACES", 10),
	}
	l.start()
	l.row("empty", 0)
	l.row(fmt.Sprintf("%d Connections in %d namespaces, from the first apply to the last snapshot", l.connections, l.namespaces), l.phase(l.createConnections))
	l.row("at rest for 30 s", l.phase(func() { <-time.After(30 * time.Second) }))
	l.row("one IdentityProvider changed, which all snapshots hold", l.phase(l.changeAll))
	l.row("one policy changed, in one namespace", l.phase(l.changeOne))
	l.row("manager restarted, until it heartbeats all", l.phase(l.restart))
	l.row(fmt.Sprintf("%d AuditSessions created and ended, as by proxies", l.sessions), l.phase(l.createSessions))
	l.row(fmt.Sprintf("%d ApprovalRequests created", l.requests), l.phase(l.createRequests))
	l.row(fmt.Sprintf("%d ApprovalRequests decided, until the last is Approved", l.requests), l.phase(l.decideRequests))
	l.row("one policy changed, with all that", l.phase(l.changeOne))
	for _, kind := range []string{"connections", "auditsessions", "approvalrequests"} {
		l.row("kubectl get "+kind+" -A", l.phase(func() {
			_, err := l.env.Kubectl(l.Context(), l.env.Direct, "get", kind, "-A")
			must(l.T, err)
		}))
	}
	fmt.Print(l.table())
}

// lab is a control plane with a manager.
type lab struct {
	*testing.T
	connections, sessions, requests, namespaces, policies int

	env     *testenv.Env
	admin   client.WithWatch
	program string
	config  string // path of the manager's kubeconfig
	metrics string // address
	manager *proc.Process
	rows    []string
	policy  *v1alpha1.AccessPolicy // of the first namespace
	pending []*v1alpha1.ApprovalRequest

	cpu  time.Duration // of the manager and its asks, before the phase
	asks float64
}

func (l *lab) start() {
	l.env = testenv.StartT(l.T, testenv.Options{CRDs: true, Admission: true, AuditPolicy: "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n"})
	scheme, err := stack.Scheme()
	must(l.T, err)
	l.admin, err = client.NewWithWatch(l.env.Direct, client.Options{Scheme: scheme})
	must(l.T, err)
	ctx := l.Context()
	must(l.T, l.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operator}}))
	must(l.T, l.env.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")))
	for i := range l.namespaces {
		must(l.T, l.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace(i)}}))
		must(l.T, l.admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: "doorward-manager"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-namespace"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operator, Name: "doorward-manager"}},
		}))
		must(l.T, l.admin.Create(ctx, readers(namespace(i))))
	}
	l.policy = readers(namespace(0))
	must(l.T, l.admin.Create(ctx, company()))
	binaries, err := stack.Build(ctx, false)
	must(l.T, err)
	config, err := l.env.ServiceAccountConfig(ctx, operator, "doorward-manager")
	must(l.T, err)
	l.config, err = l.env.WriteKubeconfig("manager", config)
	must(l.T, err)
	port, err := proc.FreePort(ctx)
	must(l.T, err)
	l.metrics = proc.Loopback + ":" + strconv.Itoa(port)
	l.program = binaries.Manager
	l.run()
	l.Cleanup(func() { _ = l.manager.Stop() })
}

// run starts the manager, and waits for its metrics.
func (l *lab) run() {
	var names []string
	for i := range l.namespaces {
		names = append(names, namespace(i))
	}
	var err error
	l.manager, err = proc.Start(proc.Command{
		Path: l.program,
		Args: []string{
			"--kubeconfig=" + l.config, "--namespaces=" + strings.Join(names, ","), "--namespace=" + operator,
			"--metrics-address=" + l.metrics, "--health-address=0", "--leader-elect=false",
		},
		Output: filepath.Join(l.env.Dir, "manager.log"),
	})
	must(l.T, err)
	l.await("the manager's metrics", func(ctx context.Context) error {
		_, err := l.managerMetrics(ctx)
		return err
	})
}

func (l *lab) await(what string, ask func(context.Context) error) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 20*time.Minute)
	defer cancel()
	// Asking must not be what the API server is busy with.
	if err := stack.Await(ctx, func(ctx context.Context) error {
		err := ask(ctx)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
		return err
	}); err != nil {
		l.Fatalf("%s: %v", what, err)
	}
}

func namespace(i int) string { return "tenant-" + strconv.Itoa(i) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
