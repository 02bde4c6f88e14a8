// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"strings"
	"sync"
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

func limited(limits ...policy.Limits) rules {
	r := allowing
	for i := range limits {
		limits[i].Policy = policy.RuleRef{Policy: "bounds", UID: "p-2", Generation: 4}
	}
	r.limits = limits
	return r
}

func hourly(rows, bytes int64) policy.Limits {
	return policy.Limits{Windows: []policy.Window{{Seconds: 3600, Rows: rows, Bytes: bytes}}}
}

func (w *world) permit(g *Grant) *Permit {
	w.t.Helper()
	permit, err := g.Decide(context.Background(), statement())
	if err != nil {
		w.t.Fatalf("Decide: %v", err)
	}
	return permit
}

// last is the newest event of a type.
func (w *world) last(kind record.Type) record.Event {
	w.t.Helper()
	events := w.log.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Type == kind {
			return events[i]
		}
	}
	w.t.Fatalf("no event of type %s", kind)
	return record.Event{}
}

func TestMeter(t *testing.T) {
	type take struct{ rows, bytes int64 }
	cases := map[string]struct {
		reason string
		limits []policy.Limits
		takes  []take
		// passes is how many of them do; the refusal of the next names limit.
		passes int
		limit  string
	}{
		"Rows": {
			reason: "exactly the limit leaves", limits: []policy.Limits{{RowsPerStatement: 3}},
			takes: []take{{1, 9}, {1, 9}, {1, 9}, {1, 9}}, passes: 3, limit: "RowsPerStatement",
		},
		"Batch": {
			reason: "a batch leaves as a whole or not at all", limits: []policy.Limits{{RowsPerStatement: 3}},
			takes: []take{{2, 0}, {2, 0}}, passes: 1, limit: "RowsPerStatement",
		},
		"Bytes": {
			reason: "bytes are counted too", limits: []policy.Limits{{BytesPerStatement: 10}},
			takes: []take{{1, 5}, {1, 5}, {1, 1}}, passes: 2, limit: "BytesPerStatement",
		},
		"Strictest": {
			reason: "limits of all policies hold", limits: []policy.Limits{{RowsPerStatement: 9}, {RowsPerStatement: 2}, {RowsPerStatement: 5}},
			takes: []take{{1, 0}, {1, 0}, {1, 0}}, passes: 2, limit: "RowsPerStatement",
		},
		"Window": {
			reason: "a window bounds one statement too", limits: []policy.Limits{hourly(2, 0)},
			takes: []take{{2, 0}, {1, 0}}, passes: 1, limit: "RowsPerWindow",
		},
		"WindowBytes": {
			reason: "in bytes", limits: []policy.Limits{hourly(0, 7)},
			takes: []take{{100, 7}, {1, 1}}, passes: 1, limit: "BytesPerWindow",
		},
		"Overflow": {
			reason: "no sum wraps around", limits: []policy.Limits{{RowsPerStatement: 1 << 60}, hourly(1<<60, 1<<60)},
			takes: []take{{1 << 59, 1 << 59}, {1<<63 - 1, 1<<63 - 1}}, passes: 1, limit: "RowsPerStatement",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, limited(tc.limits...))
			g := w.authorize()
			defer g.Close("")
			permit := w.permit(g)
			for i, next := range tc.takes {
				err := permit.Meter().Take(next.rows, next.bytes)
				if passes := i < tc.passes; passes != (err == nil) {
					t.Fatalf("%s: take %d: %v", tc.reason, i, err)
				}
				if err == nil {
					continue
				}
				refusal := AsRefusal(err)
				if refusal.Reason != ReasonLimit || refusal.Code != "53400" || !strings.Contains(refusal.Message, tc.limit+` of AccessPolicy "bounds"`) ||
					!strings.Contains(refusal.Detail(), `AccessPolicy "bounds" (generation 4)`) || refusal.Hint == "" {
					t.Errorf("%s: the refusal does not name limit and policy: %+v", tc.reason, refusal)
				}
				if again := permit.Meter().Take(0, 0); AsRefusal(again) != refusal {
					t.Errorf("%s: once over, the operation is over: %v", tc.reason, again)
				}
			}
			permit.Done(record.Result{Outcome: "Succeeded", Rows: 1})
			result := w.last(record.OperationResult)
			if result.Result.Outcome != "Failed" || result.Result.ErrorCode != "53400" || !strings.Contains(result.Reason, tc.limit) {
				t.Errorf("%s: the record does not name the limit: %+v, reason %q", tc.reason, result.Result, result.Reason)
			}
		})
	}
}

