// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// twoSchemas makes pa.t, which may be read, and pb.t, which may not.
func twoSchemas(t *testing.T) (*protocoltest.Road, *protocoltest.Server) {
	t.Helper()
	r, s := road(t)
	if _, err := client(t, r, s).Exec(deadline(t), `
		CREATE SCHEMA pa; CREATE SCHEMA pb;
		CREATE TABLE pa.t (v text); INSERT INTO pa.t VALUES ('a');
		CREATE TABLE pb.t (v text); INSERT INTO pb.t VALUES ('b');
		CREATE FUNCTION public.mover() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN set_config(''search_path'', ''pb'', false); END';
		CREATE VIEW pa.over_b AS SELECT v FROM pb.t`); err != nil {
		t.Fatal(err)
	}
	made := len(r.Log.Events())
	t.Cleanup(func() {
		past(t, "DROP SCHEMA pa, pb CASCADE; DROP FUNCTION public.mover()")
		for _, e := range r.Log.Events()[made:] {
			if e.Type != record.OperationDecided || e.Decision.Effect != policy.Allow {
				continue
			}
			for _, access := range e.Operation.Accesses {
				if access.Action != "set" && strings.HasPrefix(access.Resource, "pb.") {
					t.Errorf("let through: %s", e.Operation.Statement)
				}
			}
		}
	})
	r.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Action != "set" && strings.HasPrefix(a.Resource, "pb.") {
				return policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{protocoltest.Rule}, Access: a}
			}
		}
		return policy.Decision{Effect: policy.Allow}
	})
	r.Apply(t)
	return r, s
}

// past runs statements past the proxy, also when the test is over.
func past(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, text); err != nil {
		t.Fatal(err)
	}
}

// pipeline is an extended query without its Sync.
func pipeline(texts ...string) []pgproto3.FrontendMessage {
	var out []pgproto3.FrontendMessage
	for _, text := range texts {
		out = append(out, parse("", text), bind("", ""), execute(""))
	}
	return out
}

// results leaves out of a client's answers what only says that a message came.
func results(answers []string) string {
	var out []string
	for _, a := range answers {
		switch a {
		case "RowDescription", "ParseComplete", "BindComplete", "CloseComplete", "NoData", "ParameterStatus", "NotificationResponse":
		default:
			out = append(out, a)
		}
	}
	return strings.Join(out, ", ")
}

