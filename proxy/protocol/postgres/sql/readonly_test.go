// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// database is the catalog of a database of its own, made of a text.
func database(t *testing.T, name, text string) *catalog.Catalog {
	t.Helper()
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name).ReadAll(); err != nil {
		t.Fatal(err)
	}
	dsn, err := server()
	if err != nil {
		t.Fatal(err)
	}
	own := connectTo(t, dsn+" dbname="+name)
	if _, err := own.Exec(ctx, text).ReadAll(); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(ctx, querier(own))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReadOnlyIsNoMoreThanItSays: promise 2 with audit.readOverlap lets run
// before its record is durable only what nobody can feel.
func TestReadOnlyIsNoMoreThanItSays(t *testing.T) {
	t.Parallel()
	c := database(t, "plain", `
CREATE TABLE t (id int); CREATE TABLE u (id int);
CREATE VIEW seen AS SELECT id FROM t;
CREATE VIEW locked AS SELECT id FROM t FOR UPDATE;
CREATE VIEW locked2 AS SELECT id FROM locked;
CREATE VIEW strict AS SELECT (id::text = '1') FROM t`)
	opt := options()
	opt.TempRelations = func(name string) bool { return name == "mine" }
	opt.Created = func(_, name string) bool { return name == "fresh" }
	for name, tc := range map[string]struct {
		reason, text string
		want         bool
	}{
		"Table":       {"the plain case", "SELECT * FROM t", true},
		"View":        {"a view of the plain case", "SELECT * FROM seen", true},
		"Locks":       {"a view may lock rows", "SELECT * FROM locked", false},
		"Locks2":      {"also behind another view", "SELECT * FROM locked2", false},
		"Temp":        {"a temporary view may call anything", "SELECT * FROM mine", false},
		"Temp schema": {"by whatever name", "SELECT * FROM pg_temp.mine", false},
		"Created":     {"so may one that the catalog cannot show yet", "SELECT * FROM fresh", false},
		"Prepare":     {"a prepared statement stays behind", "PREPARE p AS SELECT * FROM t", false},
		"Transaction": {"a transaction gets an id, which is written", "SELECT pg_current_xact_id()", false},
		"txid":        {"under its old name, too", "SELECT 1 WHERE txid_current() > 0", false},
		"Ifassigned":  {"asking whether it has one gives it none", "SELECT pg_current_snapshot()", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := sql.Analyze(tc.text, c, opt)
			if err != nil {
				t.Fatal(err)
			}
			if got := all[0].Effects.ReadOnly; got != tc.want {
				t.Errorf("%s: %q: ReadOnly %v, want %v", tc.reason, tc.text, got, tc.want)
			}
		})
	}
}

// TestImplicitEquality: NATURAL JOIN and IN look up the operator = without
// naming it, and may find one of a user's.
func TestImplicitEquality(t *testing.T) {
	t.Parallel()
	c := database(t, "equal", `
CREATE TABLE a (x int); CREATE TABLE b (x text);
CREATE FUNCTION same(int, text) RETURNS bool LANGUAGE sql AS 'SELECT $1::text = $2';
CREATE OPERATOR = (LEFTARG = int, RIGHTARG = text, FUNCTION = same)`)
	for _, text := range []string{
		"SELECT * FROM a JOIN b USING (x)", "SELECT * FROM a NATURAL JOIN b", "SELECT * FROM a WHERE x IN (SELECT x FROM b)",
		"SELECT * FROM a WHERE x = ANY (SELECT x FROM b)", "SELECT * FROM a, b WHERE a.x IN (b.x)",
		"SELECT CASE a.x WHEN b.x THEN 1 END FROM a, b", "SELECT NULLIF(a.x, b.x) FROM a, b", "SELECT * FROM a, b WHERE a.x IS DISTINCT FROM b.x",
	} {
		all, err := sql.Analyze(text, c, options())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(all[0].Accesses, func(x sql.Access) bool {
			return x.Action == sql.ActionExecute && x.Resource == "operator:public.="
		}) || all[0].Effects.ReadOnly {
			t.Errorf("%q calls the function of an operator: %v, ReadOnly %v", text, all[0].Accesses, all[0].Effects.ReadOnly)
		}
	}
}

// TestReadOnlyWithHiddenCalls: a database where values call functions of users
// without being asked to, through implicit casts or the checks of domains, has
// nothing that is known to be harmless.
func TestReadOnlyWithHiddenCalls(t *testing.T) {
	t.Parallel()
	const writer = `CREATE TABLE t (id int); CREATE TYPE mood AS ENUM ('ok'); CREATE SEQUENCE s;
CREATE FUNCTION f(int) RETURNS bool LANGUAGE sql AS 'SELECT nextval(''s'') > 0';
CREATE FUNCTION j(mood) RETURNS json LANGUAGE sql AS 'SELECT to_json(nextval(''s''))';`
	for name, tc := range map[string]struct {
		reason, text string
		want         bool
	}{
		"neither":      {"functions alone are called by name", "", true},
		"harmless":     {"checks by built-in functions are harmless", "CREATE DOMAIN d AS int CHECK (abs(VALUE) > 0)", true},
		"domain":       {"the check of a domain calls a function", "CREATE DOMAIN d AS int CHECK (f(VALUE))", false},
		"sequence":     {"the check of a domain counts up a sequence", "CREATE DOMAIN d AS int CHECK (nextval('s') > 0)", false},
		"json":         {"to_json calls the cast of a type", "CREATE CAST (mood AS json) WITH FUNCTION j(mood)", false},
		"withoutacall": {"a cast that calls nothing is harmless", "CREATE CAST (mood AS text) WITH INOUT AS IMPLICIT", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := database(t, "hidden_"+name, writer+tc.text)
			all, err := sql.Analyze("SELECT to_json(id) FROM t WHERE id = $1", c, options())
			if err != nil {
				t.Fatal(err)
			}
			if got := all[0].Effects.ReadOnly; got != tc.want {
				t.Errorf("%s: ReadOnly %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}
