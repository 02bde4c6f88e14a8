// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

const reasonDigest = "sha256:aa"

// heldRules hold each operation by ref, whose rule withBreakGlass gives the snapshot.
func heldRules(more ...policy.RuleRef) rules {
	return rules{connect: decision(policy.Allow), decide: policy.Decision{
		Effect: policy.RequireApproval, Rules: append([]policy.RuleRef{ref}, more...),
		Approval: []policy.ApprovalTerms{{Approvers: []policy.Subject{{Kind: "Group", Name: "leads"}}, Minimum: 1, TimeoutSeconds: 60}},
	}}
}

func withBreakGlass(change ...func(*policy.ApprovalTerms)) func(*snapshot.Snapshot) {
	terms := &policy.ApprovalTerms{
		Minimum: 1, TimeoutSeconds: 60,
		BreakGlass: &policy.BreakGlass{Subjects: []policy.Subject{{Kind: policy.User, Name: "oidc:alice"}}, MaxDurationSeconds: 900},
	}
	for _, c := range change {
		c(terms)
	}
	return func(s *snapshot.Snapshot) {
		s.Policies.Policies = append(s.Policies.Policies, policy.Policy{Name: ref.Policy, UID: ref.UID, Generation: ref.Generation, Rules: []policy.Rule{{
			Name: ref.Rule, Effect: policy.RequireApproval, Actions: []string{"*"}, Approval: terms,
		}}})
	}
}

func broken(a *SessionApproval) { a.BreakGlass, a.ReasonDigest, a.Approvers = true, reasonDigest, nil }

// TestBreakGlass: who goes ahead without approvals is not held, and it is on record.
func TestBreakGlass(t *testing.T) {
	cases := map[string]struct {
		reason string
		rules  rules
		policy func(*snapshot.Snapshot)
		given  func(*SessionApproval)
		caller func(*identity.Principal)
		held   bool
	}{
		"Ahead":     {reason: "it runs without being held", given: func(*SessionApproval) {}},
		"Forbidden": {reason: "the rule lets nobody any more", given: func(*SessionApproval) {}, policy: withBreakGlass(func(p *policy.ApprovalTerms) { p.BreakGlass = nil }), held: true},
		"TooLong":   {reason: "it lasts longer than the rule allows", given: func(a *SessionApproval) { a.Until = a.From.Add(901 * time.Second) }, held: true},
		"Approved":  {reason: "an approval for a time is for rules that ask for one", given: func(a *SessionApproval) { a.BreakGlass = false }, held: true},
		"Another":   {reason: "checklist 34: it is another person's", given: func(a *SessionApproval) { a.Requester = "oidc:bob" }, held: true},
		"Agent":     {reason: "checklist 32: it is for the person", given: func(*SessionApproval) {}, caller: func(p *identity.Principal) { p.Kind = identity.Agent }, held: true},
		"Narrowed":  {reason: "checklist 34: it is for other resources", given: func(a *SessionApproval) { a.Rules[0].Resources = []string{"public.other"} }, held: true},
		"OtherRule": {
			reason: "a rule that lets nobody, such as a ClusterAccessPolicy's, is not overridden", given: func(*SessionApproval) {}, held: true,
			rules: heldRules(policy.RuleRef{Cluster: true, Policy: "all", UID: "p-9", Generation: 1, Rule: "ask"}),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				defer w.gate.Close(ErrDraining)
				if c.caller != nil {
					c.caller(&w.caller)
				}
				decided, known := c.rules, c.policy
				if len(decided.decide.Rules) == 0 {
					decided = heldRules()
				}
				if known == nil {
					known = withBreakGlass()
				}
				w.apply(decided, known)
				w.gate.FollowsApprovals(true)
				w.gate.Approve(given(broken, c.given))
				grant := w.authorize()
				if c.held {
					_, err := whileHeld(t, w, grant, func(r *request) { r.outcome <- Outcome{State: Denied} })
					if reason(err) != ReasonApprovalDenied {
						t.Errorf("Decide() = %v, want that it was held: %s", err, c.reason)
					}
					return
				}
				permit, err := grant.Decide(context.Background(), statement())
				if err != nil {
					t.Fatalf("Decide() = %v: %s", err, c.reason)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
				grant.Close("left")
				want := &record.Approval{Scope: "Session", Request: "shop-r", UID: "a-1", Outcome: Approved, BreakGlass: true, ReasonDigest: reasonDigest}
				if diff := cmp.Diff(want, w.last(record.OperationDecided).Approval) + cmp.Diff(want, w.last(record.SessionEnd).Approval); diff != "" {
					t.Errorf("on record of the operation and of the session: -want +got:\n%s", diff)
				}
			})
		})
	}
}

// TestBreakGlassDenied: a Deny wins.
func TestBreakGlassDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(rules{connect: decision(policy.Allow), decide: policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{ref}}}, withBreakGlass())
		w.gate.FollowsApprovals(true)
		w.gate.Approve(given(broken))
		if _, err := w.authorize().Decide(context.Background(), statement()); reason(err) != ReasonDenied {
			t.Errorf("Decide() = %v, want that it is denied", err)
		}
	})
}

