// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestSessionLimits: a session ends at the strictest of all bounds, also where they
// change while it lives.
func TestSessionLimits(t *testing.T) {
	lasting := perPolicy(func(seconds int64) policy.Limits { return policy.Limits{SessionSeconds: seconds} })
	idling := perPolicy(func(seconds int64) policy.Limits { return policy.Limits{IdleSeconds: seconds} })
	session := func(s snapshot.Session) func(*snapshot.Snapshot) {
		return func(snapshot *snapshot.Snapshot) { snapshot.Session = s }
	}
	cases := map[string]struct {
		reason     string
		before     rules
		connection snapshot.Session
		after      *rules // after two minutes
		cause      error
		ends       time.Duration
	}{
		"Session":         {reason: "the policy bounds it", before: lasting(600), cause: ErrExpired, ends: 10 * time.Minute},
		"SessionStrict":   {reason: "the strictest of all policies", before: lasting(900, 300, 600), cause: ErrExpired, ends: 5 * time.Minute},
		"SessionOwn":      {reason: "the Connection's may be stricter", before: lasting(600), connection: snapshot.Session{MaxDurationSeconds: 240}, cause: ErrExpired, ends: 4 * time.Minute},
		"SessionShorter":  {reason: "counted from its start", before: lasting(1200), after: new(lasting(300)), cause: ErrExpired, ends: 5 * time.Minute},
		"SessionOver":     {reason: "it has lasted too long already", before: lasting(1200), after: new(lasting(60)), cause: ErrExpired, ends: 2 * time.Minute},
		"SessionLonger":   {reason: "counted from its start", before: lasting(300), after: new(lasting(900)), cause: ErrExpired, ends: 15 * time.Minute},
		"SessionGone":     {reason: "nothing bounds it but the token", before: lasting(300), after: new(allowing), cause: ErrExpired, ends: time.Hour},
		"SessionNew":      {reason: "a bound that comes later holds too", before: allowing, after: new(lasting(300)), cause: ErrExpired, ends: 5 * time.Minute},
		"Idle":            {reason: "nothing happens", before: idling(180), cause: ErrIdle, ends: 3 * time.Minute},
		"IdleOwn":         {reason: "the Connection's may be stricter", before: idling(180), connection: snapshot.Session{IdleTimeoutSeconds: 60}, cause: ErrIdle, ends: time.Minute},
		"IdleOwnLooser":   {reason: "or not", before: idling(180), connection: snapshot.Session{IdleTimeoutSeconds: 600}, cause: ErrIdle, ends: 3 * time.Minute},
		"IdleNew":         {reason: "what passed before counts", before: allowing, after: new(idling(180)), cause: ErrIdle, ends: 3 * time.Minute},
		"IdleOver":        {reason: "it has been idle for too long already", before: allowing, after: new(idling(60)), cause: ErrIdle, ends: 2 * time.Minute},
		"IdleGone":        {reason: "nothing but the token", before: idling(180), after: new(allowing), cause: ErrExpired, ends: time.Hour},
		"SessionBoundary": {reason: "idle or not", before: limited(policy.Limits{SessionSeconds: 240, IdleSeconds: 600}), cause: ErrExpired, ends: 4 * time.Minute},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tc.before)
				defer w.gate.Close(ErrDraining)
				w.caller.ExpiresAt = time.Now().Add(time.Hour)
				w.apply(tc.before, session(tc.connection))
				l := w.live()
				l.until(min(2*time.Minute, tc.ends-time.Second))
				if tc.after != nil {
					l.until(2 * time.Minute)
					w.apply(*tc.after)
				}
				l.until(tc.ends + time.Minute)
				l.ends(tc.reason, tc.cause, tc.ends)
			})
		})
	}
}

// TestConcurrentSessions: how many sessions one caller may have on a proxy.
func TestConcurrentSessions(t *testing.T) {
	two := limited(policy.Limits{ConcurrentSessions: 5}, policy.Limits{ConcurrentSessions: 2})
	w := newWorld(t, two)
	first, second := w.authorize(), w.authorize()
	_, err := w.authenticate().Authorize(t.Context())
	refusal := AsRefusal(err)
	if refusal.Reason != ReasonLimit || !strings.Contains(refusal.Message, `limit ConcurrentSessions of AccessPolicy "bounds"`) || refusal.Hint == "" {
		t.Fatalf("the third of two sessions: %+v", refusal)
	}
	if event := w.last(record.SessionRefused); event.Decision.Effect != policy.Deny || len(event.Decision.Rules) != 1 || event.Decision.Rules[0].Policy != "bounds" {
		t.Errorf("on record is %+v", event.Decision)
	}
	alice := w.caller
	w.caller.Subject, w.caller.UserName = "2", "bob"
	w.authorize().Close("")
	w.caller = alice
	// Another who acts for the same person is that person's session, too.
	w.caller.Delegation = []identity.Actor{{Subject: "agent-7"}}
	if _, err := w.authenticate().Authorize(t.Context()); reason(err) != ReasonLimit {
		t.Errorf("the third of two sessions, by somebody who acts for the caller: %v", err)
	}
	w.caller = alice
	second.Close("")
	third := w.authorize()
	w.apply(limited(policy.Limits{ConcurrentSessions: 1}))
	for _, g := range []*Grant{first, third} {
		if g.ended() != nil {
			t.Errorf("a session that was admitted ends: %v", context.Cause(g.Context()))
		}
	}
	first.Close("")
	if _, err := w.authenticate().Authorize(t.Context()); reason(err) != ReasonLimit {
		t.Errorf("the second of now one session: %v", err)
	}
	w.apply(allowing)
	w.authorize().Close("")
	third.Close("")
}

