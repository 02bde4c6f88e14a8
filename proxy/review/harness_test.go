// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/rego"
	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/review"
	"github.com/doorward/doorward/proxy/review/wire"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/oidctest"
	"github.com/doorward/doorward/test/testcert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long anything may take on a loaded machine.
const bound = 60 * time.Second

// audience is what tokens for this proxy name.
const audience = "doorward"

// house is a proxy's gate with the real identity code, engine and server around the
// handler; only the disk is in memory, and there is no target.
type house struct {
	t       *testing.T
	issuer  *oidctest.Server
	gate    *access.Gate
	log     *recordtest.Log
	address string
	client  *http.Client
	roots   *x509.CertPool
	server  *server.Server
	stop    func()

	mu       sync.Mutex
	last     snapshot.Snapshot
	outcomes map[string]int
	asked    func() // called when the engine is asked for a standing
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// slow is an engine that tells when it is asked.
type slow struct {
	policy.Engine
	house *house
}

func (s slow) Standing(ctx context.Context, who identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	s.house.mu.Lock()
	asked := s.house.asked
	s.house.mu.Unlock()
	if asked != nil {
		asked()
	}
	return s.Engine.Standing(ctx, who, at)
}

// newHouse opens a proxy under policies.
func newHouse(t *testing.T, options server.Options, policies ...policy.Policy) *house {
	t.Helper()
	h := &house{t: t, log: recordtest.NewLog(), roots: x509.NewCertPool(), outcomes: map[string]int{}}
	var err error
	h.issuer, err = oidctest.Start()
	must(t, err)
	t.Cleanup(func() { must(t, h.issuer.Close()) })
	ca, err := testcert.NewCA("review")
	must(t, err)
	pair, err := ca.Issue(testcert.Request{CommonName: "localhost", DNSNames: []string{"localhost"}})
	must(t, err)
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	must(t, err)
	h.roots.AppendCertsFromPEM(ca.PEM)
	pool := oidc.NewPool(context.WithoutCancel(t.Context()))
	t.Cleanup(pool.Close)
	h.gate, err = access.NewGate(access.Config{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"}, Log: h.log,
		NewEngine: func(ctx context.Context, set policy.Set, about policy.About) (policy.Engine, error) {
			engine, err := rego.NewEngine(ctx, set, about)
			return slow{engine, h}, err
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) {
			return pool.Chain([]oidc.Config{{
				Name: "corp", IssuerURL: h.issuer.URL(), Audiences: []string{audience}, UsernameClaim: "preferred_username", GroupsClaim: "groups",
				KindClaim: "kind", CertificateAuthorityPEM: h.issuer.CertificateAuthorityPEM, KubernetesUsernamePrefix: new(string),
			}})
		},
		Approvals: nobody{}, Dialer: nobody{}, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	})
	must(t, err)
	h.last = snapshot.Snapshot{
		Schema: snapshot.Schema, Time: time.Now(), Connection: snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1", Generation: 1},
		Protocol: "postgres", Targets: []snapshot.Target{{Host: "db.example", Port: 5432}}, TLS: snapshot.TLS{Mode: "VerifyFull"},
		MaxStalenessSeconds: 300, Session: snapshot.Session{MaxDurationSeconds: 600},
		IdentityProviders: []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: h.issuer.URL()}}},
	}
	h.apply(policies...)
	h.gate.Heartbeat(0)

	main, err := server.Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	own, err := server.Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	h.address = own.Addr().String()
	vocabulary := postgres.New().Vocabulary()
	handler := review.New(review.Options{
		Vocabulary: func(protocol string) (policy.Vocabulary, bool) { return vocabulary, protocol == "postgres" },
		Answered: func(outcome string) {
			h.mu.Lock()
			h.outcomes[outcome]++
			h.mu.Unlock()
		},
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	h.server = server.New(options, server.Endpoint{
		Name: "data/shop", Listener: main, Gate: h.gate, Handler: postgres.New().NewHandler(), Also: []server.Port{{Listener: own, Handler: handler}},
	})
	done := make(chan struct{})
	go func() { defer close(done); h.server.Run(ctx) }()
	h.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(h.stop)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	h.client = &http.Client{Transport: transport, Timeout: bound, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("a redirect")
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return h
}

// apply puts policies in force at the next revision.
func (h *house) apply(policies ...policy.Policy) {
	h.t.Helper()
	h.mu.Lock()
	h.last.Revision++
	h.last.Policies = policy.Set{Policies: policies}
	next := h.last
	h.mu.Unlock()
	must(h.t, h.gate.Apply(context.WithoutCancel(h.t.Context()), &next))
}

// token is one of the issuer; claims may take away and add.
func (h *house) token(user string, change ...map[string]any) string {
	h.t.Helper()
	claims := map[string]any{"sub": "id-" + user, "preferred_username": user, "aud": audience, "groups": []string{"analysts"}}
	for _, more := range change {
		for name, value := range more {
			claims[name] = value
		}
	}
	text, err := h.issuer.Token(claims)
	must(h.t, err)
	return text
}

// reply is what came back.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

// post asks; edit changes the request before it is sent.
func (h *house) post(path, token string, question any, edit ...func(*http.Request)) reply {
	h.t.Helper()
	text, raw := question.(string)
	if !raw {
		encoded, err := json.Marshal(question)
		must(h.t, err)
		text = string(encoded)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "https://"+h.address+path, bytes.NewReader([]byte(text)))
	must(h.t, err)
	request.Header.Set("Content-Type", wire.MediaType)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, change := range edit {
		change(request)
	}
	answer, err := h.client.Do(request)
	must(h.t, err)
	body, err := io.ReadAll(answer.Body)
	must(h.t, errors.Join(err, answer.Body.Close()))
	return reply{answer.StatusCode, answer.Header, body}
}

// ask asks about one operation.
func (h *house) ask(token string, accesses ...wire.Access) (*wire.AccessStatus, reply) {
	h.t.Helper()
	got := h.post(wire.AccessPath, token, operation(accesses...))
	var answer wire.SelfAccessReview
	if got.code != http.StatusOK {
		return nil, got
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		h.t.Fatalf("%d %q: %v", got.code, got.body, err)
	}
	return answer.Status, got
}

// list asks for everything.
func (h *house) list(token string) (*wire.RulesStatus, reply) {
	h.t.Helper()
	got := h.post(wire.RulesPath, token, wire.SelfRulesReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.RulesKind}})
	var answer wire.SelfRulesReview
	if got.code != http.StatusOK {
		return nil, got
	}
	if err := json.Unmarshal(got.body, &answer); err != nil {
		h.t.Fatalf("%d %q: %v", got.code, got.body, err)
	}
	return answer.Status, got
}

