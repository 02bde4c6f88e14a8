// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

func TestMultiStatement(t *testing.T) {
	t.Parallel()
	text := " ;; SELECT 1 ; DELETE FROM orders;-- end\n UPDATE notes SET body = 'a;b' WHERE id = (1);"
	all, err := sql.Analyze(text, shopCatalog(t), options())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range all {
		got = append(got, all[i].Kind+"|"+all[i].Text)
		if !slices.Contains(all[i].Properties, sql.PropertyMultiStatement) {
			t.Errorf("statement %d lacks %s", i, sql.PropertyMultiStatement)
		}
	}
	want := []string{"SELECT|SELECT 1", "DELETE|DELETE FROM orders", "UPDATE|UPDATE notes SET body = 'a;b' WHERE id = (1)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, empty := range []string{"", " ", ";", "-- x", "/* x */"} {
		all, err := sql.Analyze(empty, shopCatalog(t), options())
		if err != nil || len(all) != 0 {
			t.Errorf("%q: got %d statements, %v; want none", empty, len(all), err)
		}
	}
}

func TestNormalized(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, text, want string }{
		"Constants":   {"constants are replaced", "select  ID from ORDERS where id=42 and status = 'x''y'", "select id from orders where id = $1 and status = $2"},
		"Parameters":  {"trap 3: new numbers do not collide with the statement's own", "SELECT * FROM orders WHERE id = $1 AND status = 'x'", "select * from orders where id = $1 and status = $2"},
		"HighParam":   {"trap 3", "SELECT $7::int, 5", "select $7 :: int, $8"},
		"Quoted":      {"identifiers keep their meaning", `SELECT "Id", "select" FROM orders AS "O o"`, `select "Id", "select" from orders as "O o"`},
		"Comments":    {"", "SELECT /* 'secret' */ 1 -- x", "select $1"},
		"DollarQuote": {"", "SELECT $q$secret$q$, E'\\n', B'1', X'f', 1.5", "select $1, $2, $3, $4, $5"},
		"Password":    {"checklist 47: no password survives", "ALTER ROLE x PASSWORD 'hunter2'", "alter role x password $1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil && tc.want != "" && !strings.Contains(tc.text, `"Id"`) {
				t.Fatal(err)
			}
			if err == nil && s.Normalized != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, s.Normalized, tc.want)
			}
		})
	}
	x, _ := one(t, "SELECT id FROM orders WHERE id = 1", options())
	y, _ := one(t, "select ID  from orders where id=2", options())
	z, _ := one(t, "SELECT id FROM other.orders WHERE id = 1", options())
	if x.Fingerprint != y.Fingerprint || x.Fingerprint == z.Fingerprint {
		t.Errorf("fingerprints: %s %s %s", x.Fingerprint, y.Fingerprint, z.Fingerprint)
	}
	u, _ := one(t, "UPDATE orders SET total = 0 WHERE id = 1", options())
	v, _ := one(t, "UPDATE orders SET total = 0 WHERE 1 = 1", options())
	w, _ := one(t, "UPDATE orders SET total = 0 WHERE 1 = 2", options())
	if u.Fingerprint == v.Fingerprint || v.Fingerprint != w.Fingerprint {
		t.Errorf("fingerprints do not follow the properties: %s %s %s", u.Fingerprint, v.Fingerprint, w.Fingerprint)
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want sql.Effects
	}{
		"Select":        {"SELECT * FROM orders", sql.Effects{ReadOnly: true}},
		"Volatile":      {"SELECT random()", sql.Effects{}},
		"UserFunction":  {"SELECT leak(1)", sql.Effects{MayChangeCatalog: true, RunsCode: true}},
		"Immutable":     {"SELECT pure(1)", sql.Effects{RunsCode: true}},
		"Show":          {"SHOW all", sql.Effects{ReadOnly: true}},
		"Set":           {"SET LOCAL work_mem = '1MB'", sql.Effects{SetsParameter: &sql.Parameter{Name: "work_mem", Value: "1MB", Values: []string{"1MB"}, Local: true}}},
		"Reset":         {"RESET work_mem", sql.Effects{SetsParameter: &sql.Parameter{Name: "work_mem", Reset: true}}},
		"ResetAll":      {"RESET ALL", sql.Effects{SetsParameter: &sql.Parameter{Name: "all", Reset: true}, ChangesPath: true}},
		"Begin":         {"BEGIN", sql.Effects{Transaction: sql.TransactionBegin}},
		"CommitChain":   {"COMMIT AND CHAIN", sql.Effects{Transaction: sql.TransactionCommit, Chain: true}},
		"RollbackTo":    {"ROLLBACK TO x", sql.Effects{Transaction: sql.TransactionRollbackTo}},
		"Deallocate":    {"DEALLOCATE p", sql.Effects{Deallocates: "p"}},
		"DeallocateAll": {"DEALLOCATE ALL", sql.Effects{DeallocatesAll: true}},
		"DiscardAll":    {"DISCARD ALL", sql.Effects{Discards: "all", DeallocatesAll: true, ClosesAllCursors: true, ChangesPath: true}},
		"Declare":       {"DECLARE c CURSOR FOR SELECT 1", sql.Effects{DeclaresCursor: "c"}},
		"Fetch":         {"FETCH ALL IN c", sql.Effects{Fetches: "c"}},
		"Close":         {"CLOSE c", sql.Effects{ClosesCursor: "c"}},
		"CloseAll":      {"CLOSE ALL", sql.Effects{ClosesAllCursors: true}},
		"CopyIn":        {"COPY orders FROM STDIN", sql.Effects{CopyIn: true, Copy: &sql.CopyFormat{Delimiter: "\t", Null: `\N`}}},
		"CopyOut":       {"COPY orders TO STDOUT", sql.Effects{CopyOut: true, ReadOnly: true, Copy: &sql.CopyFormat{Delimiter: "\t", Null: `\N`}}},
		"CreateTemp":    {"CREATE TEMP TABLE z (id int)", sql.Effects{IsDDL: true, CreatesTemp: []string{"z"}}},
		"Create":        {"CREATE TABLE z (id int)", sql.Effects{IsDDL: true, Creates: []string{"public.z"}}},
		"SelectInto":    {"SELECT 1 AS a INTO z", sql.Effects{IsDDL: true, Creates: []string{"public.z"}}},
		"Rename":        {"ALTER TABLE orders RENAME TO z", sql.Effects{IsDDL: true, MovesNames: true}},
		"Drop":          {"DROP TABLE orders", sql.Effects{IsDDL: true}},
		"DropSchema":    {"DROP SCHEMA secret", sql.Effects{IsDDL: true, MovesNames: true}},
		"Do":            {"DO 'x'", sql.Effects{MayChangeCatalog: true, RunsCode: true, RunsText: true}},
		"Update":        {"UPDATE orders SET total = 1 WHERE id = 1", sql.Effects{}},
		"RowLock":       {"SELECT * FROM orders FOR SHARE", sql.Effects{}},
		"SetPath":       {"SET search_path TO a, 'B c'", sql.Effects{SetsParameter: &sql.Parameter{Name: "search_path", Value: "a, B c", Values: []string{"a", "B c"}}, ChangesPath: true}},
		"SetSchema":     {"SET SCHEMA 'a'", sql.Effects{SetsParameter: &sql.Parameter{Name: "search_path", Value: "a", Values: []string{"a"}}, ChangesPath: true}},
		"ConfigPath":    {"SELECT pg_catalog.set_config('search_path', '', false)", sql.Effects{ChangesPath: true}},
		"ConfigOther":   {"SELECT set_config('work_mem', $1, true)", sql.Effects{}},
		"Application":   {"SET application_name = 'x'", sql.Effects{SetsParameter: &sql.Parameter{Name: "application_name", Value: "x", Values: []string{"x"}}, Forward: "SET application_name TO DEFAULT"}},
		"ResetRole":     {"RESET ROLE", sql.Effects{SetsParameter: &sql.Parameter{Name: "role", Reset: true}, ChangesPath: true, ResetsRole: true}},
		"Function":      {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", sql.Effects{IsDDL: true, RunsText: true, Creates: []string{"function:public.f"}}},
		"QueryToXML":    {"SELECT query_to_xml('SELECT 1', true, true, '')", sql.Effects{RunsText: true}},
		"ExplainCTAS":   {"EXPLAIN CREATE TABLE z AS SELECT 1", sql.Effects{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, s.Effects); diff != "" {
				t.Errorf("%q: -want +got:\n%s", tc.text, diff)
			}
		})
	}
}

