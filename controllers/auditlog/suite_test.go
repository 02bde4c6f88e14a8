// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/witness"
	"github.com/doorward/doorward/test/testenv"
)

const (
	operatorNamespace = "doorward-system"
	namespace         = "logs"
	connectionName    = "shop"
	otherConnection   = "stock"
)

var (
	env     *testenv.Env
	admin   client.Client
	manager *running
	// proxy and stranger are the two Connections' proxies, with the rights that the manager gave them.
	proxy, stranger client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	if env, err = testenv.Start(ctx, testenv.Options{CRDs: true, Admission: true, ControllerManager: true}); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start a control plane:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cannot prepare the suite:", err)
		return 1
	}
	defer func() { manager.stop() }()
	return m.Run()
}

func prepare(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if admin, err = client.New(env.RESTConfig, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, name := range []string{operatorNamespace, namespace} {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	if err := env.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")); err != nil {
		return err
	}
	if err := admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "doorward-manager"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-namespace"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: "doorward-manager"}},
	}); err != nil {
		return err
	}
	if manager, err = startManager(); err != nil {
		return err
	}
	if proxy, err = connect(ctx, connectionName); err != nil {
		return err
	}
	stranger, err = connect(ctx, otherConnection)
	return err
}

// connect makes a Connection and returns its proxies' client.
func connect(ctx context.Context, name string) (client.Client, error) {
	if err := admin.Create(ctx, &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ConnectionSpec{
			Protocol:   "words",
			Targets:    []v1alpha1.Target{{Host: "db.example", Port: 5432}},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: name + "-credential"}},
			Proxy: v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal, External: &v1alpha1.ExternalProxy{
				ServerNames: []string{"localhost"}, Port: 15432,
			}},
		},
	}); err != nil {
		return nil, err
	}
	for {
		err := admin.Get(ctx, types.NamespacedName{Namespace: namespace, Name: witness.ConfigMapName(name)}, &corev1.ConfigMap{})
		if err == nil {
			break
		}
		if client.IgnoreNotFound(err) != nil || ctx.Err() != nil {
			return nil, fmt.Errorf("no ConfigMap for checkpoints: %w", err)
		}
	}
	config, err := env.ServiceAccountConfig(ctx, namespace, "doorward-"+name)
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: admin.Scheme(), Mapper: admin.RESTMapper()})
}

// running is a manager in this process, with its own ServiceAccount's token.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

func startManager() (*running, error) {
	ctx, cancel := context.WithCancel(context.Background())
	config, err := env.ServiceAccountConfig(ctx, operatorNamespace, "doorward-manager")
	if err != nil {
		cancel()
		return nil, err
	}
	mgr, err := setup.New(ctx, setup.Options{
		Config: config, Logger: logr.Discard(), Namespace: operatorNamespace, Namespaces: []string{namespace},
		Protocols: []compile.Protocol{words{}}, ProxyImage: "doorward:test",
		MetricsAddress: "0", HealthAddress: "0", UserAgent: "doorward-manager",
	})
	if err != nil {
		cancel()
		return nil, err
	}
	r := &running{cancel: cancel, done: make(chan error, 1)}
	go func() {
		defer close(r.done)
		r.done <- mgr.Start(ctx)
	}()
	return r, nil
}

// stop may be called more than once.
func (r *running) stop() {
	r.cancel()
	<-r.done
}

// words is a protocol with a small vocabulary.
type words struct{}

func (words) Name() string { return "words" }

func (words) Vocabulary() policy.Vocabulary {
	return policy.Vocabulary{Actions: []policy.Term{{Name: "select"}, {Name: "unknown"}}, Field: "schema.relation.column", Content: "values"}
}

func (words) ValidateOptions(json.RawMessage) error { return nil }

func (words) DefaultPort() int32 { return 5432 }

// wait bounds every wait, on a busy machine.
const wait = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, f func(g gomega.Gomega)) {
	t.Helper()
	gomega.NewWithT(t).Eventually(f).WithTimeout(wait).WithPolling(50 * time.Millisecond).Should(gomega.Succeed())
}

// submit patches an instance's key, as a proxy does.
func submit(t *testing.T, c client.Client, connection string, s witness.Submission) {
	t.Helper()
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, connection, s.Instance, string(data))
}

func put(t *testing.T, c client.Client, connection, instance, text string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"data": map[string]string{instance: text}})
	if err != nil {
		t.Fatal(err)
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: witness.ConfigMapName(connection)}}
	if err := c.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
}

func auditLog(g gomega.Gomega, id string) *v1alpha1.AuditLog {
	log := &v1alpha1.AuditLog{}
	// As the proxy, which must be able to learn what the witness holds.
	g.Expect(proxy.Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: id}, log)).To(gomega.Succeed())
	return log
}
