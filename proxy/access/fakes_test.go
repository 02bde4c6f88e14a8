// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/recordtest"
	"github.com/doorward/doorward/proxy/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBoom = errors.New("boom")

// rules is what a fake engine answers; the zero value denies everything.
type rules struct {
	connect, decide policy.Decision
	err             error
	masks           []policy.Mask
	limits          []policy.Limits
	role            string
	roleErr         error
	// asked, where not nil, is called before Decide answers.
	asked func()
}

func (r rules) Connect(context.Context, identity.Principal) (policy.Decision, error) {
	return deny(r.connect), r.err
}

func (r rules) Decide(context.Context, identity.Principal, policy.Operation) (policy.Decision, error) {
	if r.asked != nil {
		r.asked()
	}
	return deny(r.decide), r.err
}

func (r rules) Masks(identity.Principal) []policy.Mask { return r.masks }

func (r rules) Limits(identity.Principal) []policy.Limits { return r.limits }

func (r rules) TargetRole(identity.Principal) (string, error) { return r.role, r.roleErr }

func deny(d policy.Decision) policy.Decision {
	if d.Effect == "" {
		d.Effect = policy.Deny
	}
	return d
}

var (
	ref      = policy.RuleRef{Policy: "shop", UID: "p-1", Generation: 1, Rule: "all"}
	allowing = rules{connect: decision(policy.Allow), decide: decision(policy.Allow)}
	asking   = rules{connect: decision(policy.Allow), decide: needsApproval(ref)}
	cards    = policy.Mask{Policy: "shop", Name: "cards", Fields: []string{"card"}, Method: policy.Method{Type: "Redact"}}
)

func decision(effect policy.Effect) policy.Decision {
	return policy.Decision{Effect: effect, Rules: []policy.RuleRef{ref}}
}

func needsApproval(rule policy.RuleRef) policy.Decision {
	return policy.Decision{
		Effect: policy.RequireApproval, Rules: []policy.RuleRef{rule},
		Approval: []policy.ApprovalTerms{
			{Approvers: []policy.Subject{{Kind: "Group", Name: "dba"}}, Minimum: 1, TimeoutSeconds: 600},
			{Approvers: []policy.Subject{{Kind: "User", Name: "oidc:carol"}}, Minimum: 1, TimeoutSeconds: 60},
		},
	}
}

// world is a Gate with fakes all around.
type world struct {
	t         *testing.T
	gate      *Gate
	log       *recordtest.Log
	approvals *approvals
	dialer    *dialer
	caller    identity.Principal
	verifyErr error
	connected snapshot.Snapshot

	mu      sync.Mutex
	engines map[int64]policy.Engine // by the marker in the policy set
}

