// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// keeping has the provider of a snapshot keep claims.
func keeping(claims ...string) func(*snapshot.Snapshot) {
	return func(s *snapshot.Snapshot) {
		provider := s.IdentityProviders[0]
		provider.Claims = claims
		s.IdentityProviders = []snapshot.IdentityProvider{provider}
	}
}

// TestBetweenStateAndJudgement: a new state is in force before all live sessions have been
// judged. What new policies allow is not done meanwhile by a session that they will end.
func TestBetweenStateAndJudgement(t *testing.T) {
	cases := map[string]struct {
		reason string
		after  rules
		change func(*snapshot.Snapshot)
		ended  bool
	}{
		"Same":      {reason: "nothing changed", after: withRole("reader")},
		"Role":      {reason: "what the writer may do is not done as the reader, nor the other way round", after: withRole("writer"), ended: true},
		"Recreated": {reason: "the session leads to another Connection's target", after: withRole("reader"), change: func(s *snapshot.Snapshot) { s.Connection.UID = "c-2" }, ended: true},
		"Target":    {reason: "the session leads to another target", after: withRole("reader"), change: func(s *snapshot.Snapshot) { s.Targets = []snapshot.Target{{Host: "other", Port: 5432}} }, ended: true},
		"Options":   {reason: "an option may have let the session in", after: withRole("reader"), change: func(s *snapshot.Snapshot) { s.Options = []byte(`{}`) }, ended: true},
		"Claim":     {reason: "a Deny may be about a claim that nobody kept", after: withRole("reader"), change: keeping("team"), ended: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withRole("reader"))
			g := w.authorize()
			defer g.Close("")
			next := w.connected
			next.Revision++
			if tc.change != nil {
				tc.change(&next)
			}
			w.gate.state.Store(&state{snapshot: &next, engine: policytest.Engine(tc.after), verifier: w})
			permit, err := g.Decide(context.Background(), statement())
			if permit != nil {
				permit.Done(record.Result{Outcome: "Succeeded"})
			}
			if tc.ended != (reason(err) == ReasonSessionEnded) || !tc.ended && err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if cause := context.Cause(g.Context()); tc.ended != errors.Is(cause, ErrRevoked) {
				t.Errorf("%s: the session ended with %v", tc.reason, cause)
			}
		})
	}
}

// TestAuditedClaimEndsNoSession: a policy in mode Audit can be switched on with confidence.
func TestAuditedClaimEndsNoSession(t *testing.T) {
	about := func(p policy.Policy) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) {
			keeping("team")(s)
			s.Policies.Policies = append(s.Policies.Policies, p)
		}
	}
	team := []policy.Subject{{Kind: policy.AllOf, All: []policy.Subject{{Kind: policy.Human}, {Kind: policy.Claim, Name: "team", Values: []string{"*"}}}}}
	everyone := []policy.Subject{{Kind: policy.Everyone}}
	cases := map[string]struct {
		reason string
		policy policy.Policy
		ended  bool
	}{
		"Audit":          {reason: "it decides nothing", policy: policy.Policy{Name: "z", Audit: true, Subjects: team}},
		"Enforce":        {reason: "it may refuse", policy: policy.Policy{Name: "z", Subjects: team}, ended: true},
		"Exempt":         {reason: "it may mask", policy: policy.Policy{Name: "z", Subjects: everyone, Masks: []policy.Mask{{Exempt: team}}}, ended: true},
		"Audit, exempt":  {reason: "it masks nothing", policy: policy.Policy{Name: "z", Audit: true, Subjects: everyone, Masks: []policy.Mask{{Exempt: team}}}},
		"Module":         {reason: "it may look at any", policy: policy.Policy{Name: "z", Subjects: everyone, Rego: "package doorward.policy"}, ended: true},
		"Audit, module":  {reason: "it decides nothing", policy: policy.Policy{Name: "z", Audit: true, Subjects: everyone, Rego: "package doorward.policy"}},
		"Nobody says so": {reason: "then who knows", policy: policy.Policy{Name: "z", Subjects: everyone}, ended: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			g := w.authorize()
			defer g.Close("")
			w.apply(allowing, about(tc.policy))
			if cause := context.Cause(g.Context()); tc.ended != (cause != nil) {
				t.Fatalf("%s: ended with %v", tc.reason, cause)
			}
			if tc.ended {
				return
			}
			tc.policy.Audit = false
			w.apply(allowing, func(s *snapshot.Snapshot) { s.Policies.Policies = s.Policies.Policies[:1] }, about(tc.policy))
			if cause := context.Cause(g.Context()); !errors.Is(cause, ErrRevoked) {
				t.Errorf("in force, it may refuse: ended with %v", cause)
			}
		})
	}
}

// turning are rules that answer otherwise once turned, as a module may that looks at the
// clock.
type turning struct {
	rules
	turned *atomic.Bool
	then   policy.Decision
}

func (r turning) Decide(ctx context.Context, who identity.Principal, op policy.Operation) (policy.Decision, error) {
	if r.turned.Load() {
		return deny(r.then), nil
	}
	return r.rules.Decide(ctx, who, op)
}

