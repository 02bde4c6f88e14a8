// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// forATime is a decision that asks for an approval of scope Session by ref.
func forATime(more ...policy.ApprovalTerms) rules {
	leads := []policy.Subject{{Kind: "Group", Name: "leads"}}
	return rules{connect: decision(policy.Allow), decide: policy.Decision{
		Effect: policy.RequireApproval, Rules: []policy.RuleRef{ref}, Sessions: []policy.RuleRef{ref},
		Approval: append([]policy.ApprovalTerms{{Scope: policy.ScopeSession, MaxDurationSeconds: 1800, Approvers: leads, Minimum: 1, TimeoutSeconds: 60}}, more...),
	}}
}

// withRule has the snapshot hold the rule of ref.
func withRule(s *snapshot.Snapshot) {
	s.Policies.Policies = append(s.Policies.Policies, policy.Policy{Name: ref.Policy, UID: ref.UID, Generation: ref.Generation, Rules: []policy.Rule{{
		Name: ref.Rule, Effect: policy.RequireApproval, Actions: []string{"*"},
		Approval: &policy.ApprovalTerms{Scope: policy.ScopeSession, MaxDurationSeconds: 1800, Minimum: 1, TimeoutSeconds: 60},
	}}})
}

// sessionWorld is a Gate whose watch of approvals is up.
func sessionWorld(t *testing.T, r rules) *world {
	t.Helper()
	w := newWorld(t, allowing)
	w.apply(r, withRule)
	w.gate.FollowsApprovals(true)
	return w
}

// given is an approval for alice, of all that the rule matches, for ten minutes.
func given(change ...func(*SessionApproval)) *SessionApproval {
	a := &SessionApproval{
		Name: "shop-r", UID: "a-1", Requester: "oidc:alice", ConnectionUID: "c-1", ConnectionGeneration: 1,
		Rules:     []ApprovedRule{{PolicyUID: ref.UID, Generation: ref.Generation, Rule: ref.Rule}},
		Approvers: []string{"oidc:bob"}, From: time.Now(), Until: time.Now().Add(10 * time.Minute),
	}
	for _, c := range change {
		c(a)
	}
	return a
}

