// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/testenv"
)

// env is the control plane that all tests share, each in a namespace of its own.
var env *testenv.Env

func TestMain(m *testing.M) {
	status := testenv.Run(m, testenv.Options{CRDs: true}, &env)
	if status == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// site is a namespace with a Connection and the rights of its proxy.
type site struct {
	t          *testing.T
	namespace  string
	admin      *Client
	core       kubernetes.Interface // of the same user, for what a proxy does not ask for
	proxy      *Client
	config     *rest.Config
	connection *v1alpha1.Connection
	key        ed25519.PrivateKey
	log        logr.Logger
}

const connectionName = "shop"

var created struct {
	sync.Mutex
	count int
}

func newSite(t *testing.T) *site {
	t.Helper()
	created.Lock()
	created.count++
	namespace := fmt.Sprintf("site-%d", created.count)
	created.Unlock()
	s := &site{t: t, namespace: namespace, log: logr.Discard()}
	ctx := t.Context()
	s.admin = client(t, env.Direct)
	var err error
	s.core, err = kubernetes.NewForConfigAndClient(env.Direct, s.admin.http)
	must(t, err)
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	s.key = key
	_, err = s.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(t, err)
	s.connection, err = s.admin.connections(namespace).Create(ctx, &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: connectionName, Namespace: namespace},
		Spec: v1alpha1.ConnectionSpec{
			Protocol:   "postgres",
			Targets:    []v1alpha1.Target{{Host: "db.example", Port: 5432}},
			Credential: v1alpha1.TargetCredential{Type: v1alpha1.CredentialSecret, Secret: &v1alpha1.SecretReference{Name: "db"}},
			Proxy: v1alpha1.Proxy{
				Placement: v1alpha1.PlacementExternal,
				External:  &v1alpha1.ExternalProxy{ServerNames: []string{"shop.example"}},
			},
		},
	}, metav1.CreateOptions{})
	must(t, err)
	s.grant()
	return s
}

// grant gives the proxy's ServiceAccount the rights that the manager would.
func (s *site) grant() {
	s.t.Helper()
	ctx, name := s.t.Context(), "doorward-"+connectionName
	meta := metav1.ObjectMeta{Name: name, Namespace: s.namespace}
	_, err := s.core.CoreV1().ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	must(s.t, err)
	read, group := []string{"get", "list", "watch"}, []string{v1alpha1.GroupName}
	_, err = s.core.RbacV1().Roles(s.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{snapshotSecret(connectionName), servingSecret(connectionName), snapshot.SinkSecretName(connectionName), "db"}, Verbs: read},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{report.ConfigMapName(connectionName)}, Verbs: []string{"get", "patch", "update"}},
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{name}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		{APIGroups: group, Resources: []string{"connections"}, ResourceNames: []string{connectionName}, Verbs: append([]string{v1alpha1.VerbServe}, read...)},
		{APIGroups: group, Resources: []string{"approvalrequests", "auditsessions"}, Verbs: append([]string{"create", "patch", "update"}, read...)},
		{APIGroups: group, Resources: []string{"auditsessions/status"}, Verbs: []string{"patch", "update"}},
	}}, metav1.CreateOptions{})
	must(s.t, err)
	_, err = s.core.RbacV1().RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: name, Namespace: s.namespace}},
	}, metav1.CreateOptions{})
	must(s.t, err)
	_, err = s.core.CoreV1().ConfigMaps(s.namespace).Create(ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: report.ConfigMapName(connectionName)}}, metav1.CreateOptions{})
	must(s.t, err)
	s.config, err = env.ServiceAccountConfig(ctx, s.namespace, name)
	must(s.t, err)
	s.proxy = client(s.t, s.config)
}

func client(t *testing.T, config *rest.Config) *Client {
	t.Helper()
	c, err := NewClient(config, nil)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is what the manager would compile at a revision.
func (s *site) snapshot(revision int64) snapshot.Snapshot {
	return snapshot.Snapshot{
		Schema: snapshot.Schema, Revision: revision, Time: time.Now().UTC(),
		Connection: snapshot.Connection{
			Namespace: s.namespace, Name: connectionName, UID: string(s.connection.UID), Generation: s.connection.Generation,
		},
		Protocol: "postgres", Targets: []snapshot.Target{{Host: "db.example", Port: 5432}}, TLS: snapshot.TLS{Mode: "VerifyFull"},
		Credential: snapshot.Credential{Type: "Secret", Secret: "db"}, MaxStalenessSeconds: 30,
	}
}

// seal is the data of the snapshot Secret.
func (s *site) seal(next snapshot.Snapshot, beat *snapshot.Heartbeat) map[string][]byte {
	s.t.Helper()
	data, err := snapshot.Seal(next, s.key)
	must(s.t, err)
	if beat != nil {
		more, err := snapshot.SealHeartbeat(*beat, s.key)
		must(s.t, err)
		maps.Copy(data, more)
	}
	return data
}

func (s *site) beat(next snapshot.Snapshot, at time.Time) *snapshot.Heartbeat {
	return &snapshot.Heartbeat{UID: next.Connection.UID, Revision: next.Revision, Time: at.UTC()}
}

// put writes a Secret as the manager or a user would.
func (s *site) put(name string, kind corev1.SecretType, data map[string][]byte) {
	s.t.Helper()
	secrets := s.core.CoreV1().Secrets(s.namespace)
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: data}
	_, err := secrets.Update(s.t.Context(), object, metav1.UpdateOptions{})
	if err != nil {
		_, err = secrets.Create(s.t.Context(), object, metav1.CreateOptions{})
	}
	must(s.t, err)
}

func (s *site) putSnapshot(data map[string][]byte) {
	s.t.Helper()
	s.put(snapshotSecret(connectionName), v1alpha1.SecretTypeSnapshot, data)
}

// state is a proxy's small durable state.
func state(t *testing.T) *spool.State {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	must(t, os.MkdirAll(dir, 0o700))
	kept, err := spool.OpenState(dir)
	must(t, err)
	return kept
}

// run runs a part until the test ends.
func run(t *testing.T, part func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		part(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

const (
	// patience is how long a machine with much else to do may need for anything.
	patience = time.Minute
	// busy is how much later such a machine may do what takes a second.
	busy = 20 * time.Second
)

// eventually waits for what another process brings about.
func eventually(t *testing.T, what string, done func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for time.Since(began) < patience {
		if done() {
			return time.Since(began)
		}
		<-look.C
	}
	t.Fatalf("waited %s in vain: %s", patience, what)
	return 0
}

// status writes an ApprovalRequest's status as the manager would.
func (s *site) status(name, patch string) {
	s.t.Helper()
	_, err := s.admin.approvalRequests(s.namespace).Patch(s.t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	must(s.t, err)
}