// TestHeldUnderOtherTerms: checklist 33: an approval is for the terms that it was asked
// under, also where no policy has been edited: a module is in a ConfigMap, or looks at
// the clock.
func TestHeldUnderOtherTerms(t *testing.T) {
	otherTerms := needsApproval(ref)
	otherTerms.Approval = otherTerms.Approval[1:]
	cases := map[string]struct {
		reason string
		then   policy.Decision
		// use turns it between the check and the forwarding, and applies the same again.
		use  bool
		want Reason
		used int
	}{
		"Denied":              {reason: "the module refuses by now", then: decision(policy.Deny), want: ReasonDenied},
		"Terms":               {reason: "others have to approve", then: otherTerms, want: ReasonApprovalVoid},
		"Terms, during use":   {reason: "others have to approve", then: otherTerms, use: true, want: ReasonApprovalVoid, used: 1},
		"The same":            {reason: "nothing changed", then: needsApproval(ref), used: 1},
		"The same while used": {reason: "nothing changed", then: needsApproval(ref), use: true, used: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, asking)
				defer w.gate.Close(ErrDraining)
				var turned atomic.Bool
				engine := policytest.Engine(turning{rules: asking, turned: &turned, then: tc.then})
				if err := w.tryEngine(engine); err != nil {
					t.Fatal(err)
				}
				g := w.authorize()
				defer g.Close("")
				var asked *request
				permit, err := whileHeld(t, w, g, func(r *request) {
					asked = r
					turn := func() {
						turned.Store(true)
						if tc.use {
							if err := w.tryEngine(engine); err != nil {
								t.Error(err)
							}
						}
					}
					if tc.use {
						r.using = turn
					} else {
						turn()
					}
					r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}}
				})
				if permit != nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
				if got := reason(err); got != tc.want || asked.uses() != tc.used {
					t.Errorf("%s: got %q, used %d times, want %q and %d: %v", tc.reason, got, asked.uses(), tc.want, tc.used, err)
				}
			})
		})
	}
}

// TestJudgedLate: a session that is registered while the state changes, and changes
// again, has the bounds of the last state.
func TestJudgedLate(t *testing.T) {
	w := newWorld(t, allowing)
	caller := w.authenticate()
	release := w.log.Hold()
	granted := make(chan *Grant, 1)
	go func() {
		g, _ := caller.Authorize(context.Background())
		granted <- g
	}()
	for w.gate.Sessions() == 0 {
		<-time.After(time.Millisecond)
	}
	slow := &slowEngine{entered: make(chan struct{}), release: make(chan struct{})}
	second := w.connected
	second.Revision++
	w.gate.state.Store(&state{snapshot: &second, engine: slow, verifier: w})
	release()
	<-slow.entered // the session is judged under the second state
	w.connected = second
	limited := allowing
	limited.limits = []policy.Limits{{SessionSeconds: 60}}
	applied := make(chan struct{})
	go func() {
		defer close(applied)
		w.apply(limited)
	}()
	select {
	case <-applied: // before that judgement is over
	case <-time.After(100 * time.Millisecond):
	}
	close(slow.release)
	g := <-granted
	<-applied
	if g == nil {
		t.Fatal("no session")
	}
	defer g.Close("")
	g.mu.Lock()
	defer g.mu.Unlock()
	if lasts := g.end.Sub(g.started); lasts != time.Minute {
		t.Errorf("the session lasts for %s, want the minute of the last state", lasts)
	}
}

// slowEngine allows, once released.
type slowEngine struct{ entered, release chan struct{} }

func (e *slowEngine) Standing(ctx context.Context, caller identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	close(e.entered)
	<-e.release
	return policytest.Engine(allowing).Standing(ctx, caller, at)
}

// TestProvenUnderAnotherState: what proved a caller may be revoked before he has a session
// that could be ended for it.
func TestProvenUnderAnotherState(t *testing.T) {
	cases := map[string]struct {
		reason  string
		change  func(*snapshot.Snapshot)
		refused bool
	}{
		"Same":     {reason: "nothing changed", change: func(*snapshot.Snapshot) {}},
		"Gone":     {reason: "nobody is proven by it any more", change: func(s *snapshot.Snapshot) { s.IdentityProviders = nil }, refused: true},
		"NewClaim": {reason: "a Deny may be about a claim that nobody kept", change: keeping("team"), refused: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			caller := w.authenticate()
			w.apply(allowing, tc.change)
			if _, err := caller.Review(context.Background(), nil); tc.refused != (reason(err) == ReasonCredential) {
				t.Errorf("%s: Review: %v", tc.reason, err)
			}
			g, err := caller.Authorize(context.Background())
			if g != nil {
				defer g.Close("")
			}
			if tc.refused != (reason(err) == ReasonCredential) || !tc.refused && err != nil {
				t.Fatalf("%s: Authorize: %v", tc.reason, err)
			}
			if tc.refused && w.gate.Sessions() != 0 {
				t.Error("a session is left")
			}
		})
	}
}
