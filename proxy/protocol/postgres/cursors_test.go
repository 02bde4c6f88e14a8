// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
)

// TestMaskedCursors: what a cursor shows is masked by what it was declared for, as
// the target has it when it is read (checklist 18).
func TestMaskedCursors(t *testing.T) {
	r, s := maskedRoad(t)
	const declare = "DECLARE c CURSOR FOR SELECT email FROM public.customers ORDER BY id"
	const plain = "DECLARE c CURSOR FOR SELECT id, name FROM public.customers ORDER BY id"
	tests := map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		ready  int
		want   []string
	}{
		"FETCH": {
			reason: "declared before", ready: 4, send: []pgproto3.FrontendMessage{query("BEGIN"), query(declare), query("FETCH 2 FROM c"), query("COMMIT")},
			want: []string{"done BEGIN", "ready T", "done DECLARE CURSOR", "ready T", "RowDescription", "row [masked]", "row [masked]", "done FETCH 2", "ready T", "done COMMIT", "ready I"},
		},
		"one text": {
			reason: "declared before in the same text", ready: 1, send: []pgproto3.FrontendMessage{query("BEGIN; " + declare + "; FETCH c; MOVE c; FETCH c; CLOSE c; COMMIT")},
			want: []string{
				"done BEGIN", "done DECLARE CURSOR", "RowDescription", "row [masked]", "done FETCH 1", "done MOVE 1", "RowDescription", "row NULL", "done FETCH 1",
				"done CLOSE CURSOR", "done COMMIT", "ready I",
			},
		},
		"redeclared": {
			reason: "the name stands for another one now", ready: 6,
			send: []pgproto3.FrontendMessage{query("BEGIN"), query(plain), query("CLOSE c"), query(declare), query("FETCH c"), query("COMMIT")},
			want: []string{
				"done BEGIN", "ready T", "done DECLARE CURSOR", "ready T", "done CLOSE CURSOR", "ready T", "done DECLARE CURSOR", "ready T",
				"RowDescription", "row [masked]", "done FETCH 1", "ready T", "done COMMIT", "ready I",
			},
		},
		"redeclared in vain": {
			reason: "the name stands for the first one", ready: 7,
			send: []pgproto3.FrontendMessage{query("BEGIN"), query(declare), query("SAVEPOINT a"), query(plain), query("ROLLBACK TO a"), query("FETCH c"), query("COMMIT")},
			want: []string{
				"done BEGIN", "ready T", "done DECLARE CURSOR", "ready T", "done SAVEPOINT", "ready T", "ERROR 42P03", "ready E", "done ROLLBACK", "ready T",
				"RowDescription", "row [masked]", "done FETCH 1", "ready T", "done COMMIT", "ready I",
			},
		},
		"closed in vain": {
			reason: "CLOSE did not run, so that the cursor is as it was", ready: 6,
			send: []pgproto3.FrontendMessage{
				query("DECLARE h CURSOR WITH HOLD FOR SELECT email FROM public.customers ORDER BY id"), query("BEGIN"), query("SELECT 1/0"), query("CLOSE h"), query("ROLLBACK"), query("FETCH h"),
			},
			want: []string{
				"done DECLARE CURSOR", "ready I", "done BEGIN", "ready T", "ERROR 22012", "ready E", "ERROR 25P02", "ready E", "done ROLLBACK", "ready I",
				"RowDescription", "row [masked]", "done FETCH 1", "ready I",
			},
		},
		"WITH HOLD": {
			reason: "it outlives its transaction", ready: 3,
			send: []pgproto3.FrontendMessage{query("DECLARE h CURSOR WITH HOLD FOR SELECT email AS e, phone FROM public.customers ORDER BY id"), query("FETCH ALL h"), query("CLOSE ALL")},
			want: []string{
				"done DECLARE CURSOR", "ready I", "RowDescription", "row [masked]|*******0100", "row [masked]|*******0101", "row NULL|NULL", "done FETCH 3", "ready I", "done CLOSE CURSOR ALL", "ready I",
			},
		},
		"unknown": {
			reason: "who declared it is not known", ready: 1, send: []pgproto3.FrontendMessage{query("FETCH nowhere")},
			want: []string{"ERROR 42501", "ready I"},
		},
		"pipelined": {
			reason: "FETCH waits for what declares", ready: 2,
			send: []pgproto3.FrontendMessage{query("BEGIN"), parse("", declare), bind("", ""), execute(""), parse("", "FETCH c"), bind("", ""), execute(""), syncNow},
			want: []string{"done BEGIN", "ready T", "ParseComplete", "BindComplete", "done DECLARE CURSOR", "ParseComplete", "BindComplete", "row [masked]", "done FETCH 1", "ready T"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, c.until(tc.ready)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
	out, err := psql(t, dsn(t, r, s), "\\set FETCH_COUNT 2\nSELECT id, email FROM public.customers ORDER BY id;\n")
	if err != nil || out != "1|[masked]\n2|[masked]\n3|\n" {
		t.Errorf("psql with FETCH_COUNT: %q, %v", out, err)
	}
}

// TestMasksBecomeStricter: a mask that comes while a session has cursors and
// temporary relations holds for them, too.
func TestMasksBecomeStricter(t *testing.T) {
	r, s := road(t)
	c := enter(t, r, s)
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	c.send(query("CREATE TEMP TABLE mine AS SELECT id, email FROM public.customers"), query("DECLARE h CURSOR WITH HOLD FOR SELECT email FROM public.customers ORDER BY id"),
		query("DECLARE d CURSOR WITH HOLD FOR SELECT id FROM public.customers WHERE email LIKE 'a%'"))
	c.until(3)
	r.Engine.Set(nil, masks...)
	r.Apply(t)
	c.send(query("SELECT * FROM mine"), query("SELECT id FROM mine WHERE email LIKE 'a%'"), query("FETCH h"), query("FETCH d"), query("SELECT id FROM public.customers WHERE id = 1"))
	want := []string{
		"ERROR 42501", "ready I", "ERROR 42501", "ready I", "RowDescription", "row [masked]", "done FETCH 1", "ready I", "ERROR 42501", "ready I",
		"RowDescription", "row 1", "done SELECT 1", "ready I",
	}
	if diff := cmp.Diff(want, c.until(5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTemporaryUnderMasks: what a session makes while masks hold has nothing masked
// in it, and is shown as it is.
func TestTemporaryUnderMasks(t *testing.T) {
	r, s := maskedRoad(t)
	c := enter(t, r, s)
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	c.send(query("CREATE TEMP TABLE mine (id int, word text)"), query("INSERT INTO mine SELECT id, name FROM public.customers WHERE id = 1"), query("SELECT * FROM mine"),
		query("INSERT INTO mine SELECT id, email FROM public.customers"), query("SELECT m.word, c.email FROM mine m JOIN public.customers c USING (id)"))
	want := []string{
		"done CREATE TABLE", "ready I", "done INSERT 0 1", "ready I", "RowDescription", "row 1|Ann", "done SELECT 1", "ready I", "ERROR 42501", "ready I",
		"RowDescription", "row Ann|[masked]", "done SELECT 1", "ready I",
	}
	if diff := cmp.Diff(want, c.until(5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// An unrelated change of the policies changes nothing.
	r.Engine.Set(nil, append([]policy.Mask{}, masks...)...)
	r.Apply(t)
	c.send(query("SELECT word FROM mine"))
	if diff := cmp.Diff([]string{"RowDescription", "row Ann", "done SELECT 1", "ready I"}, c.until(1)); diff != "" {
		t.Errorf("after a change of the policies (-want +got):\n%s", diff)
	}
}

// TestMaskedReports: errors and notices hold no values while masks hold, and names
// where they are names (checklist 18).
func TestMaskedReports(t *testing.T) {
	direct := seeded(t, "watched", "1")
	if _, err := direct.Exec(deadline(t), `ALTER TABLE public.watched ADD CHECK (total >= 0), ADD PRIMARY KEY (id);
		CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION 'email %', (SELECT email FROM public.customers WHERE id = 1) USING ERRCODE = 'unique_violation', CONSTRAINT = 'ann@example.com'; END $$;
		CREATE TABLE public.telling (id int); CREATE TRIGGER tell BEFORE INSERT ON public.telling FOR EACH ROW EXECUTE FUNCTION public.tell();`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = direct.Exec(t.Context(), "DROP TABLE public.telling; DROP FUNCTION public.tell()") })
	r, s := maskedRoad(t)
	for name, tc := range map[string]struct {
		reason, text, code, message, detail string
	}{
		"Unmasked":   {"nothing of it is masked, and no code runs", "INSERT INTO public.watched VALUES (1, 1)", "23505", "watched_pkey", "(id)=(1)"},
		"Check":      {"nothing of it is masked", "UPDATE public.watched SET total = -5", "23514", "watched_total_check", "-5"},
		"Masked":     {"names stay, values go", "UPDATE public.customers SET id = 2 WHERE id = 1", "23505", "customers_pkey", ""},
		"Not null":   {"names stay, the row goes", "UPDATE public.customers SET name = NULL WHERE id = 1", "23502", `"name"`, ""},
		"Trigger":    {"code may say anything anywhere", "INSERT INTO public.telling VALUES (1)", "23505", "withheld", ""},
		"Expression": {"nothing is read", "SELECT 1/0", "22012", "division by zero", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(query(tc.text))
			m, ok := c.receive().(*pgproto3.ErrorResponse)
			if !ok {
				m, ok = c.receive().(*pgproto3.ErrorResponse) // behind the description of the rows
			}
			if !ok {
				t.Fatal("no error")
			}
			if m.Code != tc.code || !strings.Contains(m.Message, tc.message) || !strings.Contains(m.Detail, tc.detail) || tc.detail == "" && m.Detail != "" || strings.Contains(m.Message+m.ConstraintName, "ann@") {
				t.Errorf("%s: %+v", tc.reason, m)
			}
		})
	}
	// A caller may not set it; a default of the target's may.
	if _, err := direct.Exec(deadline(t), "ALTER DATABASE shop SET client_min_messages = debug5"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = direct.Exec(context.Background(), "ALTER DATABASE shop RESET client_min_messages") })
	c := enter(t, r, s)
	c.send(query("SET client_min_messages = debug5"), query("SET debug_print_plan = on"), query("SELECT email FROM public.customers WHERE id = 1"), query("SELECT name FROM public.customers WHERE id = 1"))
	for _, m := range c.until(4) {
		if strings.HasPrefix(m, "notice 00000") {
			t.Errorf("a notice of the server's log comes: %s", m)
		}
	}
}

// TestMaskedLargeRow: a row that is too large to be masked ends its statement, not
// the session; unmasked ones of any size pass.
func TestMaskedLargeRow(t *testing.T) {
	r, s := maskedRoad(t)
	conn := client(t, r, s)
	var email, large string
	if err := conn.QueryRow(deadline(t), "SELECT email, repeat('x', 70000000) FROM public.customers WHERE id = 1").Scan(&email, &large); err == nil || !strings.Contains(err.Error(), "54000") {
		t.Fatalf("a large row in which something is masked: %v", err)
	}
	var n int
	if err := conn.QueryRow(deadline(t), "SELECT length($1 || repeat('x', 70000000)), repeat('y', 70000000)", "x").Scan(&n, &large); err != nil || n != 70000001 || len(large) != 70000000 {
		t.Fatalf("a large row in which nothing is masked: %d, %v", n, err)
	}
}