func TestMeterOfNoLimits(t *testing.T) {
	w := newWorld(t, allowing)
	g := w.authorize()
	defer g.Close("")
	permit := w.permit(g)
	if permit.Meter() != nil {
		t.Error("a meter where nothing is limited")
	}
	if err := permit.Meter().Take(1<<62, 1<<62); err != nil {
		t.Errorf("Take of no meter: %v", err)
	}
	permit.Done(record.Result{Outcome: "Succeeded"})
	if got := w.last(record.OperationResult); got.Result.Outcome != "Succeeded" || got.Reason != "" {
		t.Errorf("the result became %+v, %q", got.Result, got.Reason)
	}
}

// TestExhaustedWindowRefusesBefore: nothing is forwarded that could return
// nothing, but what ends a transaction; the hint says when to come again.
func TestExhaustedWindowRefusesBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, limited(hourly(10, 0)))
		w.caller.ExpiresAt = time.Now().Add(10 * time.Hour)
		g := w.authorize()
		permit := w.permit(g)
		if err := permit.Meter().Take(10, 0); err != nil {
			t.Fatal(err)
		}
		permit.Done(record.Result{Outcome: "Succeeded"})
		_, err := g.Decide(t.Context(), statement())
		refusal := AsRefusal(err)
		if reason(err) != ReasonLimit || refusal.Code != "53400" || !strings.Contains(refusal.Hint, "opens again in 1h") {
			t.Fatalf("Decide = %+v, want a refusal that says when the window opens", refusal)
		}
		if event := w.last(record.OperationDecided); event.Decision.Effect != policy.Deny || event.Reason != string(ReasonLimit) {
			t.Errorf("on record is %+v", event)
		}
		ending, err := g.Decide(t.Context(), statement(func(a *Ask) { a.Unmetered = true }))
		if err != nil {
			t.Fatalf("what ends a transaction is refused: %v", err)
		}
		ending.Done(record.Result{Outcome: "Succeeded"})
		for range 40 { // the gate wants proof of freshness meanwhile
			<-time.After(2 * time.Minute)
			w.gate.Heartbeat(0)
		}
		w.permit(g).Done(record.Result{Outcome: "Succeeded"})
		g.Close("")
		w.gate.Close(ErrDraining)
	})
}

// TestWindowIsOneCallers: all of a caller's sessions share a window, and no
// other caller's.
func TestWindowIsOneCallers(t *testing.T) {
	w := newWorld(t, limited(hourly(1000, 0)))
	var taken atomic.Int64
	var permits []*Permit
	for range 8 {
		permits = append(permits, w.permit(w.authorize()))
	}
	var group sync.WaitGroup
	for _, permit := range permits {
		group.Go(func() {
			for permit.Meter().Take(1, 10) == nil {
				taken.Add(1)
			}
		})
	}
	group.Wait()
	if got := taken.Load(); got != 1000 {
		t.Errorf("8 sessions took %d rows, want 1000", got)
	}
	for _, permit := range permits {
		permit.Done(record.Result{})
		permit.grant.Close("")
	}
	for name, change := range map[string]func(*identity.Principal){
		"Subject": func(p *identity.Principal) { p.Subject = "2" },
		"Issuer":  func(p *identity.Principal) { p.Issuer = "https://other.example" },
	} {
		before := w.caller
		change(&w.caller)
		g := w.authorize()
		permit := w.permit(g)
		if err := permit.Meter().Take(1000, 0); err != nil {
			t.Errorf("another %s finds the window of the first: %v", name, err)
		}
		permit.Done(record.Result{})
		g.Close("")
		w.caller = before
	}
}