// TestSessionApproval: checklist 33, 34 and 36, whose and what an approval is for.
func TestSessionApproval(t *testing.T) {
	change := func(c func(*SessionApproval)) *SessionApproval { return given(c) }
	cases := map[string]struct {
		reason   string
		approval func() *SessionApproval
		caller   func(*identity.Principal)
		later    time.Duration
		want     Reason
	}{
		"None":  {reason: "what has no approval is refused, not held", want: ReasonApprovalRequired},
		"Given": {reason: "it runs without being held", approval: func() *SessionApproval { return given() }},
		"Proven": {reason: "issuer and subject are the caller's", approval: func() *SessionApproval {
			return change(func(a *SessionApproval) { a.Issuer, a.Subject = "https://issuer.example", "1" })
		}},
		"Another":  {reason: "checklist 34: it is another person's", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Requester = "oidc:bob" }) }, want: ReasonApprovalRequired},
		"UserName": {reason: "the name at the provider is not the API server's", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Requester = "alice" }) }, want: ReasonApprovalRequired},
		"Issuer": {reason: "it is for callers of another issuer", approval: func() *SessionApproval {
			return change(func(a *SessionApproval) { a.Issuer = "https://other.example" })
		}, want: ReasonApprovalRequired},
		"Subject":    {reason: "it is for another subject", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Subject = "2" }) }, want: ReasonApprovalRequired},
		"NotMapped":  {reason: "nobody could tell whose it is", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Requester = "" }) }, caller: func(p *identity.Principal) { p.KubernetesUser = "" }, want: ReasonRequesterNotMapped},
		"Delegated":  {reason: "checklist 32: who acts for a person is not that person", approval: func() *SessionApproval { return given() }, caller: func(p *identity.Principal) { p.Delegation = []identity.Actor{{Subject: "agent"}} }, want: ReasonApprovalRequired},
		"Agent":      {reason: "checklist 32: nor is an agent with her name", approval: func() *SessionApproval { return given() }, caller: func(p *identity.Principal) { p.Kind = identity.Agent }, want: ReasonApprovalRequired},
		"TooEarly":   {reason: "it has not begun", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.From = a.From.Add(time.Minute) }) }, want: ReasonApprovalRequired},
		"Begun":      {reason: "it has begun meanwhile", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.From = a.From.Add(time.Minute) }) }, later: time.Minute},
		"Over":       {reason: "checklist 36: its time is over", approval: func() *SessionApproval { return given() }, later: 10 * time.Minute, want: ReasonApprovalRequired},
		"Connection": {reason: "checklist 33: it is for another Connection of that name", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.ConnectionUID = "c-2" }) }, want: ReasonApprovalRequired},
		"Generation": {reason: "checklist 33: the Connection was edited", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.ConnectionGeneration = 2 }) }, want: ReasonApprovalRequired},
		"Rule":       {reason: "checklist 34: it is for another rule", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Rules[0].Rule = "other" }) }, want: ReasonApprovalRequired},
		"RuleEdited": {reason: "checklist 33: the policy was edited", approval: func() *SessionApproval { return change(func(a *SessionApproval) { a.Rules[0].Generation = 2 }) }, want: ReasonApprovalRequired},
		"Narrowed": {reason: "it is within what was asked for", approval: func() *SessionApproval {
			return change(func(a *SessionApproval) {
				a.Rules[0].Actions, a.Rules[0].Resources = []string{"sel*"}, []string{"public.*"}
			})
		}},
		"OtherAction": {reason: "checklist 34: it is for other actions", approval: func() *SessionApproval {
			return change(func(a *SessionApproval) { a.Rules[0].Actions = []string{"insert"} })
		}, want: ReasonApprovalRequired},
		"OtherResource": {reason: "checklist 34: it is for other resources", approval: func() *SessionApproval {
			return change(func(a *SessionApproval) { a.Rules[0].Resources = []string{"public.order"} })
		}, want: ReasonApprovalRequired},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sessionWorld(t, forATime())
				defer w.gate.Close(ErrDraining)
				if c.caller != nil {
					c.caller(&w.caller)
				}
				if c.approval != nil {
					w.gate.Approve(c.approval())
				}
				<-time.After(c.later)
				w.gate.Heartbeat(0)
				grant := w.authorize()
				permit, err := grant.Decide(context.Background(), statement())
				if reason(err) != c.want || (permit == nil) == (c.want == "") {
					t.Fatalf("Decide() = %v, %v, want reason %q: %s", permit, err, c.want, c.reason)
				}
				if len(w.approvals.asked) > 0 {
					t.Error("it was held")
				}
				decided := w.log.OfType(record.OperationDecided)
				if len(decided) != 1 {
					t.Fatalf("decisions on record: %+v, want one", decided)
				}
				if c.want != "" {
					if decided[0].Approval != nil || decided[0].Decision.Effect != policy.Deny {
						t.Errorf("on record: %+v, %+v, want a refusal without approval", decided[0].Decision, decided[0].Approval)
					}
					return
				}
				want := &record.Approval{Scope: "Session", Request: "shop-r", UID: "a-1", Outcome: Approved, Approvers: []string{"oidc:bob"}}
				if diff := cmp.Diff(want, decided[0].Approval); diff != "" {
					t.Errorf("approval on record: -want +got:\n%s", diff)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
			})
		})
	}
}

