// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// TestFetchOfPortal is checklist 10: FETCH and MOVE would run what Bind has put
// into a portal, an UPDATE ... RETURNING too, without the decision, the approval
// and the record of its Execute.
func TestFetchOfPortal(t *testing.T) {
	const write = "UPDATE public.orders SET total = -1 WHERE id = 1 RETURNING id"
	r, s := road(t)
	r.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Action == "update" {
				return policy.Decision{Effect: policy.RequireApproval, Rules: []policy.RuleRef{protocoltest.Rule}, Access: a}
			}
		}
		return policy.Decision{Effect: policy.Allow}
	})
	r.Apply(t)
	bound := []pgproto3.FrontendMessage{query("BEGIN"), parse("w", write), bind("c", "w"), syncNow}
	const begun = "done BEGIN,ready T,ParseComplete,BindComplete,ready T,"
	tests := map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		ready  int
		want   string
	}{
		"FETCH": {
			reason: "it would run the UPDATE", ready: 3,
			send: append(bound, query("FETCH ALL FROM c")), want: begun + "ERROR 0A000,ready E",
		},
		"MOVE": {
			reason: "it would, too, and show nothing", ready: 3,
			send: append(bound, query("MOVE ALL FROM c")), want: begun + "ERROR 0A000,ready E",
		},
		"by Execute": {
			reason: "a FETCH is a statement like another", ready: 3,
			send: append(bound, parse("", "FETCH ALL FROM c"), bind("", ""), execute(""), syncNow),
			want: begun + "ParseComplete,BindComplete,ERROR 0A000,ready E",
		},
		"bound after the FETCH was": {
			reason: "what counts is the moment of Execute", ready: 2,
			send: []pgproto3.FrontendMessage{query("BEGIN"), parse("", "FETCH ALL FROM c"), bind("f", ""), parse("w", write), bind("c", "w"), execute("f"), syncNow},
			want: "done BEGIN,ready T,ParseComplete,BindComplete,ParseComplete,BindComplete,ERROR 0A000,ready E",
		},
		"after an error and a savepoint": {
			reason: "the target keeps the portal through ROLLBACK TO", ready: 6,
			send: append(bound, query("SAVEPOINT s"), query("SELECT 1/0"), query("ROLLBACK TO s"), query("FETCH ALL FROM c")),
			want: begun + "done SAVEPOINT,ready T,ERROR 22012,ready E,done ROLLBACK,ready T,ERROR 0A000,ready E",
		},
		"a cursor of that name after Close": {
			reason: "the portal is gone", ready: 5,
			send: append(bound, &pgproto3.Close{ObjectType: 'P', Name: "c"}, syncNow, query("DECLARE c CURSOR FOR SELECT 5"), query("FETCH c")),
			want: begun + "CloseComplete,ready T,done DECLARE CURSOR,ready T,RowDescription,row 5,done FETCH 1,ready T",
		},
		"a cursor of that name in the next transaction": {
			reason: "the portal went with the one before", ready: 6,
			send: append(bound, query("ROLLBACK"), query("BEGIN"), query("DECLARE c CURSOR FOR SELECT 5"), query("FETCH c")),
			want: begun + "done ROLLBACK,ready I,done BEGIN,ready T,done DECLARE CURSOR,ready T,RowDescription,row 5,done FETCH 1,ready T",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, strings.Join(c.until(tc.ready), ",")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestReplacedUnderExplain is checklist 10: EXPLAIN ANALYZE runs what EXECUTE
// names now, not what it named when it was parsed.
func TestReplacedUnderExplain(t *testing.T) {
	r, s := road(t)
	r.Engine.Set(protocoltest.DenyAction("update"))
	r.Apply(t)
	c := enter(t, r, s)
	// The Parse is let through where the rules allow it at that moment.
	c.send(parse("a", "SELECT 5"), parse("x", "EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE a"), syncNow)
	if diff := cmp.Diff([]string{"ParseComplete", "ParseComplete", "ready I"}, c.until(1)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	r.Engine.Set(nil)
	r.Apply(t)
	c.send(query("DEALLOCATE a"), parse("a", "UPDATE public.orders SET total = -1 WHERE id = 1"), syncNow)
	c.until(2)
	r.Engine.Set(protocoltest.DenyAction("update"))
	r.Apply(t)
	c.send(bind("", "x"), execute(""), syncNow)
	if diff := cmp.Diff([]string{"BindComplete", "ERROR 42501", "ready I"}, c.until(1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	last := r.Log.OfType(record.OperationDecided)
	if text := last[len(last)-1].Operation.Statement; !strings.Contains(text, "UPDATE public.orders SET total = -1 WHERE id = 1") {
		t.Errorf("what would have run is not on record: %q", text)
	}
}

// TestExecuteShowsWhatRuns is checklist 37: approvers and readers of the record
// see the statement behind the name.
func TestExecuteShowsWhatRuns(t *testing.T) {
	r, s := road(t)
	c := enter(t, r, s)
	c.send(parse("a", "SELECT total FROM public.orders WHERE id = 1"), syncNow, query("EXECUTE a"), query("PREPARE b AS SELECT 6"), query("EXPLAIN EXECUTE b"))
	c.until(4)
	var got []string
	for _, e := range r.Log.OfType(record.OperationDecided) {
		got = append(got, e.Operation.Statement)
	}
	want := []string{
		"SELECT total FROM public.orders WHERE id = 1 -- run by: EXECUTE a", "PREPARE b AS SELECT 6",
		"PREPARE b AS SELECT 6 -- run by: EXPLAIN EXECUTE b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// TestReplacedUnderPortal is checklist 10 and 18: where the rows of an EXECUTE
// come from is known when it runs, not from a Describe before the statement of
// that name was replaced.
func TestReplacedUnderPortal(t *testing.T) {
	const name, email = "SELECT name FROM public.customers WHERE id = 1", "SELECT email FROM public.customers WHERE id = 1"
	r, s := maskedRoad(t)
	portal := &pgproto3.Describe{ObjectType: 'P', Name: "p"}
	start := []pgproto3.FrontendMessage{query("BEGIN"), parse("a", name), parse("", "EXECUTE a"), bind("p", ""), portal, syncNow}
	const started = "done BEGIN,ready T,ParseComplete,ParseComplete,BindComplete,RowDescription,ready T,"
	tests := map[string]struct {
		send  []pgproto3.FrontendMessage
		ready int
		want  string
	}{
		"the same": {
			send: append(start, execute("p"), syncNow), ready: 3, want: started + "row Ann,done SELECT 1,ready T",
		},
		"by SQL": {
			send: append(start, query("DEALLOCATE a"), query("PREPARE a AS "+email), execute("p"), syncNow), ready: 5,
			want: started + "done DEALLOCATE,ready T,done PREPARE,ready T,ERROR 0A000,ready E",
		},
		"by the protocol": {
			send: append(start, &pgproto3.Close{ObjectType: 'S', Name: "a"}, parse("a", email), execute("p"), syncNow), ready: 3,
			want: started + "CloseComplete,ParseComplete,ERROR 0A000,ready E",
		},
		"bound again": {
			send: append(start, query("DEALLOCATE a"), query("PREPARE a AS "+email), parse("", "EXECUTE a"), bind("q", ""), execute("q"), syncNow), ready: 5,
			want: started + "done DEALLOCATE,ready T,done PREPARE,ready T,ParseComplete,BindComplete,row [masked],done SELECT 1,ready T",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, strings.Join(c.until(tc.ready), ",")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