func hourlyOperations(n int64) policy.Limits {
	return policy.Limits{Windows: []policy.Window{{Seconds: 3600, Operations: n}}}
}

// TestOperationsPerWindow: what counts as an operation, and what does not.
func TestOperationsPerWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limited(hourlyOperations(3)))
		defer w.gate.Close(ErrDraining)
		w.caller.ExpiresAt = time.Now().Add(24 * time.Hour)
		g, other := w.authorize(), w.authorize()
		defer g.Close("")
		defer other.Close("")
		free := map[string]Ask{
			"Unmetered": statement(func(a *Ask) { a.Unmetered = true }),
			"Refused":   statement(func(a *Ask) { a.Refuse = &Refusal{Reason: ReasonProtocol, Message: "never"} }),
			"NoMask":    statement(func(a *Ask) { a.CheckMasks = nil }),
		}
		for round := range 3 {
			for name, ask := range free {
				if permit, err := g.Decide(t.Context(), ask); err == nil {
					permit.Done(record.Result{Outcome: "Succeeded"})
				} else if reason(err) == ReasonLimit {
					t.Fatalf("%s counts: %v", name, err)
				}
			}
			permit := w.permit([]*Grant{g, other, g}[round])
			if permit.Meter() != nil {
				t.Error("rows are counted where nobody bounds them")
			}
			permit.Done(record.Result{Outcome: "Succeeded"})
		}
		_, err := other.Decide(t.Context(), statement())
		refusal := AsRefusal(err)
		if refusal.Reason != ReasonLimit || !strings.Contains(refusal.Message, `3 operations within 3600 seconds (limit OperationsPerWindow of AccessPolicy "bounds")`) ||
			!strings.Contains(refusal.Hint, "opens again in 1h") {
			t.Fatalf("the fourth of three operations: %+v", refusal)
		}
		if _, err := g.Decide(t.Context(), free["Unmetered"]); err != nil {
			t.Errorf("what ends a transaction is refused: %v", err)
		}
		// A looser limit finds what was counted, and so does a stricter one.
		w.apply(limited(hourlyOperations(4)))
		w.permit(g).Done(record.Result{Outcome: "Succeeded"})
		if _, err := g.Decide(t.Context(), statement()); reason(err) != ReasonLimit {
			t.Errorf("the fifth of four: %v", err)
		}
		w.apply(limited(hourlyOperations(2)))
		if _, err := g.Decide(t.Context(), statement()); reason(err) != ReasonLimit {
			t.Errorf("the fifth of two: %v", err)
		}
		w.pass(70 * time.Minute)
		w.permit(g).Done(record.Result{Outcome: "Succeeded"})
	})
}

// TestOperationsOfSeveralWindows: an operation that one window refuses counts in no
// other.
func TestOperationsOfSeveralWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := policy.Limits{Windows: []policy.Window{{Seconds: 60, Operations: 2}, {Seconds: 3600, Operations: 4}}}
		w := newWorld(t, limited(both))
		defer w.gate.Close(ErrDraining)
		w.caller.ExpiresAt = time.Now().Add(24 * time.Hour)
		g := w.authorize()
		defer g.Close("")
		try := func() error {
			permit, err := g.Decide(t.Context(), statement())
			if err == nil {
				permit.Done(record.Result{Outcome: "Succeeded"})
			}
			return err
		}
		for round := range 2 {
			for range 2 {
				if err := try(); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			for range 5 {
				if err := try(); reason(err) != ReasonLimit {
					t.Fatalf("round %d: the third within a minute: %v", round, err)
				}
			}
			w.pass(2 * time.Minute)
		}
		err := try()
		if reason(err) != ReasonLimit || !strings.Contains(err.Error(), "3600 seconds") {
			t.Errorf("the fifth within an hour: %v", err)
		}
	})
}

// TestOperationsGivenBack: what a later window refuses, an earlier one forgets.
func TestOperationsGivenBack(t *testing.T) {
	w := newWorld(t, allowing)
	set := &limitSet{table: w.gate.windows, windows: make([]callerWindow, 3)}
	for i := range set.windows {
		seconds := int32(100 * (i + 1))
		set.windows[i].key = windowKey{subject: "1", policyUID: "p", seconds: seconds}
		set.windows[i].limit = policy.Window{Seconds: seconds, Operations: int64(5 - i)}
	}
	for range 3 {
		if refusal := set.operation(); refusal != nil {
			t.Fatal(refusal)
		}
	}
	for range 4 {
		if set.operation() == nil {
			t.Fatal("the fourth of three operations")
		}
	}
	for i := range set.windows {
		if got := set.windows[i].found.Load().sum.operations; got != 3 {
			t.Errorf("window %d counts %d operations, want 3", i, got)
		}
	}
}
