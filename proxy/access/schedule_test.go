// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"net/netip"
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

// shift is an engine whose rules are others from a time on.
type shift struct {
	at            time.Time
	before, after rules

	mu    sync.Mutex
	asked []policy.Circumstances
}

func (s *shift) Standing(_ context.Context, caller identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, at)
	if at.Time.Before(s.at) {
		return placed{rules: s.before, caller: caller, until: s.at}, nil
	}
	return placed{rules: s.after, caller: caller}, nil
}

// placed is the place of one caller among rules, for a time.
type placed struct {
	rules
	caller identity.Principal
	until  time.Time
	would  []policy.Mask
}

var errOver = errors.New("the standing is over")

func (p placed) Until() time.Time            { return p.until }
func (p placed) Masks() []policy.Mask        { return p.masks }
func (p placed) AuditMasks() []policy.Mask   { return p.would }
func (p placed) Limits() []policy.Limits     { return p.limits }
func (p placed) TargetRole() (string, error) { return p.role, p.roleErr }

func (p placed) Connect(ctx context.Context) (policy.Decision, error) {
	return p.rules.Connect(ctx, p.caller)
}

func (p placed) Decide(ctx context.Context, op policy.Operation, now time.Time) (policy.Decision, error) {
	if !p.until.IsZero() && !now.Before(p.until) {
		return policy.Decision{}, errOver
	}
	return p.rules.Decide(ctx, p.caller, op)
}

// shifting is a world whose rules change after ten minutes.
func shifting(t *testing.T, before, after rules) (*world, *shift) {
	t.Helper()
	w := newWorld(t, before)
	s := &shift{at: time.Now().Add(10 * time.Minute), before: before, after: after}
	if err := w.tryEngine(s); err != nil {
		t.Fatal(err)
	}
	return w, s
}

// pass lets time go by while the gate stays fresh.
func (w *world) pass(d time.Duration) {
	for ; d > 0; d -= time.Minute {
		<-time.After(min(d, time.Minute))
		w.gate.Heartbeat(0)
	}
	synctest.Wait()
}

// beyond is when a schedule has ended for these tests.
const beyond = 11 * time.Minute

// TestScheduleEndsSessions: what was allowed at certain times only is over with them,
// whatever the session does.
func TestScheduleEndsSessions(t *testing.T) {
	nothing := rules{}
	onlyConnect := rules{connect: decision(policy.Allow)}
	masked := allowing
	masked.masks = []policy.Mask{cards}
	bounded := limited(policy.Limits{RowsPerStatement: 1})
	cases := map[string]struct {
		reason        string
		before, after rules
		runs          bool // an operation, when the time comes
		ends          string
		then          Reason // of the next operation where the session lives on
	}{
		"Gone":          {reason: "nothing is allowed any more", before: allowing, after: nothing, ends: "may no longer use"},
		"GoneRunning":   {reason: "nor for what runs", before: allowing, after: nothing, runs: true, ends: "may no longer use"},
		"Narrowed":      {reason: "the session goes on with less", before: allowing, after: onlyConnect, then: ReasonNotAllowed},
		"NarrowedRuns":  {reason: "what runs was allowed then only", before: allowing, after: onlyConnect, runs: true, ends: "no longer allowed"},
		"Asking":        {reason: "what runs would have to be approved now", before: allowing, after: asking, runs: true, ends: "no longer allowed"},
		"Masked":        {reason: "an answer is on its way unmasked", before: allowing, after: masked, runs: true, ends: "masks changed"},
		"MaskedAnswers": {reason: "later answers are masked", before: allowing, after: masked},
		"Bounded":       {reason: "what runs is not counted", before: allowing, after: bounded, runs: true, ends: "limits now hold"},
		"Role":          {reason: "a session has one role", before: withRole("day"), after: withRole("night"), ends: "role at the target"},
		"Widened":       {reason: "more is allowed", before: onlyConnect, after: allowing},
		"WidenedRuns":   {reason: "what runs may go on", before: allowing, after: allowing, runs: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := shifting(t, tc.before, tc.after)
				defer w.gate.Close(ErrDraining)
				g := w.authorize()
				defer g.Close("")
				if tc.runs {
					w.permit(g)
				}
				w.pass(beyond)
				cause := context.Cause(g.Context())
				if (cause != nil) != (tc.ends != "") {
					t.Fatalf("%s: the session ended with %v", tc.reason, cause)
				}
				if cause != nil {
					if !errors.Is(cause, ErrRevoked) || !strings.Contains(cause.Error(), tc.ends) {
						t.Errorf("%s: ended with %v", tc.reason, cause)
					}
					return
				}
				permit, err := g.Decide(t.Context(), statement())
				if reason(err) != tc.then {
					t.Fatalf("%s: the next operation: %v", tc.reason, err)
				}
				if err == nil {
					if diff := cmp.Diff(len(tc.after.masks) > 0, !permit.Masks().Empty()); diff != "" {
						t.Errorf("%s: masks: %s", tc.reason, diff)
					}
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
			})
		})
	}
}

