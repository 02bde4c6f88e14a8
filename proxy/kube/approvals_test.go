// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func (s *site) question(change ...func(*access.Question)) access.Question {
	q := access.Question{
		Connection: s.snapshot(1).Connection, Session: "shop-s1",
		Requester: identity.Principal{
			Provider: "corp", Issuer: "https://issuer.example", Subject: "1", UserName: "alice", KubernetesUser: "oidc:alice", Groups: []string{"analysts"},
		},
		Operation: record.Operation{
			Protocol: "postgres", Kind: "UPDATE", Statement: "UPDATE orders SET paid = true", Digest: digest,
			Accesses: []policy.Access{{Action: "update", Resource: "public.orders"}}, Properties: []string{"unboundedWrite"},
		},
		Rules: []policy.RuleRef{{Policy: "shop", UID: "p-1", Generation: 3, Rule: "writes"}},
		Terms: []policy.ApprovalTerms{
			{Approvers: []policy.Subject{{Kind: "Group", Name: "dba"}}, Minimum: 1, TimeoutSeconds: 60},
			{Approvers: []policy.Subject{{Kind: "Group", Name: "dba"}, {Kind: "User", Name: "oidc:carol"}}, Minimum: 2, TimeoutSeconds: 60},
		},
		Nonce: [32]byte{1}, ExpiresAt: time.Now().Add(time.Minute),
	}
	for _, c := range change {
		c(&q)
	}
	return q
}

func (s *site) approvals() *Approvals {
	return NewApprovals(s.proxy, s.namespace, connectionName, "proxy-0", s.log)
}

// decide adds decisions to a request and writes what the manager makes of them.
func (s *site) decide(name string, phase v1alpha1.ApprovalPhase, decisions ...v1alpha1.Decision) {
	s.t.Helper()
	var states []string
	for i, d := range decisions {
		patch := fmt.Sprintf(`[{"op":"add","path":"/spec/decisions/-","value":{"verdict":%q,"operationDigest":%q,"comment":%q,"approver":{"username":%q}}}]`,
			d.Verdict, d.OperationDigest, d.Comment, d.Approver.Username)
		_, err := s.admin.approvalRequests(s.namespace).Patch(s.t.Context(), name, types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
		must(s.t, err)
		states = append(states, fmt.Sprintf(`{"index":%d,"state":"Counted","reason":"Counted"}`, i))
	}
	s.status(name, fmt.Sprintf(`{"status":{"phase":%q,"approvals":%d,"decisions":[%s]}}`, phase, len(decisions), strings.Join(states, ",")))
}

func by(name string, verdict v1alpha1.Verdict) v1alpha1.Decision {
	return v1alpha1.Decision{
		Verdict: verdict, OperationDigest: digest, Comment: "seen", Approver: &v1alpha1.DecisionApprover{Username: name},
	}
}

func TestAskCreatesTheRequest(t *testing.T) {
	s := newSite(t)
	a := s.approvals()
	run(t, a.Run)
	pending, err := a.Ask(t.Context(), s.question())
	must(t, err)
	got, err := s.admin.approvalRequests(s.namespace).Get(t.Context(), pending.Request().Name, metav1.GetOptions{})
	must(t, err)
	want := v1alpha1.ApprovalRequestSpec{
		ConnectionRef: v1alpha1.ConnectionReference{Name: connectionName}, Scope: v1alpha1.ApprovalScopeOperation,
		Requester: v1alpha1.Requester{Issuer: "https://issuer.example", Subject: "1", Username: "oidc:alice", Groups: []string{"analysts"}},
		Operation: v1alpha1.HeldOperation{
			Digest: digest, Statement: "UPDATE orders SET paid = true", Truncation: v1alpha1.TruncationNone,
			Accesses: []v1alpha1.Access{{Action: "update", Resource: "public.orders"}}, Properties: []string{"unboundedWrite"},
		},
		// The secret stays in memory; this is its digest.
		Holder: v1alpha1.Holder{ProxyInstance: "proxy-0", Session: "shop-s1", Nonce: "01d0fabd251fcbbe2b93b4b927b26ad2a1a99077152e45ded1e678afa45dbec5"},
		Binding: v1alpha1.Binding{
			ConnectionUID: string(s.connection.UID), ConnectionGeneration: 1,
			Policies: []v1alpha1.BoundRule{{Name: "shop", UID: "p-1", Generation: 3, Rule: "writes"}},
		},
		Approvers: []v1alpha1.Approver{
			{Kind: v1alpha1.ApproverGroup, Name: "dba"}, {Kind: v1alpha1.ApproverUser, Name: "oidc:carol"},
		},
		MinimumApprovals: 2, Decisions: []v1alpha1.Decision{},
	}
	got.Spec.ExpiresAt = metav1.Time{}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec: -want +got:\n%s", diff)
	}
	if !strings.HasPrefix(got.Name, connectionName+"-") || got.Labels[labelConnection] != connectionName {
		t.Errorf("name %q, labels %v", got.Name, got.Labels)
	}
}