func operation(accesses ...wire.Access) wire.SelfAccessReview {
	return wire.SelfAccessReview{TypeMeta: wire.TypeMeta{APIVersion: wire.Version, Kind: wire.AccessKind}, Spec: wire.AccessSpec{Accesses: accesses}}
}

// dial opens a TLS connection to the port, for clients that are no good HTTP clients.
func (h *house) dial() *tls.Conn {
	h.t.Helper()
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: bound}, Config: &tls.Config{RootCAs: h.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(h.t.Context(), "tcp", h.address)
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	must(h.t, conn.SetDeadline(time.Now().Add(bound)))
	return conn.(*tls.Conn)
}

// nobody approves, and nobody reaches a target: a question must not try.
type nobody struct{}

func (nobody) Ask(context.Context, access.Question) (access.Pending, error) {
	panic("a question asked for an approval")
}

func (nobody) Dial(context.Context, *snapshot.Snapshot) (access.Upstream, error) {
	panic("a question reached for the target")
}

// stale makes the last proof of freshness too old: the bound shrinks to a second, which
// is awaited.
func (h *house) stale() {
	h.t.Helper()
	h.last.MaxStalenessSeconds = 1
	h.apply(shop()...)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for began := time.Now(); h.gate.Ready() == nil; <-look.C {
		if time.Since(began) > bound {
			h.t.Fatal("the gate stays open")
		}
	}
}

func withBound(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(context.WithoutCancel(t.Context()), bound)
}