func newWorld(t *testing.T, r rules) *world {
	t.Helper()
	w := &world{
		t: t, log: recordtest.NewLog(), dialer: &dialer{},
		caller: identity.Principal{
			Provider: "corp", Issuer: "https://issuer.example", Subject: "1", UserName: "alice", KubernetesUser: "oidc:alice",
			Groups: []string{"analysts"}, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Now().Add(time.Hour),
		},
		engines: map[int64]policy.Engine{},
		connected: snapshot.Snapshot{
			Connection: snapshot.Connection{Namespace: "data", Name: "shop", UID: "c-1", Generation: 1},
			Protocol:   "postgres", Targets: []snapshot.Target{{Host: "db.example", Port: 5432}}, TLS: snapshot.TLS{Mode: "VerifyFull"},
			MaxStalenessSeconds: 300,
			IdentityProviders:   []snapshot.IdentityProvider{{Name: "corp", Type: "OIDC", OIDC: &snapshot.OIDC{IssuerURL: "https://issuer.example"}}},
		},
	}
	w.approvals = newApprovals()
	var err error
	w.gate, err = NewGate(Config{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"}, Log: w.log,
		NewEngine: func(_ context.Context, set policy.Set, _ policy.About) (policy.Engine, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			engine := w.engines[set.Policies[0].Generation]
			if engine == nil {
				return nil, errBoom
			}
			return engine, nil
		},
		NewVerifier: func(context.Context, *snapshot.Snapshot) (identity.Verifier, error) { return w, nil },
		Approvals:   w.approvals, Dialer: w.dialer, TLS: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.apply(r)
	w.gate.Heartbeat(0)
	t.Cleanup(func() { w.gate.Close(ErrDraining) })
	return w
}

// Verify makes the world its own verifier.
func (w *world) Verify(context.Context, identity.Credential) (identity.Principal, error) {
	return w.caller, w.verifyErr
}

// apply puts rules in force at the next revision, with changes to the snapshot.
func (w *world) apply(r rules, change ...func(*snapshot.Snapshot)) {
	w.t.Helper()
	if err := w.tryApply(r, change...); err != nil {
		w.t.Fatalf("Apply: %v", err)
	}
}

func (w *world) tryApply(r policytest.Rules, change ...func(*snapshot.Snapshot)) error {
	if r == nil {
		return w.tryEngine(nil, change...)
	}
	return w.tryEngine(policytest.Engine(r), change...)
}

// tryEngine puts an engine in force at the next revision.
func (w *world) tryEngine(engine policy.Engine, change ...func(*snapshot.Snapshot)) error {
	next := w.connected
	next.Revision++
	next.Policies = policy.Set{Policies: []policy.Policy{{Name: "shop", Generation: next.Revision}}}
	w.mu.Lock()
	w.engines[next.Revision] = engine
	w.mu.Unlock()
	for _, c := range change {
		c(&next)
	}
	w.connected = next
	return w.gate.Apply(context.Background(), &next)
}

func (w *world) entry() *Entry {
	return w.gate.Entry(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000})
}

func (w *world) authenticate() *Caller {
	w.t.Helper()
	caller, err := w.entry().Authenticate(context.Background(), identity.BearerToken("token"))
	if err != nil {
		w.t.Fatalf("Authenticate: %v", err)
	}
	return caller
}

func (w *world) authorize() *Grant {
	w.t.Helper()
	grant, err := w.authenticate().Authorize(context.Background())
	if err != nil {
		w.t.Fatalf("Authorize: %v", err)
	}
	return grant
}

// statement is an operation whose answer can be masked and that can be held.
func statement(change ...func(*Ask)) Ask {
	ask := Ask{
		Operation: record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT 1",
			Accesses: []policy.Access{{Action: "select", Resource: "public.orders"}},
		},
		CheckMasks: func(mask.Rules) error { return nil },
		Hold:       func(Notice) {},
	}
	for _, c := range change {
		c(&ask)
	}
	return ask
}

// reason is the Reason of an error's Refusal, "" for none.
func reason(err error) Reason {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// dialer connects to nothing.
type dialer struct {
	err  error
	wait bool
}

func (d *dialer) Dial(ctx context.Context, s *snapshot.Snapshot) (Upstream, error) {
	if d.wait {
		<-ctx.Done()
		return Upstream{}, context.Cause(ctx)
	}
	if d.err != nil {
		return Upstream{}, d.err
	}
	here, there := net.Pipe()
	_ = there.Close()
	return Upstream{Conn: here, Target: s.Targets[0]}, nil
}

// approvals hands out requests that the test decides.
type approvals struct {
	err   error
	asked chan *request
	late  time.Duration
}

func newApprovals() *approvals { return &approvals{asked: make(chan *request, 8)} }

func (a *approvals) Ask(_ context.Context, q Question) (Pending, error) {
	if a.err != nil {
		return nil, a.err
	}
	r := &request{question: q, late: a.late, outcome: make(chan Outcome, 1), withdrawn: make(chan string, 8)}
	a.asked <- r
	return r, nil
}

type request struct {
	question  Question
	outcome   chan Outcome
	withdrawn chan string
	useErr    error
	late      time.Duration
	// using, where not nil, is called by Use.
	using func()

	mu   sync.Mutex
	used int
}

func (r *request) Request() Request {
	return Request{Namespace: "data", Name: "shop-x", UID: "r-1", Digest: r.question.Operation.Digest, ExpiresAt: r.question.ExpiresAt}
}

func (r *request) Wait(ctx context.Context) (Outcome, error) {
	select {
	case o := <-r.outcome:
		<-time.After(r.late)
		return o, nil
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
}

func (r *request) Use(context.Context) error {
	if r.using != nil {
		r.using()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used++
	return r.useErr
}

func (r *request) Withdraw(reason string) { r.withdrawn <- reason }

func (r *request) uses() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}