// checklist 37: an approver sees no control characters and is told what is missing.
func TestWhatApproversSee(t *testing.T) {
	s := newSite(t)
	payload := "SELECT 1; " + strings.Repeat("-- harmless\n", 200_000) + "DROP TABLE orders"
	cases := map[string]struct {
		statement  string
		truncation v1alpha1.Truncation
		hidden     string
	}{
		"Escape":   {statement: "UPDATE a -- \x1b[2K\x1b[1A harmless", truncation: v1alpha1.TruncationNone, hidden: "\x1b"},
		"Override": {statement: "UPDATE a -- \u202e txet", truncation: v1alpha1.TruncationNone, hidden: "\u202e"},
		"Long":     {statement: payload, truncation: v1alpha1.TruncationTruncated},
		"JustLong": {statement: "UPDATE a -- " + strings.Repeat("ä", 9000), truncation: v1alpha1.TruncationTruncated},
		"Empty":    {statement: "", truncation: v1alpha1.TruncationNone},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pending, err := s.approvals().Ask(t.Context(), s.question(func(q *access.Question) { q.Operation.Statement = c.statement }))
			must(t, err)
			got, err := s.admin.approvalRequests(s.namespace).Get(t.Context(), pending.Request().Name, metav1.GetOptions{})
			must(t, err)
			shown := got.Spec.Operation
			if shown.Truncation != c.truncation || c.hidden != "" && strings.Contains(shown.Statement, c.hidden) || len([]rune(shown.Statement)) > maxStatement {
				t.Errorf("shown: %.80q (%d characters), %s, want %s and nothing hidden", shown.Statement, len([]rune(shown.Statement)), shown.Truncation, c.truncation)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	s := newSite(t)
	a := s.approvals()
	run(t, a.Run)
	cases := map[string]struct {
		reason string
		then   func(name string)
		want   access.Outcome
	}{
		"Approved": {
			reason: "the manager counted enough",
			then: func(name string) {
				s.decide(name, v1alpha1.ApprovalApproved, by("oidc:bob", v1alpha1.VerdictApprove), by("oidc:carol", v1alpha1.VerdictApprove))
			},
			want: access.Outcome{State: access.Approved, Approvers: []string{"oidc:bob", "oidc:carol"}},
		},
		"Denied": {
			reason: "an approver said no",
			then:   func(name string) { s.decide(name, v1alpha1.ApprovalDenied, by("oidc:bob", v1alpha1.VerdictDeny)) },
			want:   access.Outcome{State: access.Denied, Approvers: []string{"oidc:bob"}, Message: "seen"},
		},
		"TooFew": {
			reason: "checklist 32: a status that its decisions do not bear out is not believed",
			then: func(name string) {
				s.decide(name, v1alpha1.ApprovalApproved, by("oidc:bob", v1alpha1.VerdictApprove), by("oidc:bob", v1alpha1.VerdictApprove))
			},
			want: access.Outcome{State: access.Void, Message: "its status says approved, its decisions do not"},
		},
		"Self": {
			reason: "checklist 32: the requester does not count",
			then: func(name string) {
				s.decide(name, v1alpha1.ApprovalApproved, by("oidc:alice", v1alpha1.VerdictApprove), by("oidc:bob", v1alpha1.VerdictApprove))
			},
			want: access.Outcome{State: access.Void, Message: "its status says approved, its decisions do not"},
		},
		"Expired": {reason: "its time is over", then: func(name string) { s.decide(name, v1alpha1.ApprovalExpired) }, want: access.Outcome{State: access.Expired}},
		"Stale": {
			reason: "checklist 33: the manager saw an edit", then: func(name string) { s.decide(name, v1alpha1.ApprovalStale) },
			want: access.Outcome{State: access.Stale, Message: "the connection or a policy changed since"},
		},
		"Deleted": {
			reason: "what is gone cannot be approved",
			then: func(name string) {
				must(t, s.admin.approvalRequests(s.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
			},
			want: access.Outcome{State: access.Void, Message: "it was deleted"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pending, err := a.Ask(t.Context(), s.question())
			must(t, err)
			var manager sync.WaitGroup
			defer manager.Wait()
			manager.Go(func() { c.then(pending.Request().Name) })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := pending.Wait(ctx)
			must(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
		})
	}
}

// checklist 35: marked once, before use.
func TestUse(t *testing.T) {
	s := newSite(t)
	a := s.approvals()
	run(t, a.Run)
	approved := func() (*pending, string) {
		p, err := a.Ask(t.Context(), s.question())
		must(t, err)
		name := p.Request().Name
		s.decide(name, v1alpha1.ApprovalApproved, by("oidc:bob", v1alpha1.VerdictApprove), by("oidc:carol", v1alpha1.VerdictApprove))
		if o, err := p.Wait(t.Context()); err != nil || o.State != access.Approved {
			t.Fatalf("Wait() = %+v, %v", o, err)
		}
		return p.(*pending), name
	}
	t.Run("Once", func(t *testing.T) {
		p, name := approved()
		must(t, p.Use(t.Context()))
		got, err := s.admin.approvalRequests(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		if got.Spec.Use == nil || got.Spec.Use.ProxyInstance != "proxy-0" || got.Spec.Use.UsedAt.IsZero() {
			t.Errorf("use = %+v", got.Spec.Use)
		}
		if err := p.Use(t.Context()); err == nil {
			t.Error("the approval could be used twice")
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.waiting[name] != nil {
			t.Error("a used request is still waited for")
		}
	})
	t.Run("ChangedHarmlessly", func(t *testing.T) {
		p, name := approved()
		// A third approver makes the version that was seen an old one.
		_, err := s.admin.approvalRequests(s.namespace).Patch(t.Context(), name, types.JSONPatchType,
			[]byte(`[{"op":"add","path":"/spec/decisions/-","value":{"verdict":"Approve","operationDigest":"`+digest+`"}}]`), metav1.PatchOptions{})
		must(t, err)
		must(t, p.Use(t.Context()))
	})
	t.Run("VoidedMeanwhile", func(t *testing.T) {
		p, name := approved()
		p.mu.Lock()
		latest := p.latest
		p.mu.Unlock()
		s.status(name, `{"status":{"phase":"Void"}}`)
		// As if the watch had not brought it yet.
		p.put(latest)
		var over *access.OverError
		if err := p.Use(t.Context()); !errors.As(err, &over) || over.Outcome.State != access.Void {
			t.Errorf("Use() = %v, want that it became void", err)
		}
	})
	t.Run("TwoRace", func(t *testing.T) {
		p, _ := approved()
		p.mu.Lock()
		latest := p.latest
		p.mu.Unlock()
		other := &pending{approvals: a, request: p.request, wanted: p.wanted, latest: latest, changed: make(chan struct{}, 1)}
		results := make(chan error, 2)
		for _, one := range []*pending{p, other} {
			go func() { results <- one.Use(t.Context()) }()
		}
		if first, second := <-results, <-results; (first == nil) == (second == nil) {
			t.Errorf("two uses: %v, %v, want exactly one to succeed", first, second)
		}
	})
	t.Run("Away", func(t *testing.T) {
		p, _ := approved()
		env.BlackHole()
		defer func() { must(t, env.Resume()) }()
		if err := p.Use(t.Context()); err == nil {
			t.Error("an answer that never came counts as success")
		}
	})
}

// Approvals cannot be had while the API server is away, and the caller hears so soon.
func TestAskWhileTheAPIServerIsAway(t *testing.T) {
	for name, away := range map[string]func(){
		"Closed":    func() { must(t, env.CloseAPI()) },
		"BlackHole": env.BlackHole,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.approvals()
			away()
			defer func() { must(t, env.Resume()) }()
			began := time.Now()
			_, err := a.Ask(t.Context(), s.question())
			if took := time.Since(began); err == nil || took > askTimeout+busy {
				t.Errorf("Ask() = %v after %s, want an error within %s", err, took, askTimeout)
			}
		})
	}
}

func TestAskOfAnInvalidRequestFails(t *testing.T) {
	s := newSite(t)
	_, err := s.approvals().Ask(t.Context(), s.question(func(q *access.Question) { q.Operation.Accesses = nil }))
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) {
		t.Errorf("Ask() = %v, want the API server's refusal", err)
	}
}

// TestUseOnce: checklist 35, an approval that is replayed on two replicas at once is used once,
// and one that was marked when its proxy died is not used by the next.
func TestUseOnce(t *testing.T) {
	s := newSite(t)
	a := s.approvals()
	run(t, a.Run)
	asked, err := a.Ask(t.Context(), s.question())
	must(t, err)
	name := asked.Request().Name
	s.decide(name, v1alpha1.ApprovalApproved, by("oidc:bob", v1alpha1.VerdictApprove), by("oidc:carol", v1alpha1.VerdictApprove))
	first, ok := asked.(*pending)
	if !ok {
		t.Fatalf("unexpected %T", asked)
	}
	approved, err := s.admin.approvalRequests(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	replay := func(latest *v1alpha1.ApprovalRequest) *pending {
		return &pending{approvals: s.approvals(), request: first.request, wanted: first.wanted, latest: latest, changed: make(chan struct{}, 1)}
	}
	const replicas = 8
	start, results := make(chan struct{}), make(chan error, replicas)
	for range replicas {
		p := replay(approved)
		go func() {
			<-start
			results <- p.Use(t.Context())
		}()
	}
	close(start)
	used := 0
	for range replicas {
		if err := <-results; err == nil {
			used++
		}
	}
	if used != 1 {
		t.Errorf("%d uses of one approval, want one", used)
	}
	marked, err := s.admin.approvalRequests(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	if err := replay(marked).Use(t.Context()); err == nil {
		t.Error("the next proxy used what was marked before")
	}
	if err := replay(approved).Use(t.Context()); err == nil {
		t.Error("nor is it used by one that has not heard of the mark")
	}
}
