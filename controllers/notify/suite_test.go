// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/testenv"
)

const operatorNamespace = "doorward-system"

var (
	env    *testenv.Env
	admin  client.Client
	scheme = runtime.NewScheme()
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(testenv.Run(m, testenv.Options{CRDs: true}, &env))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await looks until the condition holds.
func await(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// prepare makes a namespace for requests, and the operator's.
func prepare(t *testing.T, namespace string) {
	t.Helper()
	var err error
	if admin == nil {
		admin, err = client.New(env.RESTConfig, client.Options{Scheme: scheme})
		must(t, err)
		must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}))
	}
	must(t, admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"environment": namespace}}}))
}

// clock can be turned.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) turn(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// start runs a manager with the reconciler, until the function that it returns is called.
func start(t *testing.T, change func(*Options)) (stop func()) {
	t.Helper()
	skip := true
	mgr, err := ctrl.NewManager(env.RESTConfig, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Client:     client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		Controller: config.Controller{SkipNameValidation: &skip},
	})
	must(t, err)
	o := Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Metadata: mgr.GetCache(), Namespace: operatorNamespace,
		Events: mgr.GetEventRecorder("doorward-manager"), Loopback: true,
	}
	if change != nil {
		change(&o)
	}
	must(t, New(o).SetupWithManager(mgr))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the manager failed: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// received is one request that a receiver got.
type received struct {
	id, authorization string
	message           Message
}

// chat is a receiver that says no where it is told to.
type chat struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(received) int
}

func newChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{answer: func(received) int { return http.StatusOK }}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		one := received{id: r.Header.Get(headerID), authorization: r.Header.Get("Authorization")}
		if err == nil {
			err = json.Unmarshal(body, &one.message)
		}
		if err != nil {
			t.Errorf("no notification: %v: %s", err, body)
		}
		c.mu.Lock()
		c.got = append(c.got, one)
		status := c.answer(one)
		c.mu.Unlock()
		w.WriteHeader(status)
		fmt.Fprint(w, "path ", r.URL.Path)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *chat) all() []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]received(nil), c.got...)
}

func (c *chat) answers(answer func(received) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// count is how many requests were about a request for approval and an event.
func (c *chat) count(name string, event v1alpha1.NotifierEvent) int {
	n := 0
	for _, one := range c.all() {
		if one.message.Name == name && one.message.Event == string(event) {
			n++
		}
	}
	return n
}

func (c *chat) awaits(t *testing.T, name string, event v1alpha1.NotifierEvent) {
	t.Helper()
	await(t, fmt.Sprintf("notification %s of %s", event, name), func() error {
		if c.count(name, event) == 0 {
			return fmt.Errorf("not among %+v", c.all())
		}
		return nil
	})
}

// notifier makes a Notifier of a namespace with its Secret.
func notifier(t *testing.T, namespace string, c *chat, change func(*v1alpha1.Notifier, *corev1.Secret)) *v1alpha1.Notifier {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: namespace}, Type: v1alpha1.SecretTypeNotifierCredential,
		StringData: map[string]string{keyURL: c.URL + "/" + canary, keyHeaders: "Authorization: Bearer " + canary},
	}
	n := &v1alpha1.Notifier{ObjectMeta: metav1.ObjectMeta{Name: namespace}, Spec: v1alpha1.NotifierSpec{
		Secret: &v1alpha1.NotifierSecretReference{Name: namespace}, TLS: &v1alpha1.SinkTLS{Mode: v1alpha1.TLSDisabled},
		Events:     []v1alpha1.NotifierEvent{v1alpha1.NotifyRequested, v1alpha1.NotifyApproved, v1alpha1.NotifyDenied, v1alpha1.NotifyRevoked, v1alpha1.NotifyExpired},
		Namespaces: []v1alpha1.NamespaceSelector{{MatchLabels: map[string]string{"environment": namespace}}}, Connections: []v1alpha1.ConnectionSelector{{Name: "*"}},
		Markup: v1alpha1.MarkupPlain,
	}}
	if change != nil {
		change(n, secret)
	}
	must(t, admin.Create(t.Context(), secret))
	must(t, admin.Create(t.Context(), n))
	t.Cleanup(func() {
		for _, object := range []client.Object{n, secret} {
			if err := client.IgnoreNotFound(admin.Delete(context.WithoutCancel(t.Context()), object)); err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// held makes a request of a proxy, in a phase.
func held(t *testing.T, namespace, name string, phase v1alpha1.ApprovalPhase, at time.Time) *v1alpha1.ApprovalRequest {
	t.Helper()
	example := examples()[0]
	r := &v1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.ApprovalRequestSpec{
		ConnectionRef: v1alpha1.ConnectionReference{Name: "orders-db"}, Scope: v1alpha1.ApprovalScopeOperation,
		Requester: v1alpha1.Requester{Issuer: "https://issuer.example", Subject: "a", Username: "alice"},
		Operation: v1alpha1.HeldOperation{
			Digest: example.Spec.Operation.Digest, Statement: "DELETE FROM orders", Truncation: v1alpha1.TruncationNone,
			Accesses: []v1alpha1.Access{{Action: "delete", Resource: "public.orders"}},
		},
		Holder:    v1alpha1.Holder{ProxyInstance: "p", Session: "s", Nonce: strings.Repeat("0", 64)},
		Binding:   v1alpha1.Binding{ConnectionUID: "u", ConnectionGeneration: 1, Policies: []v1alpha1.BoundRule{{Name: "orders", UID: "u", Generation: 1, Rule: "deletes"}}},
		Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "dba"}}, MinimumApprovals: 1,
		ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)), Decisions: []v1alpha1.Decision{},
	}}
	must(t, admin.Create(t.Context(), r))
	become(t, r, phase, at)
	return r
}

// become writes the status as the manager does.
func become(t *testing.T, r *v1alpha1.ApprovalRequest, phase v1alpha1.ApprovalPhase, at time.Time) {
	t.Helper()
	await(t, "the status", func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if phase == "" {
			return nil
		}
		r.Status.Phase, r.Status.MinimumApprovals = phase, 1
		ended := phase != "" && phase != v1alpha1.ApprovalPending && phase != v1alpha1.ApprovalApproved
		for condition, is := range map[string]bool{
			v1alpha1.ConditionApproved: phase == v1alpha1.ApprovalApproved || phase == v1alpha1.ApprovalUsed, v1alpha1.ConditionComplete: ended,
		} {
			status := metav1.ConditionFalse
			if is {
				status = metav1.ConditionTrue
			}
			meta.SetStatusCondition(&r.Status.Conditions, metav1.Condition{Type: condition, Status: status, Reason: string(phase), LastTransitionTime: metav1.NewTime(at)})
		}
		return admin.Status().Update(t.Context(), r)
	})
}
