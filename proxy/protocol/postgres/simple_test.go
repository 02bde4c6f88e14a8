// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

func TestPsql(t *testing.T) {
	r, s := road(t)
	r.Engine.Set(protocoltest.DenyAction("delete"))
	r.Apply(t)
	out, err := psql(t, dsn(t, r, s), `
SELECT name FROM public.customers ORDER BY id;
DELETE FROM public.orders;
SELECT count(*) FROM public.orders;
BEGIN;
DELETE FROM public.orders;
SELECT 1;
ROLLBACK;
SELECT 2; SELECT 3;
\q
`)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	for _, want := range []string{"Ann\nBen\nCem\n", "1000\n", "2\n3\n", "may not delete public.orders: not today"} {
		if !strings.Contains(out, want) {
			t.Errorf("psql printed no %q:\n%s", want, out)
		}
	}
	want := map[string]string{
		"SELECT name FROM public.customers ORDER BY id": "Allow",
		"DELETE FROM public.orders":                     "Deny",
		"SELECT count(*) FROM public.orders":            "Allow",
		"BEGIN":                                         "Allow",
		"SELECT 1":                                      "Allow",
		"ROLLBACK":                                      "Allow",
		"SELECT 2":                                      "Allow",
		"SELECT 3":                                      "Allow",
	}
	if diff := cmp.Diff(want, decided(r)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// TestPsqlCommands: what psql does behind its own commands is ordinary work.
func TestPsqlCommands(t *testing.T) {
	r, s := road(t)
	file := filepath.Join(t.TempDir(), "orders.csv")
	out, err := psql(t, dsn(t, r, s), `
\set ON_ERROR_STOP 1
\d public.customers
\dt
\dn
\df
\l
\conninfo
\copy (SELECT id, total FROM public.orders WHERE id <= 3) TO '`+file+`' CSV
CREATE TEMP TABLE mine (id int, total int);
\copy mine FROM '`+file+`' CSV
SELECT sum(total) FROM mine;
SELECT id FROM public.orders ORDER BY id LIMIT 2 \gdesc
SELECT total FROM public.orders WHERE id = 4 \gset
SELECT :total + 1;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM public.orders ORDER BY id;
FETCH 2 FROM c;
MOVE 3 IN c;
FETCH c;
CLOSE c;
SAVEPOINT a;
ROLLBACK TO a;
COMMIT;
LISTEN news;
NOTIFY news, 'hello';
SET statement_timeout = '5s';
SHOW statement_timeout;
EXPLAIN SELECT 1;
DISCARD ALL;
SHOW search_path;
`)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	for _, want := range []string{"COPY 3\n", "60\n", "41\n", "1\n2\n", "6\n", "hello", "5s\n", `"$user", public`} {
		if !strings.Contains(out, want) {
			t.Errorf("psql printed no %q:\n%s", want, out)
		}
	}
}

// TestPgbench runs the stock benchmark in each of its modes.
func TestPgbench(t *testing.T) {
	r, s := road(t)
	d := dsn(t, r, s)
	run := func(args ...string) {
		t.Helper()
		command := exec.CommandContext(deadline(t), filepath.Join(server.BinDir, "pgbench"), append(args, d)...)
		if out, err := command.CombinedOutput(); err != nil || strings.Contains(string(out), "aborted") {
			t.Fatalf("pgbench %v: %v\n%s", args, err, out)
		}
	}
	run("-i", "-s", "1", "-q")
	for _, mode := range []string{"simple", "extended", "prepared"} {
		run("-M", mode, "-c", "4", "-t", "25", "-n")
	}
	if _, err := psql(t, d, "DROP TABLE pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers"); err != nil {
		t.Fatal(err)
	}
}

// TestPipeline sends many statements before the first answer, with a Sync after
// each part.
func TestPipeline(t *testing.T) {
	r, s := road(t)
	script := filepath.Join(t.TempDir(), "pipeline.sql")
	var lines strings.Builder
	lines.WriteString("\\startpipeline\n")
	for range 50 {
		lines.WriteString("SELECT total FROM public.orders WHERE id = 7;\nUPDATE public.orders SET total = total WHERE id = 7;\n")
	}
	lines.WriteString("\\endpipeline\n")
	if err := os.WriteFile(script, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"extended", "prepared"} {
		command := exec.CommandContext(deadline(t), filepath.Join(server.BinDir, "pgbench"), "-n", "-M", mode, "-f", script, "-c", "2", "-t", "10", dsn(t, r, s))
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "processed: 20/20") {
			t.Fatalf("pipeline, %s: %v\n%s", mode, err, out)
		}
	}
	c := enter(t, r, s)
	var batch []pgproto3.FrontendMessage
	var want []string
	for range 200 {
		batch = append(batch, parse("", "SELECT total FROM public.orders WHERE id = 9"), bind("", ""), execute(""), syncNow)
		want = append(want, "ParseComplete", "BindComplete", "row 90", "done SELECT 1", "ready I")
	}
	c.send(batch...)
	if diff := cmp.Diff(want, c.until(200)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
