// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestReadOverlap is promise 2 with audit.readOverlap: while the record is
// being written, what only reads runs at the target and nothing of its answer
// reaches the caller; everything else does not even reach the target.
func TestReadOverlap(t *testing.T) {
	overlap := snapshot.Audit{ReadOverlap: true}
	extended := func(text string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{parse("", text), bind("", ""), execute(""), syncNow}
	}
	tests := map[string]struct {
		reason string
		audit  snapshot.Audit
		send   func(marker string) []pgproto3.FrontendMessage
		runs   bool
	}{
		"Read":     {"a read overlaps with its record", overlap, simply("SELECT total FROM public.orders WHERE id = 1 %s"), true},
		"Extended": {"so it does in the extended protocol", overlap, func(m string) []pgproto3.FrontendMessage { return extended("SELECT 1 " + m) }, true},
		"Off":      {"unset allows no overlap", snapshot.Audit{}, simply("SELECT 1 %s"), false},
		"Write":    {"a write waits", overlap, simply("UPDATE public.orders SET total = total WHERE id = 1 %s"), false},
		"Writing CTE": {
			"a write within a SELECT waits", overlap,
			simply("WITH w AS (UPDATE public.orders SET total = total WHERE id = 1 RETURNING id) SELECT id FROM w %s"), false,
		},
		"Lock":     {"a lock that others can feel waits", overlap, simply("SELECT id FROM public.orders WHERE id = 1 FOR UPDATE %s"), false},
		"Volatile": {"a volatile function waits", overlap, simply("SELECT pg_advisory_unlock_all() %s"), false},
		"User":     {"a function that is not built in waits", overlap, simply("SELECT public.innocent() %s"), false},
		"Setting":  {"a change of a setting waits", overlap, simply("SET statement_timeout = 1000 %s"), false},
		"Read before write": {
			"one text: the write waits, and the read with it", overlap,
			simply("SELECT 1 %s; UPDATE public.orders SET total = total WHERE id = 1"), false,
		},
	}
	if err := server.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	owner := admin(t)
	if _, err := owner.Exec(t.Context(), "CREATE OR REPLACE FUNCTION public.innocent() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r, s := road(t, func(c *protocoltest.Config) { c.Audit = tc.audit })
			c := enter(t, r, s)
			c.send(query("SELECT total FROM public.orders WHERE id = 2")) // loads the catalog
			c.until(1)
			release := r.Log.Hold()
			defer release()
			marker := "/* " + strings.ReplaceAll(t.Name(), "/", " ") + " */"
			answers := make(chan []string, 1)
			c.send(tc.send(marker)...)
			go func() { answers <- c.until(1) }()
			if tc.runs {
				awaitStatement(t, marker)
			}
			select {
			case got := <-answers:
				t.Fatalf("%s: an answer left before the record was durable: %v", tc.reason, got)
			case <-time.After(100 * time.Millisecond): // a promise that nothing happens can only be watched
			}
			if ran := seen(t, marker); ran != tc.runs {
				t.Errorf("%s: reached the target: %v, want %v", tc.reason, ran, tc.runs)
			}
			release()
			if got := <-answers; got[len(got)-1] != "ready I" {
				t.Errorf("after the record was durable: %v", got)
			}
		})
	}
}

// TestReadOverlapAfterDDL: what a transaction has redefined, the catalog does
// not show; a name that stood for a table may count up a sequence by now.
func TestReadOverlapAfterDDL(t *testing.T) {
	r, s := road(t, func(c *protocoltest.Config) { c.Audit = snapshot.Audit{ReadOverlap: true} })
	c := enter(t, r, s)
	c.send(query("CREATE OR REPLACE VIEW public.shifting AS SELECT 1::bigint AS n; CREATE SEQUENCE IF NOT EXISTS public.felt"))
	c.until(1)
	c.send(query("BEGIN"), query(`CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO public.shifting DO INSTEAD SELECT nextval('public.felt') AS n`))
	c.until(2)
	release := r.Log.Hold()
	defer release()
	const marker = "/* shifting read */"
	c.send(query("SELECT n " + marker + " FROM public.shifting"))
	<-time.After(100 * time.Millisecond) // a promise that nothing happens can only be watched
	if seen(t, marker) {
		t.Error("a read of what the transaction redefined reached the target before its record")
	}
	release()
	if got := c.until(1); got[len(got)-1] != "ready T" {
		t.Errorf("after the record was durable: %v", got)
	}
}

// TestReadOverlapWithoutRecord: where the record of a read that was forwarded is
// lost, its answer is withheld and the session ends.
func TestReadOverlapWithoutRecord(t *testing.T) {
	r, s := road(t, func(c *protocoltest.Config) { c.Audit = snapshot.Audit{ReadOverlap: true} })
	c := enter(t, r, s)
	c.send(query("SELECT total FROM public.orders WHERE id = 2"))
	c.until(1)
	release := r.Log.Hold()
	c.send(query("SELECT total /* without a record */ FROM public.orders WHERE id = 3"))
	awaitStatement(t, "/* without a record */")
	r.Log.Fail(errors.New("the disk is gone"))
	release()
	if diff := cmp.Diff([]string{"FATAL 57P03", "end"}, c.until(1)); diff != "" {
		t.Errorf("the caller gets the refusal alone (-want +got):\n%s", diff)
	}
}

// TestReadOverlapDenied: only what is allowed overlaps.
func TestReadOverlapDenied(t *testing.T) {
	r, s := road(t, func(c *protocoltest.Config) { c.Audit = snapshot.Audit{ReadOverlap: true} })
	r.Engine.Set(func(policy.Operation) policy.Decision {
		return policy.Decision{Effect: policy.Deny}
	})
	r.Apply(t)
	c := enter(t, r, s)
	c.send(query("SELECT 1 /* denied read */"))
	if diff := cmp.Diff([]string{"ERROR 42501", "ready I"}, c.until(1)); diff != "" || seen(t, "/* denied read */") {
		t.Errorf("a denied read reached the target, or (-want +got):\n%s", diff)
	}
}

func simply(text string) func(string) []pgproto3.FrontendMessage {
	return func(marker string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{query(fmt.Sprintf(text, marker))}
	}
}

// seen says whether a session at the target runs, or last ran, a text.
func seen(t *testing.T, marker string) bool {
	t.Helper()
	var n int
	if err := admin(t).QueryRow(t.Context(),
		"SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND position($1 in query) > 0", marker).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// awaitStatement waits until the target has run a text.
func awaitStatement(t *testing.T, marker string) {
	t.Helper()
	conn := admin(t)
	for {
		var n int
		if err := conn.QueryRow(deadline(t),
			"SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle' AND position($1 in query) > 0", marker).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
}

// admin is a connection to the target past the proxy, as its owner.
func admin(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
