// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	proxies "github.com/doorward/doorward/controllers/connection"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/controllers/setup"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/test/testenv"
)

const operatorNamespace = "doorward-system"

// namespaces of Connections; each test has its own.
var namespaces = []string{"external", "tamper", "managed", "policies", "approvals", "sessions", "shared", "sinks", "rights", "isolation", "disguise", "caps", "selected", "modules", "audited", "costs", "logins", "hosts"}

// auditPolicy shows what the manager got of Secrets.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: RequestResponse
  resources: [{group: "", resources: [secrets]}]
- level: Metadata
`

var (
	env     *testenv.Env
	admin   client.Client
	manager *running
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctrl.SetLogger(logger())
	var err error
	env, err = testenv.Start(context.Background(), testenv.Options{
		CRDs: true, Admission: true, ControllerManager: true, AuditPolicy: auditPolicy,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start a control plane:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	if err := prepare(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "cannot prepare the suite:", err)
		return 1
	}
	if manager, err = startManager(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the manager:", err)
		return 1
	}
	defer func() { manager.stop() }()
	return m.Run()
}

// logger shows what the manager logs where MANAGER_LOG is set.
func logger() logr.Logger {
	if os.Getenv("MANAGER_LOG") == "" {
		return logr.Discard()
	}
	return funcr.New(func(prefix, args string) { fmt.Fprintln(os.Stderr, prefix, args) }, funcr.Options{})
}

// prepare makes the namespaces and the manager's rights, as an administrator would.
func prepare(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if admin, err = client.New(env.RESTConfig, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, name := range append([]string{operatorNamespace}, namespaces...) {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	if err := env.Apply(ctx, filepath.Join(testenv.Root(), "config", "rbac")); err != nil {
		return err
	}
	for _, name := range namespaces {
		if err := admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "doorward-manager"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "doorward-namespace"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: operatorNamespace, Name: "doorward-manager"}},
		}); err != nil {
			return err
		}
	}
	return nil
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
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return &accepts{next: next} }
	mgr, err := setup.New(ctx, setup.Options{
		Config: config, Logger: logger(), Namespace: operatorNamespace, Namespaces: namespaces,
		Protocols: []compile.Protocol{words{}, shells{}}, CheckModule: checkModule, ProxyImage: "doorward:test",
		ProxyPods:      proxies.PodSettings{Labels: map[string]string{"team": "data"}},
		MetricsAddress: "0", HealthAddress: "0", UserAgent: "doorward-manager",
		DirectWay: directway.Options{Loopback: true, Interval: 2 * time.Second},
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

// accepts records what representation of Secrets the manager asked for.
type accepts struct{ next http.RoundTripper }

var secretRequests struct {
	sync.Mutex
	all []secretRequest
}

type secretRequest struct{ method, path, accept string }

func (a *accepts) RoundTrip(request *http.Request) (*http.Response, error) {
	asked.note(request)
	if strings.Contains(request.URL.Path, "/secrets") {
		secretRequests.Lock()
		secretRequests.all = append(secretRequests.all, secretRequest{request.Method, request.URL.Path, request.Header.Get("Accept")})
		secretRequests.Unlock()
	}
	return a.next.RoundTrip(request)
}

// checkModule stands for the compiler of modules.
func checkModule(_ context.Context, text string) ([]string, error) {
	if !strings.HasPrefix(text, "package doorward.policy") {
		return nil, fmt.Errorf("1:1: want package doorward.policy")
	}
	return nil, nil
}

// words is a protocol with a small vocabulary.
type words struct{}

func (words) Name() string { return "words" }

func (words) Vocabulary() policy.Vocabulary {
	return policy.Vocabulary{
		Actions: []policy.Term{{Name: "select"}, {Name: "update"}, {Name: "unknown"}}, Properties: []policy.Term{{Name: "unboundedWrite"}},
		Field: "schema.relation.column", Content: "values",
	}
}

func (words) ValidateOptions(options json.RawMessage) error {
	if strings.Contains(string(options), "tpyo") {
		return fmt.Errorf("unknown key \"tpyo\"")
	}
	return nil
}

func (words) DefaultPort() int32 { return 5432 }

// wait bounds every wait, on a busy machine.
const wait = 30 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, f func(g gomega.Gomega)) {
	t.Helper()
	gomega.NewWithT(t).Eventually(f).WithTimeout(wait).WithPolling(100 * time.Millisecond).Should(gomega.Succeed())
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

func get[T client.Object](g gomega.Gomega, namespace, name string, into T) T {
	g.Expect(admin.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, into)).To(gomega.Succeed())
	return into
}

// conditioned is any of our kinds.
type conditioned interface {
	client.Object
	GetConditions() []metav1.Condition
}

func reason(object conditioned, kind string) string {
	c := meta.FindStatusCondition(object.GetConditions(), kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func message(object conditioned, kind string) string {
	c := meta.FindStatusCondition(object.GetConditions(), kind)
	if c == nil {
		return ""
	}
	return c.Message
}

func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	// One mapper serves all: discovery by each new client is work that a busy API server may be late with.
	c, err := client.New(config, client.Options{Scheme: admin.Scheme(), Mapper: admin.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func external(namespace, name string) *v1alpha1.Connection {
	return &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ConnectionSpec{
			Protocol:   "words",
			Targets:    []v1alpha1.Target{{Host: "db.example", Port: 5432}},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: name + "-credential"}},
			Proxy: v1alpha1.Proxy{Placement: v1alpha1.PlacementExternal, External: &v1alpha1.ExternalProxy{
				ServerNames: []string{"localhost", "127.0.0.1"}, Port: 15432,
			}},
		},
	}
}

const canary = "canary-credential-7f3a"

func credential(namespace, connection string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: connection + "-credential"},
		Type:       v1alpha1.SecretTypeCredential,
		StringData: map[string]string{"username": "doorward", "password": canary, "connection": connection, "addresses": "db.example:5432"},
	}
}

func allow(namespace, name, connection string) *v1alpha1.AccessPolicy {
	return &v1alpha1.AccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.AccessPolicySpec{
			Mode: v1alpha1.PolicyEnforce, When: []v1alpha1.PolicyCondition{},
			Subjects:    []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "analysts", IdentityProvider: "*"}},
			Connections: []v1alpha1.ConnectionSelector{{Name: connection}},
			Rules:       []v1alpha1.Rule{{Name: "read", Effect: v1alpha1.EffectAllow, Actions: []string{"select"}, Resources: []string{"*"}}},
			Masks:       []v1alpha1.Mask{},
			Limits:      []v1alpha1.Limit{},
		},
	}
}
