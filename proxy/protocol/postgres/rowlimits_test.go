// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// limited is a road on which limits hold.
func limited(t *testing.T, limits policy.Limits, masks ...policy.Mask) (*protocoltest.Road, *protocoltest.Server) {
	t.Helper()
	r, s := road(t)
	limits.Policy = policy.RuleRef{Policy: "small", Generation: 3}
	r.Engine.Set(nil, masks...)
	r.Engine.Limit(limits)
	r.Apply(t)
	return r, s
}

// seeded makes a table of a test's own, with ids from 1 and total 0.
func seeded(t *testing.T, name, rows string) *pgx.Conn {
	t.Helper()
	direct, err := pgx.Connect(deadline(t), server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = direct.Exec(t.Context(), "DROP TABLE IF EXISTS public."+name)
		_ = direct.Close(t.Context())
	})
	if _, err := direct.Exec(deadline(t), "DROP TABLE IF EXISTS public."+name+"; CREATE TABLE public."+name+" (id int, total int); INSERT INTO public."+name+" SELECT i, 0 FROM generate_series(1, "+rows+") i"); err != nil {
		t.Fatal(err)
	}
	return direct
}

// TestRowLimits: what goes beyond a limit ends the answer with an error, and the
// transaction is as after any error: nothing of it stays, nothing behind it runs.
func TestRowLimits(t *testing.T) {
	const over = "ERROR 53400"
	all := "SELECT id FROM public.counted ORDER BY id"
	change := "UPDATE public.counted SET total = 1 WHERE id = 1"
	portal := func(text string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{parse("", text), bind("", ""), execute("")}
	}
	join := func(parts ...[]pgproto3.FrontendMessage) (out []pgproto3.FrontendMessage) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return append(out, syncNow)
	}
	one := func(texts ...string) (out []pgproto3.FrontendMessage) {
		for _, text := range texts {
			out = append(out, query(text))
		}
		return out
	}
	three := []string{"RowDescription", "row 1", "row 2", "row 3"}
	tests := map[string]struct {
		reason string
		limits policy.Limits
		rows   string
		send   []pgproto3.FrontendMessage
		ready  int
		want   []string
		// changed says that something is expected to have changed.
		changed bool
	}{
		"within": {
			reason: "the limit itself may be returned", send: one(all + " LIMIT 3"), ready: 1,
			want: append(three[:4:4], "done SELECT 3", "ready I"),
		},
		"simple": {
			reason: "the target had finished before it could be canceled; the session goes on", send: one(all, "SELECT 7"), ready: 2,
			want: append(three[:4:4], over, "ready I", "RowDescription", "row 7", "done SELECT 1", "ready I"),
		},
		"simple, large": {
			reason: "the target is canceled", rows: "300000", send: one(all, "SELECT 7"), ready: 2,
			want: append(three[:4:4], over, "ready I", "RowDescription", "row 7", "done SELECT 1", "ready I"),
		},
		"in a block": {
			reason: "the block fails", send: one("BEGIN", change, all, "COMMIT"), ready: 4,
			want: append(append([]string{"done BEGIN", "ready T", "done UPDATE 1", "ready T"}, three...), over, "ready E", "done ROLLBACK", "ready I"),
		},
		"in a block, large": {
			reason: "the block fails", rows: "300000", send: one("BEGIN", change, all, "COMMIT"), ready: 4,
			want: append(append([]string{"done BEGIN", "ready T", "done UPDATE 1", "ready T"}, three...), over, "ready E", "done ROLLBACK", "ready I"),
		},
		"RETURNING": {
			reason: "a write that commits by itself is undone", send: one("UPDATE public.counted SET total = 1 RETURNING 7"), ready: 1,
			want: []string{"RowDescription", "row 7", "row 7", "row 7", over, "ready I"},
		},
		"RETURNING within": {
			reason: "a write that commits by itself does so", send: one("UPDATE public.counted SET total = 1 WHERE id = 1 RETURNING id"), ready: 1,
			want: []string{"RowDescription", "row 1", "done UPDATE 1", "ready I"}, changed: true,
		},
		"RETURNING that fails": {
			reason: "errors are the target's", send: one("UPDATE public.counted SET total = 1/(id-1) RETURNING id", "SELECT 7"), ready: 2,
			want: []string{"RowDescription", "ERROR 22012", "ready I", "RowDescription", "row 7", "done SELECT 1", "ready I"},
		},
		"RETURNING, unknown": {
			reason: "errors are the target's, also of types", send: one("UPDATE public.counted SET total = now() RETURNING id"), ready: 1,
			want: []string{"ERROR 42804", "ready I"},
		},
		"pipeline, change behind": {
			reason: "nothing behind it runs", send: join(portal(all), portal(change)), ready: 1,
			want: []string{"ParseComplete", "BindComplete", "row 1", "row 2", "row 3", over, "ready I"},
		},
		"pipeline, change before": {
			reason: "what the same transaction did is undone", send: join(portal(change), portal(all)), ready: 1,
			want: []string{"ParseComplete", "BindComplete", "done UPDATE 1", "ParseComplete", "BindComplete", "row 1", "row 2", "row 3", over, "ready I"},
		},
		"pipeline, large": {
			reason: "the target is canceled", rows: "300000", send: join(portal(change), portal(all)), ready: 1,
			want: []string{"ParseComplete", "BindComplete", "done UPDATE 1", "ParseComplete", "BindComplete", "row 1", "row 2", "row 3", over, "ready I"},
		},
		"pipeline in a block": {
			reason: "the block fails", send: append(one("BEGIN"), append(join(portal(change), portal(all)), query("COMMIT"))...), ready: 3,
			want: []string{
				"done BEGIN", "ready T", "ParseComplete", "BindComplete", "done UPDATE 1", "ParseComplete", "BindComplete", "row 1", "row 2", "row 3", over,
				"ready E", "done ROLLBACK", "ready I",
			},
		},
		"portions": {
			reason: "each Execute counts by itself", ready: 1,
			send: []pgproto3.FrontendMessage{parse("", all), bind("", ""), &pgproto3.Execute{MaxRows: 3}, &pgproto3.Execute{MaxRows: 3}, &pgproto3.Execute{MaxRows: 4}, syncNow},
			want: []string{"ParseComplete", "BindComplete", "row 1", "row 2", "row 3", "PortalSuspended", "row 4", "row 5", "row 6", "PortalSuspended", "row 7", "row 8", "row 9", over, "ready I"},
		},
		"cursor": {
			reason: "each FETCH counts by itself", send: one("BEGIN", "DECLARE c CURSOR FOR "+all, "FETCH 3 FROM c", "FETCH 4 FROM c", "COMMIT"), ready: 5,
			want: append(append([]string{"done BEGIN", "ready T", "done DECLARE CURSOR", "ready T"}, append(three, "done FETCH 3", "ready T")...),
				"RowDescription", "row 4", "row 5", "row 6", over, "ready E", "done ROLLBACK", "ready I"),
		},
		"COPY": {
			reason: "rows of COPY count", send: one("COPY public.counted (id) TO STDOUT", "SELECT 7"), ready: 2,
			want: []string{"CopyOutResponse", "CopyData", "CopyData", "CopyData", over, "ready I", "RowDescription", "row 7", "done SELECT 1", "ready I"},
		},
		"COPY in CSV with names": {
			reason: "names are no row", send: one("COPY (" + all + " LIMIT 3) TO STDOUT (FORMAT csv, HEADER)"), ready: 1,
			want: []string{"CopyOutResponse", "CopyData", "CopyData", "CopyData", "CopyData", "CopyDone", "done COPY 3", "ready I"},
		},
		"COPY in binary": {
			reason: "the trailer is no row", send: one("COPY (" + all + " LIMIT 3) TO STDOUT (FORMAT binary)"), ready: 1,
			want: []string{"CopyOutResponse", "CopyData", "CopyData", "CopyData", "CopyData", "CopyDone", "done COPY 3", "ready I"},
		},
		"bytes": {
			reason: "each row of one digit has seven bytes", limits: policy.Limits{BytesPerStatement: 14}, send: one(all), ready: 1,
			want: []string{"RowDescription", "row 1", "row 2", over, "ready I"},
		},
		"one text": {
			reason: "what changes something could not be undone", send: one(all + "; " + change), ready: 1,
			want: []string{"ERROR 0A000", "ready I"},
		},
		"one text in a block": {
			reason: "the block fails, and the text with it", send: one("BEGIN", change+"; "+all+"; "+change, "COMMIT"), ready: 3,
			want: append(append([]string{"done BEGIN", "ready T", "done UPDATE 1"}, three...), over, "ready E", "done ROLLBACK", "ready I"),
		},
		"one text that commits": {
			reason: "what was committed could not be undone", send: one("BEGIN", change, all+"; COMMIT", "ROLLBACK"), ready: 4,
			want: []string{"done BEGIN", "ready T", "done UPDATE 1", "ready T", "ERROR 0A000", "ready E", "done ROLLBACK", "ready I"},
		},
		"one text that reads": {
			reason: "what is behind it is not shown", send: one("SELECT 6; "+all+"; SELECT 8", "SELECT 7"), ready: 2,
			want: append(append([]string{"RowDescription", "row 6", "done SELECT 1"}, three...), over, "ready I", "RowDescription", "row 7", "done SELECT 1", "ready I"),
		},
		"a window": {
			reason: "what was returned before counts, and what returns nothing goes on", limits: policy.Limits{Windows: []policy.Window{{Seconds: 3600, Rows: 5}}},
			send: one(all+" LIMIT 3", all+" LIMIT 3", "SELECT 7", "BEGIN", "COMMIT"), ready: 5,
			want: append(three[:4:4], "done SELECT 3", "ready I", "RowDescription", "row 1", "row 2", over, "ready I", over, "ready I", "done BEGIN", "ready T", "done COMMIT", "ready I"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rows := tc.rows
			if rows == "" {
				rows = "10"
			}
			direct := seeded(t, "counted", rows)
			if tc.limits.RowsPerStatement == 0 && tc.limits.BytesPerStatement == 0 && tc.limits.Windows == nil {
				tc.limits.RowsPerStatement = 3
			}
			r, s := limited(t, tc.limits)
			c := enter(t, r, s)
			_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, c.until(tc.ready)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			var changed int
			if err := direct.QueryRow(deadline(t), "SELECT count(*) FROM public.counted WHERE total <> 0").Scan(&changed); err != nil {
				t.Fatal(err)
			}
			if (changed > 0) != tc.changed {
				t.Errorf("%s: %d rows changed", tc.reason, changed)
			}
		})
	}
}