// TestSessionApprovalEnds: checklist 36, the sessions that rest on an approval end with it,
// and no others.
func TestSessionApprovalEnds(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(*world)
		want   error
		// runs says that another operation still runs afterwards.
		runs bool
	}{
		"Revoked": {reason: "revoked", then: func(w *world) { w.gate.Disapprove("a-1", "was revoked by oidc:bob: done") }, want: ErrApprovalEnded},
		"Another": {reason: "another approval was revoked", then: func(w *world) { w.gate.Disapprove("a-2", "was revoked") }, runs: true},
		"Over": {reason: "its time is over", then: func(w *world) {
			<-time.After(4 * time.Minute)
			w.gate.Heartbeat(0)
			<-time.After(4 * time.Minute)
			w.gate.Heartbeat(0)
			<-time.After(2 * time.Minute)
		}, want: ErrExpired},
		"Connection": {reason: "checklist 33: the Connection was edited", then: func(w *world) {
			w.apply(forATime(), withRule, func(s *snapshot.Snapshot) { s.Connection.Generation++ })
		}, want: ErrApprovalEnded},
		"Policy":      {reason: "checklist 33: the rule is another one", then: func(w *world) { w.apply(forATime()) }, want: ErrApprovalEnded},
		"Republished": {reason: "another revision with the same rule", then: func(w *world) { w.apply(forATime(), withRule) }, runs: true},
		"WatchLost":   {reason: "the watch is away for a moment", then: func(w *world) { w.gate.FollowsApprovals(false); <-time.After(time.Minute) }, runs: true},
		"WatchBack": {reason: "the watch is back in time", then: func(w *world) {
			w.gate.FollowsApprovals(false)
			<-time.After(4 * time.Minute)
			w.gate.FollowsApprovals(true)
			w.gate.Heartbeat(0)
			<-time.After(2 * time.Minute)
		}, runs: true},
		"WatchGone": {reason: "the watch is away for longer than the bound, and nothing else is", then: func(w *world) {
			w.gate.FollowsApprovals(false)
			<-time.After(4 * time.Minute)
			w.gate.FollowsApprovals(false)
			w.gate.Heartbeat(0)
			<-time.After(time.Minute)
		}, want: ErrApprovalEnded},
		"BoundShortened": {reason: "the bound is shortened while the watch is away", then: func(w *world) {
			w.gate.FollowsApprovals(false)
			w.apply(forATime(), withRule, func(s *snapshot.Snapshot) { s.MaxStalenessSeconds = 60 })
			<-time.After(30 * time.Second)
			w.gate.Heartbeat(0)
			<-time.After(30 * time.Second)
		}, want: ErrApprovalEnded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sessionWorld(t, forATime())
				defer w.gate.Close(ErrDraining)
				w.gate.Approve(given())
				w.gate.Approve(given(func(a *SessionApproval) { a.UID, a.Requester = "a-2", "oidc:zoe" }))
				used, unused := w.authorize(), w.authorize()
				permit, err := used.Decide(context.Background(), statement())
				if err != nil {
					t.Fatal(err)
				}
				c.then(w)
				synctest.Wait()
				if cause := context.Cause(used.Context()); !errors.Is(cause, c.want) || (cause == nil) != (c.want == nil) {
					t.Errorf("the session ended with %v, want %v: %s", cause, c.want, c.reason)
				}
				if cause := context.Cause(unused.Context()); cause != nil {
					t.Errorf("a session that rests on nothing ended: %v", cause)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
				again, err := used.Decide(context.Background(), statement())
				if (err == nil) != c.runs {
					t.Errorf("another operation: %v, want that it runs: %t: %s", err, c.runs, c.reason)
				}
				if again != nil {
					again.Done(record.Result{Outcome: "Succeeded"})
				}
			})
		})
	}
}

// TestSessionApprovalNeverComesBack: the proxy saw that it ended; a restored object changes
// nothing.
func TestSessionApprovalNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sessionWorld(t, forATime())
		defer w.gate.Close(ErrDraining)
		w.gate.Approve(given())
		w.gate.Disapprove("a-1", "was revoked")
		w.gate.Approve(given())
		if _, err := w.authorize().Decide(context.Background(), statement()); reason(err) != ReasonApprovalRequired {
			t.Errorf("Decide() = %v, want that the approval is gone for good", err)
		}
	})
}

// TestSessionApprovalRevokedDuringRecord: checklist 36, between decision and forwarding.
func TestSessionApprovalRevokedDuringRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sessionWorld(t, forATime())
		defer w.gate.Close(ErrDraining)
		w.gate.Approve(given())
		grant := w.authorize()
		release := w.log.Hold()
		done := make(chan error, 1)
		go func() {
			_, err := grant.Decide(context.Background(), statement())
			done <- err
		}()
		synctest.Wait()
		w.gate.Disapprove("a-1", "was revoked")
		release()
		if err := <-done; reason(err) != ReasonSessionEnded {
			t.Errorf("Decide() = %v, want that the session ended", err)
		}
	})
}

