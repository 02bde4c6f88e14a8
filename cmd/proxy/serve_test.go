// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
	"github.com/doorward/doorward/test/testenv"
)

var env *testenv.Env

func TestMain(m *testing.M) {
	status := testenv.Run(m, testenv.Options{CRDs: true}, &env)
	if err := goleak.Find(); status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// site is what the manager would have made for one External Connection.
type site struct {
	t    *testing.T
	core kubernetes.Interface
	key  ed25519.PrivateKey
	uid  string
	ca   *testcert.CA
	log  string // directory of the File sink
}

const namespace = "data"

// clientset is an administrator's, whose connections end with the test.
func clientset(t *testing.T) (kubernetes.Interface, error) {
	t.Helper()
	tlsConfig, err := rest.TLSConfigFor(env.Direct)
	must(t, err)
	transport := &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	proven, err := rest.HTTPWrappersForConfig(env.Direct, transport)
	must(t, err)
	return kubernetes.NewForConfigAndClient(env.Direct, &http.Client{Transport: proven})
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, log: t.TempDir()}
	var err error
	s.core, err = clientset(t)
	must(t, err)
	_, s.key, err = ed25519.GenerateKey(nil)
	must(t, err)
	s.ca, err = testcert.NewCA("test")
	must(t, err)
	ctx := t.Context()
	_, err = s.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	must(t, err)
	connection := filepath.Join(t.TempDir(), "connection.yaml")
	must(t, os.WriteFile(connection, []byte(`{apiVersion: doorward.dev/v1alpha1, kind: Connection, metadata: {name: shop, namespace: data},
spec: {protocol: postgres, targets: [{host: 127.0.0.1, port: 5432}], credential: {type: Secret, secret: {name: db}},
proxy: {placement: External, external: {serverNames: [localhost]}}}}`), 0o600))
	must(t, env.Apply(ctx, connection))
	uid, err := env.Kubectl(ctx, env.Direct, "-n", namespace, "get", "connection", "shop", "-o", "jsonpath={.metadata.uid}")
	must(t, err)
	s.uid = uid
	_, err = s.core.CoreV1().ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "doorward-shop-proxies"}}, metav1.CreateOptions{})
	must(t, err)
	s.secret("db", v1alpha1.SecretTypeCredential, map[string][]byte{
		"username": []byte("app"), "password": []byte("canary-password"), "connection": []byte("shop"), "addresses": []byte("127.0.0.1:5432"),
	})
	pair, err := s.ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}})
	must(t, err)
	s.secret("doorward-shop-serving", corev1.SecretTypeTLS, map[string][]byte{corev1.TLSCertKey: pair.CertPEM, corev1.TLSPrivateKeyKey: pair.KeyPEM})
	next := snapshot.Snapshot{
		Schema: snapshot.Schema, Revision: 1, Time: time.Now().UTC(), Connection: snapshot.Connection{Namespace: namespace, Name: "shop", UID: uid, Generation: 1},
		Protocol: "postgres", Targets: []snapshot.Target{{Host: "127.0.0.1", Port: 5432}}, TLS: snapshot.TLS{Mode: "VerifyFull"},
		Credential: snapshot.Credential{Type: "Secret", Secret: "db"}, MaxStalenessSeconds: 300,
		Sinks: []snapshot.Sink{{Name: "files", Type: "File", File: &snapshot.FileSink{Directory: s.log}}},
	}
	data, err := snapshot.Seal(next, s.key)
	must(t, err)
	beat, err := snapshot.SealHeartbeat(snapshot.Heartbeat{UID: uid, Revision: 1, Time: time.Now().UTC()}, s.key)
	must(t, err)
	maps.Copy(data, beat)
	s.secret("doorward-shop-snapshot", v1alpha1.SecretTypeSnapshot, data)
	return s
}

func (s *site) secret(name string, kind corev1.SecretType, data map[string][]byte) {
	s.t.Helper()
	_, err := s.core.CoreV1().Secrets(namespace).Create(s.t.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, Data: data}, metav1.CreateOptions{})
	must(s.t, err)
}

// port is a free port on loopback.
func port(t *testing.T) string {
	t.Helper()
	address, err := proc.FreeAddress(t.Context())
	must(t, err)
	return address
}

func (s *site) options(dir string) options {
	return options{
		connections: []string{"data/shop"}, listen: map[string]string{"data/shop": port(s.t)}, kubeconfig: env.Kubeconfig,
		snapshotKey: s.key.Public().(ed25519.PublicKey), spool: dir, instance: "proxy-0",
		drainTimeout: time.Second, healthAddress: port(s.t),
	}
}

// become waits for a state of readiness.
func become(t *testing.T, address string, is func(code int, body string) bool) {
	t.Helper()
	code, body := 0, ""
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); !is(code, body); <-look.C {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("readiness: %d %s", code, body)
		}
		code, body = ready(t, address)
	}
}

func ready(t *testing.T, address string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	body, err := io.ReadAll(answer.Body)
	must(t, errors.Join(err, answer.Body.Close()))
	return answer.StatusCode, string(body)
}