// TestSearchPath is checklist 10: what a name stands for is decided under the
// search path that the target runs it under, however that came about.
func TestSearchPath(t *testing.T) {
	const read = "SELECT v FROM t"
	r, s := twoSchemas(t)
	q := func(texts ...string) (out []pgproto3.FrontendMessage) {
		for _, text := range texts {
			out = append(out, query(text))
		}
		return out
	}
	also := func(lists ...[]pgproto3.FrontendMessage) (out []pgproto3.FrontendMessage) {
		for _, list := range lists {
			out = append(out, list...)
		}
		return out
	}
	synced := func(texts ...string) []pgproto3.FrontendMessage { return append(pipeline(texts...), syncNow) }
	const a, b, none = "row a, done SELECT 1, ready I", "ERROR 42501, ready I", "ERROR 42P01, ready I"
	const set = "done SET, ready I, "
	for name, tc := range map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		want   string
	}{
		"default":       {"neither is in the path", q(read), none},
		"set":           {"", q("SET search_path = pa", read), set + a},
		"set to denied": {"", q("SET search_path TO pb, pa", read), set + b},
		"set schema":    {"", q("SET SCHEMA 'pb'", read), set + b},
		"session":       {"", q("SET SESSION search_path = missing, pa", read), set + a},
		"set_config":    {"", q("SELECT pg_catalog.set_config('search_path', 'pa', false)", read), "row pa, done SELECT 1, ready I, " + a},
		"emptied":       {"as pg_dump does", q("SET search_path = pa", "SELECT pg_catalog.set_config('search_path', '', false)", read), set + "row , done SELECT 1, ready I, " + none},
		"reset":         {"", q("SET search_path = pa", "RESET search_path", read), set + "done RESET, ready I, " + none},
		"to default":    {"", q("SET search_path = pb", "SET search_path TO DEFAULT", "SET search_path = pa", read), set + set + set + a},
		"reset all":     {"", q("SET search_path = pa", "RESET ALL", read), set + "done RESET, ready I, " + none},
		"discard all":   {"", q("SET search_path = pa", "DISCARD ALL", read), set + "done DISCARD ALL, ready I, " + none},
		"local":         {"", q("BEGIN", "SET LOCAL search_path = pa", read, "COMMIT", read), "done BEGIN, ready T, done SET, ready T, row a, done SELECT 1, ready T, done COMMIT, ready I, " + none},
		"rolled back":   {"", q("SET search_path = pb", "BEGIN", "SET search_path = pa", "ROLLBACK", read), set + "done BEGIN, ready T, done SET, ready T, done ROLLBACK, ready I, " + b},
		"committed":     {"", q("BEGIN", "SET search_path = pa", "COMMIT", read), "done BEGIN, ready T, done SET, ready T, done COMMIT, ready I, " + a},
		"savepoint": {
			"", q("SET search_path = pb", "BEGIN", "SAVEPOINT x", "SET search_path = pa", "ROLLBACK TO x", read, "ROLLBACK"),
			set + "done BEGIN, ready T, done SAVEPOINT, ready T, done SET, ready T, done ROLLBACK, ready T, ERROR 42501, ready E, done ROLLBACK, ready I",
		},
		"chained":    {"AND CHAIN ends a transaction without leaving one", q("BEGIN", "SET LOCAL search_path = pa", "COMMIT AND CHAIN", read, "ROLLBACK"), "done BEGIN, ready T, done SET, ready T, done COMMIT, ready T, ERROR 42P01, ready E, done ROLLBACK, ready I"},
		"failed SET": {"a SET that was undone with its text", q("SET search_path = pa", "SET search_path = pb; SELECT 1/0", read), set + "done SET, ERROR 22012, ready I, " + a},
		"aborted": {
			"what ROLLBACK brings back is not known yet, and nothing can be asked of a transaction that has failed",
			q("SET search_path = pb", "BEGIN", "SET LOCAL search_path = pa", "SELECT 1/0", "ROLLBACK; "+read, "SHOW search_path", "ROLLBACK", read),
			set + "done BEGIN, ready T, done SET, ready T, ERROR 22012, ready E, ERROR 0A000, ready E, ERROR 25P02, ready E, done ROLLBACK, ready I, " + b,
		},
		"one text":            {"", q("SET search_path = pa; " + read), "done SET, row a, done SELECT 1, ready I"},
		"one text to denied":  {"", q("SET search_path = pa; SET search_path = pb; " + read), b},
		"one text, local":     {"", q("BEGIN; SET LOCAL search_path = nowhere, pa; " + read + "; COMMIT"), "done BEGIN, done SET, row a, done SELECT 1, done COMMIT, ready I"},
		"one text, ended":     {"what COMMIT brings back is not known yet", q("BEGIN; SET LOCAL search_path = pa; COMMIT; " + read), "ERROR 0A000, ready I"},
		"one text, later end": {"nor what it brings back of an earlier text", q("SET search_path = pb", "BEGIN", "SET LOCAL search_path = pa", "COMMIT; "+read, "ROLLBACK"), set + "done BEGIN, ready T, done SET, ready T, ERROR 0A000, ready E, done ROLLBACK, ready I"},
		"pipelined":           {"what follows a change waits for it", synced("SET search_path = pa", read), "done SET, row a, done SELECT 1, ready I"},
		"pipelined to denied": {"", synced("SET search_path = pb", read), "done SET, ERROR 42501, ready I"},
		"pipelined, undone":   {"", also(q("SET search_path = pa"), synced("SET search_path = pb", "SELECT 1/0", "SET search_path = pb"), q(read)), set + "done SET, ERROR 22012, ready I, " + a},
		"pipelined, no sync":  {"the segment's end is not the change's", also(synced("SET search_path = pa"), synced(read, "BEGIN", "SET LOCAL search_path = pb", "ROLLBACK", read)), "done SET, ready I, row a, done SELECT 1, done BEGIN, done SET, done ROLLBACK, row a, done SELECT 1, ready I"},
		"pipelined, local":    {"Sync brings back what was there before", also(q("SET search_path = pb"), synced("SET LOCAL search_path = pa", read), synced(read)), set + "notice 25P01, done SET, row a, done SELECT 1, ready I, " + b},
		"pipelined, local, then a Query": {
			"", also(q("SET search_path = pb"), synced("SET LOCAL search_path = pa", read), q(read)),
			set + "notice 25P01, done SET, row a, done SELECT 1, ready I, " + b,
		},
		"pipelined, local, ended by a Query": {
			"", also(q("SET search_path = pb"), pipeline("SET LOCAL search_path = pa", read), q("SELECT 1", read)),
			set + "notice 25P01, done SET, row a, done SELECT 1, row 1, done SELECT 1, ready I, " + b,
		},
		"pipelined, undone after a read": {
			"", also(q("SET search_path = pb"), synced("SET search_path = pa", read, "SELECT 1/0"), synced(read)),
			set + "done SET, row a, done SELECT 1, ERROR 22012, ready I, " + b,
		},
		"prepared, then moved": {"as the plan cache does, it is read again", also(q("SET search_path = pa"), []pgproto3.FrontendMessage{parse("p", read), bind("", "p"), execute(""), syncNow}, q("SET search_path = pb"), []pgproto3.FrontendMessage{bind("", "p"), execute(""), syncNow}), set + "row a, done SELECT 1, ready I, " + set + b},
		"prepared in SQL":      {"", q("SET search_path = pa", "PREPARE p AS "+read, "EXECUTE p", "SET search_path = pb", "EXECUTE p"), set + "done PREPARE, ready I, " + a + ", " + set + b},
		"prepared, pipelined":  {"", also(q("SET search_path = pa"), []pgproto3.FrontendMessage{parse("p", read), syncNow}, pipeline("SET search_path = pb"), []pgproto3.FrontendMessage{bind("", "p"), execute(""), syncNow}), set + "ready I, done SET, ERROR 42501, ready I"},
		"bound, then moved": {
			"what a portal reads was settled by its Bind",
			also(q("SET search_path = pa", "BEGIN"), []pgproto3.FrontendMessage{parse("", read), bind("p", ""), syncNow}, q("SET search_path = pb"), []pgproto3.FrontendMessage{execute("p"), syncNow}, q("ROLLBACK")),
			set + "done BEGIN, ready T, ready T, done SET, ready T, ERROR 0A000, ready E, done ROLLBACK, ready I",
		},
		"by a function": {"no text says so", q("SET search_path = pa", "SELECT public.mover()", read), set + "row pb, done SELECT 1, ready I, " + b},
		"by pg_settings": {
			"a rule of its calls set_config", q("SET search_path = pa", "UPDATE pg_settings SET setting = 'pb' WHERE name = 'search_path'", read, "SET search_path = pa", "UPDATE pg_settings SET setting = 'pb' WHERE name = 'search_path'; "+read),
			set + "row pb, done UPDATE 0, ready I, " + b + ", " + set + "ERROR 0A000, ready I",
		},
		"by a block": {"", q("SET search_path = pa", "DO 'BEGIN SET search_path = pb; END'", read), set + "done DO, ready I, " + b},
		"by a function, undone": {
			"", q("SET search_path = pa", "BEGIN", "SELECT public.mover()", "ROLLBACK", read),
			set + "done BEGIN, ready T, row pb, done SELECT 1, ready T, done ROLLBACK, ready I, " + a,
		},
		"schema made within": {
			"a schema that was in the path all along, and is there now",
			q("SET search_path = fresh, pa", "BEGIN", "CREATE SCHEMA fresh", "CREATE TABLE t (v text)", "INSERT INTO t VALUES ('fresh')", "SELECT v FROM fresh.t", "ROLLBACK", read),
			set + "done BEGIN, ready T, done CREATE SCHEMA, ready T, done CREATE TABLE, ready T, done INSERT 0 1, ready T, row fresh, done SELECT 1, ready T, done ROLLBACK, ready I, " + a,
		},
		"isolation level": {
			"the question is asked before the transaction, whose first statement this must be", q("SET search_path = pa", "BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", read, "COMMIT"),
			set + "done BEGIN, ready T, done SET, ready T, row a, done SELECT 1, ready T, done COMMIT, ready I",
		},
		"isolation level, path within": {
			"nor before it is needed", q("BEGIN", "SET LOCAL search_path = pa", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", read, "COMMIT"),
			"done BEGIN, ready T, done SET, ready T, done SET, ready T, row a, done SELECT 1, ready T, done COMMIT, ready I",
		},
		"unnamed statement survives": {"the proxy's own question takes nothing of the client's away", also([]pgproto3.FrontendMessage{parse("", read)}, q("SET search_path = pa")[:0], []pgproto3.FrontendMessage{syncNow}), none},
		"view":                       {"a view does not lead round a denied relation", q("SELECT v FROM pa.over_b"), b},
		"view made within": {
			"nor does one that the catalog does not know yet", q("BEGIN", "CREATE TEMP VIEW w AS SELECT v FROM pa.over_b", "ROLLBACK"),
			"done BEGIN, ready T, ERROR 42501, ready E, done ROLLBACK, ready I",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			if diff := cmp.Diff(tc.want, exchange(c, tc.send)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// exchange sends messages all at once, so that what follows a change is there
// before its outcome, and returns what came of them.
func exchange(c *raw, messages []pgproto3.FrontendMessage) string {
	ready := 0
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Sync, *pgproto3.Query:
			ready++
		}
	}
	c.send(messages...)
	return results(c.until(ready))
}

// TestApplicationName: clients may set what the proxy holds, and nothing comes of it.
func TestApplicationName(t *testing.T) {
	r, s := road(t)
	show := func(c *raw) string {
		c.send(query("SHOW application_name"))
		return results(c.until(1))
	}
	c := enter(t, r, s)
	before := show(c)
	if !strings.HasPrefix(before, "row doorward:"+protocoltest.UserName) {
		t.Fatalf("application_name: %s", before)
	}
	for name, tc := range map[string]struct {
		reason, want string
		send         []pgproto3.FrontendMessage
	}{
		"Query":    {"", "done SET, ready I", []pgproto3.FrontendMessage{query("SET application_name = 'mine'")}},
		"extended": {"pgjdbc sends it so", "done SET, ready I", append(pipeline("SET application_name = 'mine'"), syncNow)},
		"one text": {
			"other statements stay as they are", "row é, done SELECT 1, done SET, row ;, done SELECT 1, done SET, ready I",
			[]pgproto3.FrontendMessage{query("SELECT 'é' ; /* SET */ SET /* a */ application_name = 'it''s -- mine' -- b\n; SELECT ';'; SET SESSION application_name TO x")},
		},
		"local": {"", "done BEGIN, done SET, done COMMIT, ready I", []pgproto3.FrontendMessage{query("BEGIN; SET LOCAL application_name = 'mine'; COMMIT")}},
		"reset": {"", "done RESET, ready I", []pgproto3.FrontendMessage{query("RESET application_name")}},
		"others": {
			"what clients send at the start", "done SET, done SET, done SET, done RESET, done SET, ready I",
			[]pgproto3.FrontendMessage{query("SET client_encoding TO 'UTF8'; SET standard_conforming_strings = on; SET NAMES 'UTF8'; RESET ROLE; SET SESSION AUTHORIZATION DEFAULT")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, results(c.until(1))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if after := show(c); after != before {
				t.Errorf("application_name is %s, was %s", after, before)
			}
		})
	}
	if found := decided(r)["SET application_name = 'mine'"]; found != "Allow" {
		t.Errorf("what was asked is not on record: %v", decided(r))
	}
}