// TestPreparedStatements is checklist 10 as far as it is analysis: EXECUTE is
// decided as the statement that it runs.
func TestPreparedStatements(t *testing.T) {
	t.Parallel()
	p, err := one(t, "PREPARE del AS DELETE FROM orders WHERE true", options())
	if err != nil {
		t.Fatal(err)
	}
	if p.Effects.Prepares != "del" || p.Effects.Prepared == nil {
		t.Fatalf("effects: %+v", p.Effects)
	}
	masked, err := one(t, "PREPARE m AS SELECT * FROM customers", options())
	if err != nil {
		t.Fatal(err)
	}
	opt := options()
	opt.Prepared = func(name string) (*sql.Statement, bool) {
		s, ok := map[string]*sql.Statement{"del": p.Effects.Prepared, "m": masked.Effects.Prepared}[name]
		return s, ok
	}
	s, err := one(t, "EXECUTE del", opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(flat(s), ","); got != "delete public.orders" || !slices.Contains(s.Properties, sql.PropertyUnboundedWrite) || s.Effects.Executes != "del" || s.Effects.ReadOnly {
		t.Errorf("EXECUTE: %s %v %+v", got, s.Properties, s.Effects)
	}
	m := maskSet(t)
	for text, accepted := range map[string]bool{
		"EXECUTE m": true, "EXPLAIN EXECUTE m": true, "CREATE TABLE z AS EXECUTE m": false, "CREATE TEMP TABLE z AS EXECUTE m": false,
	} {
		s, err := one(t, text, opt)
		if err != nil {
			t.Fatal(err)
		}
		err = undisclosed(s, m)
		if (err == nil) != accepted {
			t.Errorf("%q: got %v, want accepted %v", text, err, accepted)
		}
	}
}

func TestEffectsWithinOneText(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, text string
		last         string // accesses of the last statement, "" for a refusal
	}{
		"Temp":     {"a temporary table may be used at once", "CREATE TEMP TABLE z (id int); INSERT INTO z SELECT id FROM orders", "insert pg_temp.z,select public.orders"},
		"Table":    {"", "DROP TABLE IF EXISTS z; CREATE TABLE z (id int); SELECT * FROM z", "select public.z"},
		"Prepared": {"", "PREPARE p AS DELETE FROM orders; EXECUTE p", "delete public.orders"},
		"Rename":   {"the name would mean the other table", "ALTER TABLE orders RENAME TO z; ALTER TABLE users RENAME TO orders; SELECT * FROM orders", ""},
		"Schema":   {"", "DROP SCHEMA other CASCADE; SELECT * FROM orders", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := sql.Analyze(tc.text, shopCatalog(t), options())
			if (err != nil) != (tc.last == "") {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if err == nil && strings.Join(flat(&all[len(all)-1]), ",") != tc.last {
				t.Errorf("%s: got %v, want %s", tc.reason, flat(&all[len(all)-1]), tc.last)
			}
		})
	}
	opt := options()
	opt.SearchPath = []string{"pg_catalog", "other", "public"}
	s, err := one(t, "DROP TABLE orders", opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(flat(s), ","); got != "drop other.orders" || !s.Effects.MovesNames {
		t.Errorf("dropping the first of two tables uncovers the second: %s %+v", got, s.Effects)
	}
}

func TestRelationsClosure(t *testing.T) {
	t.Parallel()
	c := shopCatalog(t)
	oid := func(name string) uint32 {
		r, ok := c.Lookup("public", name)
		if !ok {
			t.Fatalf("no relation %q", name)
		}
		return r.OID
	}
	s, err := one(t, "SELECT * FROM contact2", options())
	if err != nil {
		t.Fatal(err)
	}
	want := []uint32{oid("customers"), oid("contact"), oid("contact2")}
	if diff := cmp.Diff(want, s.Relations); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !s.TouchesMasked(maskSet(t)) {
		t.Error("contact2 reaches masked customers")
	}
}

// TestMaskedValuesOfKin: a mask on a partitioned table holds for partitions,
// and for generated columns.
func TestMaskedValuesOfKin(t *testing.T) {
	t.Parallel()
	c, m := shopCatalog(t), maskSet(t)
	part, _ := c.Lookup("public", "people_eu")
	people, _ := c.Lookup("public", "people")
	customers, _ := c.Lookup("public", "customers")
	if got, ok := m.Masked(part.OID, "email"); !ok || got != (sql.MaskSource{Relation: people.OID, Column: "email"}) {
		t.Errorf("partition: %+v %v", got, ok)
	}
	if got, ok := m.Masked(customers.OID, "email_lower"); !ok || got != (sql.MaskSource{Relation: customers.OID, Column: "email", Whole: true}) {
		t.Errorf("generated column: %+v %v", got, ok)
	}
	if _, ok := m.Masked(customers.OID, "name"); ok {
		t.Error("name is not masked")
	}
}

func TestVocabularyIsComplete(t *testing.T) {
	t.Parallel()
	actions := map[string]bool{}
	for _, a := range sql.Actions {
		if actions[a.Name] || a.Description == "" {
			t.Errorf("action %q is twice or undocumented", a.Name)
		}
		actions[a.Name] = true
	}
	properties := map[string]bool{}
	for _, p := range sql.Properties {
		properties[p.Name] = true
	}
	for _, text := range append(append([]string{}, honest...), evasions...) {
		s, err := one(t, text, options())
		if err != nil {
			var refusal *sql.Error
			if !errors.As(err, &refusal) {
				t.Error(err)
			}
			continue
		}
		for _, a := range s.Accesses {
			if !actions[a.Action] {
				t.Errorf("%q: action %q is not documented", text, a.Action)
			}
		}
		for _, p := range s.Properties {
			if !properties[p] {
				t.Errorf("%q: property %q is not documented", text, p)
			}
		}
	}
}
