// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

var masks = []policy.Mask{
	{Policy: "privacy", Name: "email", Fields: []string{"public.customers.email"}, Method: policy.Method{Type: "Redact"}},
	{Policy: "privacy", Name: "phone", Fields: []string{"public.customers.phone"}, Method: policy.Method{Type: "KeepLast", KeepLast: 4}},
	{Policy: "privacy", Name: "born", Fields: []string{"public.customers.born", "public.customers.score"}, Method: policy.Method{Type: "Redact"}},
}

func maskedRoad(t *testing.T) (*protocoltest.Road, *protocoltest.Server) {
	t.Helper()
	r, s := road(t)
	r.Engine.Set(nil, masks...)
	r.Apply(t)
	return r, s
}

// TestMasks: a masked column never leaves unmasked, by whatever messages and in
// whatever format.
func TestMasks(t *testing.T) {
	r, s := maskedRoad(t)
	const all = "SELECT id, name, email, phone, born, score FROM public.customers ORDER BY id"
	first, third := "row 1|Ann|[masked]|*******0100|NULL|NULL", "row 3|Cem|NULL|NULL|NULL|NULL"
	second := "row 2|Ben|[masked]|*******0101|NULL|NULL"
	binary := []int16{1}
	const one, two, three = "row \x00\x00\x00\x01", "row \x00\x00\x00\x02", "row \x00\x00\x00\x03"
	tests := map[string]struct {
		send  []pgproto3.FrontendMessage
		ready int
		want  []string
	}{
		"simple": {
			send: []pgproto3.FrontendMessage{query(all)}, ready: 1,
			want: []string{"RowDescription", first, second, third, "done SELECT 3", "ready I"},
		},
		"star and alias": {
			send: []pgproto3.FrontendMessage{query("SELECT email AS name FROM public.customers AS c WHERE id = 1")}, ready: 1,
			want: []string{"RowDescription", "row [masked]", "done SELECT 1", "ready I"},
		},
		"described portal": {
			send: []pgproto3.FrontendMessage{parse("", all), bind("", ""), &pgproto3.Describe{ObjectType: 'P'}, execute(""), syncNow}, ready: 1,
			want: []string{"ParseComplete", "BindComplete", "RowDescription", first, second, third, "done SELECT 3", "ready I"},
		},
		"described statement only": {
			send: []pgproto3.FrontendMessage{parse("s", all), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, syncNow, bind("", "s"), execute(""), syncNow}, ready: 2,
			want: []string{"ParseComplete", "ParameterDescription", "RowDescription", "ready I", "BindComplete", first, second, third, "done SELECT 3", "ready I"},
		},
		"never described": {
			send: []pgproto3.FrontendMessage{parse("", all), bind("", ""), execute(""), syncNow}, ready: 1,
			want: []string{"ParseComplete", "BindComplete", first, second, third, "done SELECT 3", "ready I"},
		},
		"binary": {
			send: []pgproto3.FrontendMessage{parse("", "SELECT id, email, phone, born FROM public.customers ORDER BY id"), &pgproto3.Bind{ResultFormatCodes: binary}, execute(""), syncNow}, ready: 1,
			want: []string{"ParseComplete", "BindComplete", one + "|[masked]|*******0100|NULL", two + "|[masked]|*******0101|NULL", three + "|NULL|NULL|NULL", "done SELECT 3", "ready I"},
		},
		"in portions": {
			send: []pgproto3.FrontendMessage{parse("", all), bind("p", ""), &pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Execute{Portal: "p", MaxRows: 2}, syncNow}, ready: 1,
			want: []string{"ParseComplete", "BindComplete", first, second, "PortalSuspended", third, "done SELECT 1", "ready I"},
		},
		"EXECUTE": {
			send: []pgproto3.FrontendMessage{query("PREPARE q AS SELECT email FROM public.customers WHERE id = 1"), query("EXECUTE q")}, ready: 2,
			want: []string{"done PREPARE", "ready I", "RowDescription", "row [masked]", "done SELECT 1", "ready I"},
		},
		"other relations are untouched": {
			send: []pgproto3.FrontendMessage{query("SELECT total FROM public.orders WHERE id = 3")}, ready: 1,
			want: []string{"RowDescription", "row 30", "done SELECT 1", "ready I"},
		},
		"two statements": {
			send: []pgproto3.FrontendMessage{query("SELECT email FROM public.customers WHERE id = 1; SELECT total FROM public.orders WHERE id = 3")}, ready: 1,
			want: []string{"RowDescription", "row [masked]", "done SELECT 1", "RowDescription", "row 30", "done SELECT 1", "ready I"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(tc.send...)
			if diff := cmp.Diff(tc.want, c.until(tc.ready)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	var fields []string
	for _, e := range r.Log.OfType(record.OperationResult) {
		if len(e.Result.MaskedFields) > len(fields) {
			fields = e.Result.MaskedFields
		}
	}
	want := []string{"public.customers.born", "public.customers.email", "public.customers.phone", "public.customers.score"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("masked fields on record (-want +got):\n%s", diff)
	}
}

// TestMasksDoNotLeak is checklist 18 as far as the wire goes: whatever a
// statement tries, the values do not leave.
func TestMasksDoNotLeak(t *testing.T) {
	r, s := maskedRoad(t)
	conn := client(t, r, s, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	for _, text := range []string{
		"SELECT upper(email) FROM public.customers",
		"SELECT email || '' FROM public.customers",
		"SELECT c FROM public.customers c",
		"SELECT row_to_json(c) FROM public.customers c",
		"SELECT email FROM public.customers UNION SELECT 'x'",
		"SELECT count(*) FROM public.customers WHERE email LIKE 'ann%'",
		"SELECT (SELECT email FROM public.customers WHERE id = 1)",
		"WITH x AS (SELECT email AS e FROM public.customers) SELECT e FROM x",
		"COPY public.customers TO STDOUT",
		"COPY (SELECT email FROM public.customers) TO STDOUT",
		"SELECT email::int FROM public.customers",
		"UPDATE public.customers SET id = id RETURNING lower(email)",
		"INSERT INTO public.customers SELECT id, name, email, phone, born, -1 FROM public.customers",
		"INSERT INTO public.customers VALUES (1, 'x', 'ann@example.com')",
		"UPDATE public.customers SET score = -1 WHERE id = 1",
		"DO $$ BEGIN RAISE NOTICE '%', (SELECT email FROM public.customers WHERE id = 1); END $$",
		"CREATE TEMP TABLE leak AS SELECT email FROM public.customers",
		"DECLARE c CURSOR WITH HOLD FOR SELECT lower(email) FROM public.customers",
	} {
		c := enter(t, r, s)
		c.send(query(text))
		for {
			m := c.receive()
			for _, secret := range []string{"ann@", "ben@", "555", "1980", "1.5"} {
				out, err := m.Encode(nil)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(out), secret) {
					t.Errorf("%s: %q leaves in %T", text, secret, m)
				}
			}
			if _, end := m.(*pgproto3.ReadyForQuery); end {
				break
			}
		}
	}
	// The column's own values did not change hands on the way.
	var email string
	if err := conn.QueryRow(deadline(t), "SELECT email FROM public.customers WHERE id = 1").Scan(&email); err != nil || email != "[masked]" {
		t.Errorf("email = %q, %v", email, err)
	}
}

// TestMaskedErrors: the text of an error may hold values.
func TestMaskedErrors(t *testing.T) {
	r, s := maskedRoad(t)
	c := enter(t, r, s)
	c.send(query("UPDATE public.customers SET id = 2 WHERE id = 1"))
	m, ok := c.receive().(*pgproto3.ErrorResponse)
	if !ok || m.Code != "23505" || m.Detail != "" || m.ConstraintName != "customers_pkey" {
		t.Errorf("error: %+v", m)
	}
	c.until(1)
	c.send(query("SELECT 1/0"))
	if m, ok := c.receive().(*pgproto3.ErrorResponse); !ok || m.Message != "division by zero" {
		t.Errorf("error of an unmasked statement: %+v", m)
	}
}

// TestCatalogFollows: what a session changes is known to all at once.
func TestCatalogFollows(t *testing.T) {
	r, s := maskedRoad(t)
	ctx := deadline(t)
	one, two := client(t, r, s), client(t, r, s)
	simple := pgx.QueryExecModeSimpleProtocol
	for _, text := range []string{
		"CREATE TABLE public.later (id int, email text)",
		"INSERT INTO public.later VALUES (1, 'x')",
		"BEGIN", "CREATE TABLE public.inside (id int)", "INSERT INTO public.inside VALUES (1)", "COMMIT",
	} {
		if _, err := one.Exec(ctx, text, simple); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	defer func() {
		if _, err := one.Exec(context.Background(), "DROP TABLE public.later; DROP TABLE public.inside", simple); err != nil {
			t.Error(err)
		}
	}()
	var n int
	if err := two.QueryRow(ctx, "SELECT count(*) FROM public.inside").Scan(&n); err != nil || n != 1 {
		t.Fatalf("another session: %d, %v", n, err)
	}
	// Past the proxy: found on the miss.
	if err := server.Exec(ctx, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	direct, err := pgx.Connect(ctx, server.DSN(service, canary, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(ctx)
	if _, err := direct.Exec(ctx, "CREATE TABLE public.outside (id int); DROP TABLE public.outside; ALTER TABLE public.later ADD COLUMN phone text"); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Exec(ctx, "SELECT phone FROM public.later", simple); err != nil {
		t.Fatalf("a column added past the proxy: %v", err)
	}
}