// TestScheduleEndsHolds: nobody waits for an approval of what is over, and one that
// was given before does not outlast it.
func TestScheduleEndsHolds(t *testing.T) {
	onlyConnect, patient := rules{connect: decision(policy.Allow)}, asking
	patient.decide.Approval = []policy.ApprovalTerms{{Approvers: []policy.Subject{{Kind: "Group", Name: "dba"}}, Minimum: 1, TimeoutSeconds: 7200}}
	cases := map[string]struct {
		reason string
		after  rules
		then   func(*world, *request)
		want   Reason
		used   int
	}{
		"Ends": {reason: "the wait ends", after: onlyConnect, then: func(w *world, _ *request) { w.pass(beyond) }, want: ReasonApprovalVoid},
		"DuringUse": {
			reason: "the time comes between the use of the approval and the forwarding", after: onlyConnect, want: ReasonApprovalVoid, used: 1,
			then: func(w *world, r *request) {
				r.using = func() { w.pass(beyond) }
				r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}}
			},
		},
		"Stays": {
			reason: "the same rules ask at all times", after: patient, used: 1,
			then: func(w *world, r *request) {
				w.pass(beyond)
				r.outcome <- Outcome{State: Approved, Approvers: []string{"oidc:bob"}}
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _ := shifting(t, patient, tc.after)
				defer w.gate.Close(ErrDraining)
				g := w.authorize()
				defer g.Close("")
				var held *request
				permit, err := whileHeld(t, w, g, func(r *request) { held = r; tc.then(w, r) })
				if reason(err) != tc.want || held.uses() != tc.used {
					t.Fatalf("%s: %v, used %d times", tc.reason, err, held.uses())
				}
				if err == nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				}
			})
		})
	}
}

// TestScheduleBetween: an operation that comes before the timer does is decided by the
// clock, and one whose record is being written when the time comes is not forwarded.
func TestScheduleBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := shifting(t, allowing, rules{connect: decision(policy.Allow)})
		defer w.gate.Close(ErrDraining)
		g := w.authorize()
		defer g.Close("")
		g.mu.Lock()
		g.stopTimers()
		g.mu.Unlock()
		release := w.log.Hold()
		failed := make(chan error, 1)
		go func() {
			_, err := g.Decide(context.Background(), statement())
			failed <- err
		}()
		w.pass(beyond)
		release()
		if err := <-failed; reason(err) != ReasonApprovalVoid {
			t.Errorf("decided before, recorded after: %v", err)
		}
		if _, err := g.Decide(t.Context(), statement()); reason(err) != ReasonNotAllowed {
			t.Errorf("without a timer: %v", err)
		}
		if effect, err := g.Preview(t.Context(), policy.Operation{}); effect != policy.Deny || err != nil {
			t.Errorf("Preview: %s, %v", effect, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, at := range s.asked {
			if at.Client != netip.MustParseAddr("192.0.2.7") {
				t.Errorf("asked of a caller at %s", at.Client)
			}
		}
	})
}

// TestScheduleRepeats: a session is judged at each of many boundaries.
func TestScheduleRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, allowing)
		defer w.gate.Close(ErrDraining)
		s := &minutely{start: time.Now()}
		if err := w.tryEngine(s); err != nil {
			t.Fatal(err)
		}
		g := w.authorize()
		defer g.Close("")
		w.pass(20 * time.Minute)
		if cause := context.Cause(g.Context()); cause != nil {
			t.Fatalf("ended with %v", cause)
		}
		w.pass(15 * time.Minute)
		if cause := context.Cause(g.Context()); !errors.Is(cause, ErrRevoked) {
			t.Errorf("ended with %v after half an hour", cause)
		}
	})
}

// minutely is an engine that must be asked each minute, and allows for half an hour.
type minutely struct{ start time.Time }

func (m *minutely) Standing(_ context.Context, caller identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	p := placed{rules: allowing, caller: caller, until: at.Time.Truncate(time.Minute).Add(time.Minute)}
	if at.Time.Sub(m.start) >= 30*time.Minute {
		p.rules = rules{}
	}
	return p, nil
}

// TestNewClaimEndsSessions: nobody kept a claim that no policy looked at.
func TestNewClaimEndsSessions(t *testing.T) {
	naming := func(claims ...string) func(*snapshot.Snapshot) {
		return func(s *snapshot.Snapshot) {
			provider := s.IdentityProviders[0]
			provider.Claims = claims
			s.IdentityProviders = []snapshot.IdentityProvider{provider}
		}
	}
	cases := map[string]struct {
		reason        string
		before, after []string
		ended         bool
	}{
		"Same":    {reason: "nothing changed", before: []string{"team"}, after: []string{"team"}},
		"Fewer":   {reason: "what is not looked at any more does no harm", before: []string{"level", "team"}, after: []string{"team"}},
		"None":    {reason: "nor does none", before: []string{"team"}},
		"New":     {reason: "nobody knows its value", before: []string{"team"}, after: []string{"level", "team"}, ended: true},
		"First":   {reason: "nobody knows its value", after: []string{"team"}, ended: true},
		"Instead": {reason: "one is new", before: []string{"team"}, after: []string{"level"}, ended: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.apply(allowing, naming(tc.before...))
			g := w.authorize()
			defer g.Close("")
			w.apply(allowing, naming(tc.after...))
			cause := context.Cause(g.Context())
			if tc.ended != (cause != nil) {
				t.Fatalf("%s: ended with %v", tc.reason, cause)
			}
			if tc.ended && (!errors.Is(cause, ErrRevoked) || !strings.Contains(cause.Error(), "claim")) {
				t.Errorf("%s: the cause is not clear: %v", tc.reason, cause)
			}
		})
	}
}