// TestBreakGlassEnds: checklist 36, the session ends with what it went ahead by.
func TestBreakGlassEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(heldRules(), withBreakGlass())
		w.gate.FollowsApprovals(true)
		w.gate.Approve(given(broken))
		grant := w.authorize()
		permit, err := grant.Decide(context.Background(), statement())
		if err != nil {
			t.Fatal(err)
		}
		w.gate.Disapprove("a-1", "was denied by oidc:bob")
		synctest.Wait()
		if cause := context.Cause(grant.Context()); !errors.Is(cause, ErrApprovalEnded) {
			t.Errorf("the session ended with %v", cause)
		}
		permit.Done(record.Result{Outcome: "Succeeded"})
	})
}

// TestBreakGlassHint: who may is told so while the operation is held, and nobody else.
func TestBreakGlassHint(t *testing.T) {
	for name, c := range map[string]struct {
		subject policy.Subject
		want    string
	}{
		"Named":    {policy.Subject{Kind: policy.User, Name: "oidc:alice"}, "kubectl doorward request shop -n data --rule shop/all --break-glass --reason '<why>' --for 900s"},
		"NotNamed": {policy.Subject{Kind: policy.User, Name: "oidc:bob"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				defer w.gate.Close(ErrDraining)
				w.apply(heldRules(), withBreakGlass(func(p *policy.ApprovalTerms) { p.BreakGlass.Subjects = []policy.Subject{c.subject} }))
				ctx, cancel := context.WithCancel(context.Background())
				var told Notice
				_, err := w.authorize().Decide(ctx, statement(func(a *Ask) { a.Hold = func(n Notice) { told = n; cancel() } }))
				if reason(err) != ReasonCanceled || told.BreakGlass != c.want {
					t.Errorf("Decide() = %v, told %q, want %q", err, told.BreakGlass, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(forATime(), withBreakGlass(func(p *policy.ApprovalTerms) { p.Scope, p.MaxDurationSeconds = policy.ScopeSession, 1800 }))
		w.gate.FollowsApprovals(true)
		_, err := w.authorize().Decide(context.Background(), statement())
		if refusal := AsRefusal(err); !strings.Contains(refusal.Hint, "--rule shop/all --break-glass --reason '<why>' --for 900s") {
			t.Errorf("the refusal does not say how to go ahead:\n%s", refusal.Hint)
		}
	})
}

// TestReviewOfBreakGlass: who asks what he may do is told that he goes ahead.
func TestReviewOfBreakGlass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		w.apply(heldRules(), withBreakGlass())
		w.gate.FollowsApprovals(true)
		op := policy.Operation{Accesses: statement().Operation.Accesses}
		for _, want := range []policy.Effect{policy.RequireApproval, policy.Allow} {
			review, err := w.authenticate().Review(context.Background(), &op)
			if err != nil || review.Effect != want {
				t.Errorf("Review() = %+v, %v, want %s", review, err, want)
			}
			w.gate.Approve(given(broken))
		}
	})
}

// TestNewRuleEndsWhatRuns: checklist 33, an operation that runs by an approval ends where a
// further rule asks for one.
func TestNewRuleEndsWhatRuns(t *testing.T) {
	more := policy.RuleRef{Policy: "more", UID: "p-2", Generation: 1, Rule: "ask"}
	again := ref
	again.Generation++
	for name, c := range map[string]struct {
		reason string
		then   []policy.RuleRef
		ends   bool
	}{
		"Same":       {"the same rule asks", []policy.RuleRef{ref}, false},
		"New":        {"a rule asks that did not", []policy.RuleRef{ref, more}, true},
		"Generation": {"the rule that was approved asks in another generation", []policy.RuleRef{again}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				defer w.gate.Close(ErrDraining)
				w.apply(heldRules())
				grant := w.authorize()
				permit, err := whileHeld(t, w, grant, func(r *request) { r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}} })
				if err != nil {
					t.Fatal(err)
				}
				next := heldRules()
				next.decide.Rules = c.then
				w.apply(next)
				synctest.Wait()
				if cause := context.Cause(grant.Context()); errors.Is(cause, ErrRevoked) != c.ends {
					t.Errorf("the session ended with %v, want that it ends: %t: %s", cause, c.ends, c.reason)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
			})
		})
	}
}

// TestReboundKeepsTheWatch: a new bound of staleness that comes as the watch comes back does
// not take the watch for lost.
func TestReboundKeepsTheWatch(t *testing.T) {
	w := newWorld(t, allowing)
	defer w.gate.Close(ErrDraining)
	for range 5000 {
		w.gate.FollowsApprovals(false)
		var both sync.WaitGroup
		both.Go(w.gate.reboundApprovals)
		both.Go(func() { w.gate.FollowsApprovals(true) })
		both.Wait()
		if w.gate.unfollowed(time.Now().Add(time.Hour)) {
			t.Fatal("the watch is up and taken for lost")
		}
	}
}