// TestWindowsCountTogether: what one window refuses does not count in another.
func TestWindowsCountTogether(t *testing.T) {
	wide := policy.Limits{Windows: []policy.Window{{Seconds: 60, Bytes: 100}, {Seconds: 3600, Rows: 5}}}
	w := newWorld(t, limited(wide))
	g := w.authorize()
	defer g.Close("")
	first := w.permit(g)
	if first.Meter().Take(1, 101) == nil || first.Meter().refused() == nil {
		t.Fatal("101 of 100 bytes left")
	}
	first.Done(record.Result{})
	second := w.permit(g)
	defer second.Done(record.Result{})
	if err := second.Meter().Take(5, 100); err != nil {
		t.Errorf("what was refused counts: %v", err)
	}
}

// TestLimitsChange: a new snapshot's limits hold for the operation that runs,
// and what was counted stays.
func TestLimitsChange(t *testing.T) {
	cases := map[string]struct {
		reason string
		before rules
		after  rules
		rows   int64 // taken before
		// left is what may be taken after; ended says that the session ends.
		left  int64
		ended bool
	}{
		"Stricter":  {reason: "less is left", before: limited(policy.Limits{RowsPerStatement: 100}), after: limited(policy.Limits{RowsPerStatement: 10}), rows: 4, left: 6},
		"Exceeded":  {reason: "nothing is left", before: limited(policy.Limits{RowsPerStatement: 100}), after: limited(policy.Limits{RowsPerStatement: 10}), rows: 40},
		"Looser":    {reason: "more is left", before: limited(policy.Limits{RowsPerStatement: 10}), after: limited(policy.Limits{RowsPerStatement: 100}), rows: 4, left: 96},
		"Gone":      {reason: "nothing is counted any more", before: limited(policy.Limits{RowsPerStatement: 10}), after: allowing, rows: 4, left: 1 << 40},
		"Window":    {reason: "a window keeps its count", before: limited(hourly(100, 0)), after: limited(hourly(10, 0)), rows: 4, left: 6},
		"Unlimited": {reason: "nobody counted what runs, so it ends", before: allowing, after: limited(policy.Limits{RowsPerStatement: 10}), ended: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.before)
			g := w.authorize()
			defer g.Close("")
			permit := w.permit(g)
			defer permit.Done(record.Result{})
			if err := permit.Meter().Take(tc.rows, 0); err != nil {
				t.Fatal(err)
			}
			w.apply(tc.after)
			if ended := g.ended() != nil; ended != tc.ended {
				t.Fatalf("%s: ended = %t: %v", tc.reason, ended, context.Cause(g.Context()))
			}
			if tc.ended {
				return
			}
			if tc.left > 0 {
				if err := permit.Meter().Take(tc.left, 0); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
			}
			if tc.left < 1<<40 && permit.Meter().Take(1, 0) == nil {
				t.Errorf("%s: more was left than %d", tc.reason, tc.left)
			}
		})
	}
}

func TestMeterAllocates(t *testing.T) {
	w := newWorld(t, limited(policy.Limits{RowsPerStatement: 1 << 50, BytesPerStatement: 1 << 50}, hourly(1<<50, 1<<50)))
	g := w.authorize()
	defer g.Close("")
	permit := w.permit(g)
	defer permit.Done(record.Result{})
	if n := testing.AllocsPerRun(1000, func() {
		if err := permit.Meter().Take(1, 100); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Take allocates %v times, want none", n)
	}
}

func BenchmarkMeterTake(b *testing.B) {
	gate := &Gate{windows: newWindowTable()}
	g := &Grant{gate: gate}
	standing, err := policytest.Engine(limited(policy.Limits{RowsPerStatement: 1 << 50}, hourly(1<<50, 1<<50))).Standing(b.Context(), g.principal, policy.Circumstances{})
	if err != nil {
		b.Fatal(err)
	}
	g.view.Store(g.viewAs(standing, &state{snapshot: &snapshot.Snapshot{}}, policy.Circumstances{Time: time.Now()}))
	meter := &Meter{grant: g}
	b.ReportAllocs()
	for b.Loop() {
		if err := meter.Take(1, 100); err != nil {
			b.Fatal(err)
		}
	}
}