// TestSessionApprovalAndHold: an operation that needs both waits for the one, under the other.
func TestSessionApprovalAndHold(t *testing.T) {
	both := forATime(policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: "User", Name: "oidc:carol"}}, Minimum: 1, TimeoutSeconds: 60})
	held := policy.RuleRef{Policy: "shop", UID: "p-1", Generation: 1, Rule: "held"}
	both.decide.Rules = append(both.decide.Rules, held)
	t.Run("Both", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := sessionWorld(t, both)
			defer w.gate.Close(ErrDraining)
			w.gate.Approve(given())
			permit, err := whileHeld(t, w, w.authorize(), func(r *request) {
				if q := r.question; len(q.Terms) != 1 || len(q.Rules) != 1 || q.Rules[0] != held {
					t.Errorf("asked for %+v by %+v, want what is per operation alone", q.Terms, q.Rules)
				}
				r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:carol"}}
			})
			if err != nil {
				t.Fatal(err)
			}
			permit.Done(record.Result{Outcome: "Succeeded"})
			got := w.log.OfType(record.OperationDecided)[0].Approval
			if got.Request != "shop-x" || len(got.Also) != 1 || got.Also[0].Request != "shop-r" {
				t.Errorf("approval on record: %+v, want both", got)
			}
		})
	})
	t.Run("RevokedWhileHeld", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := sessionWorld(t, both)
			defer w.gate.Close(ErrDraining)
			w.gate.Approve(given())
			_, err := whileHeld(t, w, w.authorize(), func(r *request) {
				w.gate.Disapprove("a-1", "was revoked")
				r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:carol"}}
			})
			if reason(err) != ReasonSessionEnded {
				t.Errorf("Decide() = %v, want that the session ended", err)
			}
		})
	})
	t.Run("NoneForATime", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := sessionWorld(t, both)
			defer w.gate.Close(ErrDraining)
			if _, err := w.authorize().Decide(context.Background(), statement()); reason(err) != ReasonApprovalRequired || len(w.approvals.asked) > 0 {
				t.Errorf("Decide() = %v, want a refusal before anybody is asked", err)
			}
		})
	})
}

// TestSessionApprovalHint: the refusal says what to create.
func TestSessionApprovalHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sessionWorld(t, forATime())
		defer w.gate.Close(ErrDraining)
		_, err := w.authorize().Decide(context.Background(), statement())
		refusal := AsRefusal(err)
		for _, part := range []string{
			"kubectl doorward request shop -n data --rule shop/all --reason '<why>' --for 1800s\n", "kubectl create -f -",
			`{"apiVersion":"doorward.dev/v1alpha1","kind":"ApprovalRequest","metadata":{"namespace":"data","generateName":"shop-"},"spec":{"connectionRef":{"name":"shop"},"scope":"Session",` +
				`"session":{"reason":"<why>","durationSeconds":1800,"rules":[{"kind":"AccessPolicy","policy":"shop","rule":"all"}]}}}`,
		} {
			if !strings.Contains(refusal.Hint, part) {
				t.Errorf("hint lacks %q:\n%s", part, refusal.Hint)
			}
		}
	})
}

// TestReviewOfSessionApprovals: who asks what he may do is told what he lacks.
func TestReviewOfSessionApprovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sessionWorld(t, forATime())
		defer w.gate.Close(ErrDraining)
		op := policy.Operation{Accesses: statement().Operation.Accesses}
		ask := func() *Review {
			t.Helper()
			review, err := w.authenticate().Review(context.Background(), &op)
			if err != nil {
				t.Fatal(err)
			}
			return review
		}
		if r := ask(); r.Effect != policy.RequireApproval || !cmp.Equal(r.Approvals, []string{"Session"}) {
			t.Errorf("without one: %s, %v", r.Effect, r.Approvals)
		}
		w.gate.Approve(given())
		if r := ask(); r.Effect != policy.Allow || len(r.Approvals) > 0 {
			t.Errorf("with one: %s, %v", r.Effect, r.Approvals)
		}
	})
}