// The proxy comes up from its objects alone, shows its certificate, refuses an
// unproven caller on record, is the only one with its id, and leaves in order. Until
// its credential was read it is not ready, and nobody looks at the target.
func TestServe(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "spool")
	o := s.options(dir)
	o.shutdownDelay = 3 * time.Second
	secrets := s.core.CoreV1().Secrets(namespace)
	credential, err := secrets.Get(t.Context(), "db", metav1.GetOptions{})
	must(t, err)
	must(t, secrets.Delete(t.Context(), "db", metav1.DeleteOptions{}))
	looks := make(chan string, 100)
	log := funcr.New(func(_, args string) {
		if strings.Contains(args, "Cannot look at who is logged in") {
			select {
			case looks <- args:
			default:
			}
		}
	}, funcr.Options{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, o, log) }()
	defer stop()
	become(t, o.healthAddress, func(_ int, body string) bool { return strings.TrimSpace(body) == "credential of connection data/shop" })
	if len(looks) != 0 {
		t.Errorf("a look without a credential: %s", <-looks)
	}
	s.secret("db", credential.Type, credential.Data)
	become(t, o.healthAddress, func(code int, _ string) bool { return code == http.StatusOK })
	// The look comes with the credential; the snapshot names no databases.
	if look := <-looks; !strings.Contains(look, "spec.options") {
		t.Errorf("the first look: %s", look)
	}
	must(t, secrets.Delete(t.Context(), "db", metav1.DeleteOptions{}))
	reported := func() string {
		reports, err := s.core.CoreV1().ConfigMaps(namespace).Get(t.Context(), "doorward-shop-proxies", metav1.GetOptions{})
		must(t, err)
		return reports.Data["proxy-0"]
	}
	become(t, o.healthAddress, func(int, string) bool { return strings.Contains(reported(), v1alpha1.ReasonSecretNotFound) })
	if code, body := ready(t, o.healthAddress); code != http.StatusOK {
		t.Errorf("with a credential that is away for a moment: %d %s", code, body)
	}
	refused(t, s, o.listen["data/shop"])

	// Another with the same id, and a disk of its own, is refused.
	second := s.options(filepath.Join(t.TempDir(), "spool"))
	if err := serve(context.Background(), second, logr.Discard()); !errors.Is(err, kube.ErrDuplicateInstance) {
		t.Errorf("a second proxy with the same id: %v, want %v", err, kube.ErrDuplicateInstance)
	}
	// A second process on the same log, too.
	if err := serve(context.Background(), o, logr.Discard()); !errors.Is(err, spool.ErrLocked) {
		t.Errorf("a second proxy on the same log: %v, want %v", err, spool.ErrLocked)
	}
	stop()
	// A Service is told at once, and clients that it still sends are taken.
	if code, body := ready(t, o.healthAddress); code != http.StatusServiceUnavailable || body != "proxy\n" {
		t.Errorf("readiness after the stop: %d %q, want 503 and which check says so", code, body)
	}
	var dialer net.Dialer
	late, err := dialer.DialContext(t.Context(), "tcp", o.listen["data/shop"])
	must(t, err)
	must(t, late.Close())
	if err := <-done; err != nil {
		t.Errorf("serve() = %v", err)
	}
	var kinds []record.Type
	onDisk, last := 0, record.Type("")
	for r, err := range spool.Records(dir) {
		must(t, err)
		d, err := record.Decode(r.JSON)
		must(t, err)
		onDisk, last = onDisk+1, d.Type
		if d.Type != record.Checkpoint {
			kinds = append(kinds, d.Type)
		}
	}
	for i, want := range []record.Type{record.ProxyStart, record.SnapshotApplied, record.AuthenticationFailed, record.ProxyStop} {
		if i >= len(kinds) || kinds[i] != want {
			t.Fatalf("on record: %v, want ProxyStart, SnapshotApplied, AuthenticationFailed, ProxyStop", kinds)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.log, "*.jsonl"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("files of the sink: %v, want one", files)
	}
	delivered, err := os.ReadFile(files[0])
	must(t, err)
	if got := strings.Count(string(delivered), "\n"); got != onDisk || last != record.Checkpoint {
		t.Errorf("%d records delivered, the last is %s; want %d, and the checkpoint that closes the log", got, last, onDisk)
	}
	if reports, err := s.core.CoreV1().ConfigMaps(namespace).Get(t.Context(), "doorward-shop-proxies", metav1.GetOptions{}); err != nil || len(reports.Data) != 0 {
		t.Errorf("reports after the end: %v, %v, want none", reports, err)
	}
}

// refused speaks PostgreSQL as far as TLS and gives a token of nobody.
func refused(t *testing.T, s *site, address string) {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}) // SSLRequest
	must(t, err)
	answer := make([]byte, 1)
	_, err = io.ReadFull(conn, answer)
	must(t, err)
	if answer[0] != 'S' {
		t.Fatalf("answer to SSLRequest: %q", answer)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.PEM)
	secured := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	must(t, secured.HandshakeContext(t.Context()))
	startup := append([]byte{0, 3, 0, 0}, "user\x00alice\x00database\x00shop\x00\x00"...)
	_, err = secured.Write(append([]byte{0, 0, 0, byte(len(startup) + 4)}, startup...))
	must(t, err)
	password := "not-a-token\x00"
	_, err = secured.Write(append([]byte{'p', 0, 0, 0, byte(len(password) + 4)}, password...))
	must(t, err)
	said, err := io.ReadAll(secured)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Logf("the connection ended with %v", err)
	}
	if !strings.Contains(string(said), "token") {
		t.Errorf("the caller hears %q, want that the token was not accepted", said)
	}
}
