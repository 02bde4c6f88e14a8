// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestChecklist11StatementCount compares how many statements there are, and
// which, with what the real server makes of the same text.
func TestChecklist11StatementCount(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, text := range []string{
		"SELECT 1", "SELECT 1;", ";;SELECT 1;;SELECT 2;", "SELECT ';'", "SELECT 'a''; SELECT 2; --'", `SELECT E'\'; SELECT 2'; SELECT 3`,
		`SELECT '\'; SELECT 2 --'`, "SELECT $$;$$; SELECT $a$;$$;$a$", "SELECT 1 /* ; /* ; */ ; */; SELECT 2", "SELECT 1 -- ;\n; SELECT 2",
		"SELECT 1 -- x\r; SELECT 2", "SELECT 1 -- x\f; SELECT 2", `SELECT ";" FROM (SELECT 1 AS ";") x; SELECT 2`, `SELECT U&'\003b; SELECT 2'`,
		`SELECT U&';!003b' UESCAPE '!'; SELECT 2`, "SELECT 'a'\n'; b'; SELECT 2", "SELECT B'1'; SELECT X'1F'", "SELECT 1::text||';'; SHOW port",
		"SELECT 5-- 1\n; SELECT 2", "SELECT 5*/* ; */2; SELECT 1", "SELECT N'x;'; SELECT 2", "SELECT 1\f;\tSELECT\r2", "SELECT 1 AS a$b; SELECT $1$;$1$",
		"SELECT e'a\\'; b'; SELECT 2", "BEGIN; SELECT 1; ROLLBACK", "CREATE FUNCTION zz() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
		"SELECT '\u00e9;'; SELECT 2", "SELECT 1 AS \u00e9\u00c9; SELECT 2", "SELECT 1 \u00a0; SELECT 2", "SELECT 1 \u2028; SELECT 2", "SELECT 1\v; SELECT 2",
	} {
		results, err := conn.Exec(ctx, text).ReadAll()
		if err != nil {
			continue // the server refuses it, whatever it is taken for
		}
		var want, got []string
		for _, r := range results {
			word, _, _ := strings.Cut(r.CommandTag.String(), " ")
			want = append(want, word)
		}
		all, err := sql.Analyze(text, shopCatalog(t), options())
		if err != nil {
			continue // refused is as safe
		}
		for i := range all {
			word, _, _ := strings.Cut(all[i].Kind, " ")
			got = append(got, word)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -server +analysis:\n%s", text, diff)
		}
	}
	if _, err := conn.Exec(ctx, "DROP FUNCTION IF EXISTS zz").ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// TestStockClientQueries runs the queries that psql's commands send: they must
// need no rule for functions, and run for callers with masks.
func TestStockClientQueries(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("psql"); err != nil {
		t.Fatal("psql is not installed: apt-get install postgresql-client")
	}
	shopCatalog(t)
	dsn, _ := server()
	m := maskSet(t)
	count := 0
	for _, command := range []string{`\d`, `\d customers`, `\d+ orders`, `\d+ contact`, `\d+ people`, `\dt+`, `\df+`, `\dn+`, `\l+`, `\du+`, `\di+`, `\dv+`, `\dm`, `\ds`, `\dT+`, `\dp`, `\dx`, `\do`, `\dC`, `\dD`, `\dO`, `\dy`, `\db+`, `\dF`, `\ddp`, `\dE`, `\des`, `\sf leak`, `\sv contact`, `\dconfig`} {
		out, err := exec.Command("psql", "-X", "-E", "-d", dsn, "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("psql %s: %v\n%s", command, err, out)
			continue
		}
		for _, block := range bytes.Split(out, []byte("********* QUERY **********\n"))[1:] {
			text, _, ok := bytes.Cut(block, []byte("\n**************************"))
			if !ok {
				t.Fatalf("psql %s: no end of query: %s", command, block)
			}
			count++
			s, err := one(t, string(text), options())
			if err != nil {
				t.Errorf("psql %s: %v\n%s", command, err, text)
				continue
			}
			for _, a := range s.Accesses {
				if a.Action != sql.ActionSelect && a.Action != sql.ActionEvaluate && a.Action != sql.ActionShow {
					t.Errorf("psql %s needs %s %s\n%s", command, a.Action, a.Resource, text)
				}
			}
			if s.Refusal != nil {
				t.Errorf("psql %s: refused: %v\n%s", command, s.Refusal, text)
			}
			if err := undisclosed(s, m); err != nil {
				t.Errorf("psql %s: masks: %v\n%s", command, err, text)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d queries seen", count)
	}
}

// TestCatalogDoesNotWaitForLocks: a session that holds a lock may itself be
// waiting for the catalog to be read. Views over what is locked are then not
// known, and depend on all that they reach.
func TestCatalogDoesNotWaitForLocks(t *testing.T) {
	locker, reader := connect(t), connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := locker.Exec(ctx, "BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = locker.Exec(ctx, "ROLLBACK").ReadAll() }()
	c, err := catalog.Load(ctx, querier(reader))
	if err != nil {
		t.Fatal(err)
	}
	contact, _ := c.Lookup("public", "contact")
	open, _ := c.Lookup("public", "open_orders")
	if contact.Definition != "" || open.Definition == "" {
		t.Errorf("definitions: %q over what is locked, %q of another", contact.Definition, open.Definition)
	}
	all, err := sql.Analyze("SELECT address FROM contact", c, options())
	if err != nil {
		t.Fatal(err)
	}
	allowAll := sql.NewMaskSet(c, masksOf(t, true, true))
	if err := undisclosed(&all[0], sql.NewMaskSet(c, masksOf(t, true, false))); err == nil {
		t.Error("a view that cannot be followed is accepted where predicates are denied")
	}
	d, err := all[0].Disclose(allowAll)
	if err != nil {
		t.Fatal(err)
	}
	if got := kinds(t, d, 1); got != "*" {
		t.Errorf("a view that cannot be followed shows %s", got)
	}
}