// TestRowLimitTold: the error names limit and policy, the record shows what was
// delivered, drivers and pools go on with the session.
func TestRowLimitTold(t *testing.T) {
	seeded(t, "told", "5000")
	r, s := limited(t, policy.Limits{RowsPerStatement: 100})
	conn := client(t, r, s)
	for range 3 {
		n := 0
		rows, err := conn.Query(deadline(t), "SELECT id FROM public.told ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			n++
		}
		var refused *pgconn.PgError
		if !errors.As(rows.Err(), &refused) || refused.Code != "53400" || !strings.Contains(refused.Message, "RowsPerStatement") ||
			!strings.Contains(refused.Message, "small") || refused.Hint == "" {
			t.Fatalf("the error: %+v", rows.Err())
		}
		if n > 100 {
			t.Errorf("%d rows came", n)
		}
		var seven int
		if err := conn.QueryRow(deadline(t), "SELECT 7").Scan(&seven); err != nil || seven != 7 {
			t.Fatalf("the session does not go on: %v", err)
		}
	}
	found := r.Log.Await(deadline(t), t, "the result", func(e record.Event) bool { return e.Result != nil && e.Result.ErrorCode == "53400" })
	if found.Result.Outcome != "Failed" || found.Result.Rows != 100 || !strings.Contains(found.Reason, "RowsPerStatement") {
		t.Errorf("on record: %+v, %q", found.Result, found.Reason)
	}
	out, err := psql(t, dsn(t, r, s), "SELECT id FROM public.told; SELECT 'next';")
	if !strings.Contains(out, "RowsPerStatement") || !strings.Contains(out, "next") {
		t.Errorf("psql: %v\n%s", err, out)
	}
}
