// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// stolen is the file that cases try to write, where the target may: they call it {stolen}.
var stolen = filepath.Join(os.TempDir(), "doorward-evasion-"+rand.Text())

// analyst reads public, and writes notes. A schema is denied besides.
func analyst() []policy.Policy {
	allow := func(name string, actions, resources []string) policy.Rule {
		return policy.Rule{Name: name, Effect: policy.Allow, Actions: actions, Resources: resources}
	}
	return []policy.Policy{{
		Name: "analyst", UID: "uid-analyst", Generation: 1, Subjects: subjects(),
		Rules: []policy.Rule{
			allow("reads", []string{sql.ActionSelect}, []string{"public.*", "shadow.*", "pg_catalog.*", "information_schema.*", "pg_temp.*"}),
			allow("session", []string{sql.ActionEvaluate, sql.ActionTransaction, sql.ActionSession}, nil),
			allow("settings", []string{sql.ActionSet, sql.ActionShow}, []string{"search_path", "statement_timeout", "all"}),
			allow("notes", []string{sql.ActionInsert, sql.ActionUpdate}, []string{"public.notes"}),
			allow("newsletter", []string{sql.ActionDelete}, []string{"public.newsletter"}),
			allow("temporary", []string{sql.ActionCreate, sql.ActionDrop, sql.ActionInsert, sql.ActionDelete}, []string{"pg_temp.*"}),
			{Name: "writing", Effect: policy.Deny, Actions: []string{sql.ActionTransaction}, Properties: []string{sql.PropertyTransactionReadWrite}},
			{Name: "vault", Effect: policy.Deny, Actions: []string{"*"}, Resources: []string{"vault.*", "*:vault*"}},
		},
	}}
}

// TestDenied: nothing that is denied runs (checklist 12, with the target's own
// log and state as witnesses).
func TestDenied(t *testing.T) {
	files := load(t, "denied")
	atLeast(t, files, minDenied)
	t.Cleanup(func() { _ = os.Remove(stolen) })
	w := twins[0]
	before := w.state(t)
	dsn := w.gate(t, analyst()).DSN(database)
	for file, cases := range files {
		for _, client := range clients {
			t.Run(file+"/"+client, func(t *testing.T) {
				got, err := attempt(t.Context(), dsn, client, filepath.Join(w.BinDir, "psql"), cases)
				if err != nil {
					t.Fatal(err)
				}
				log, err := w.Log()
				if err != nil {
					t.Fatal(err)
				}
				for n, c := range cases {
					if !c.runs(client) {
						continue
					}
					if last := c.statements[len(c.statements)-1]; !c.refused || reached(log, last) {
						t.Errorf("%s: EXECUTED by %s: %s", c.at(), client, clip(got[n]))
					}
					if found := w.values.found(got[n]); len(found) > 0 {
						t.Errorf("%s: LEAK of %v: %s", c.at(), found, clip(got[n]))
					}
				}
			})
		}
	}
	if diff := cmp.Diff(before, w.state(t)); diff != "" {
		t.Errorf("the target is not as it was (-before +after):\n%s", diff)
	}
	if _, err := os.Stat(stolen); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was written: %v", stolen, err)
	}
}

// state is what denied statements would have changed.
func (w *twin) state(t *testing.T) map[string]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, w.DSN("postgres", w.Password, database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	out := map[string]string{}
	for name, query := range map[string]string{
		"vault":     "SELECT string_agg(k::text, ',' ORDER BY id) FROM vault.keys k",
		"orders":    "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM orders o",
		"customers": "SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c",
		"notes":     "SELECT string_agg(n::text, ',' ORDER BY id) FROM notes n",
		"counter":   "SELECT last_value::text || is_called FROM counter",
		"objects":   "SELECT string_agg(c.oid::regclass || c.relkind::text, ',' ORDER BY c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'",
		"functions": "SELECT string_agg(oid::regprocedure || prosecdef::text, ',' ORDER BY oid) FROM pg_proc WHERE oid >= 16384",
		"roles":     "SELECT string_agg(a::text, ',' ORDER BY oid) FROM pg_authid a",
		"members":   "SELECT count(*)::text FROM pg_auth_members",
		"others": `SELECT concat_ws(',', (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'), (SELECT count(*) FROM pg_extension), (SELECT count(*) FROM pg_database), (SELECT count(*) FROM pg_trigger),
			(SELECT count(*) FROM pg_rewrite WHERE ev_class >= 16384), (SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_cast), (SELECT count(*) FROM pg_operator), (SELECT count(*) FROM pg_language),
			(SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_subscription), (SELECT count(*) FROM pg_foreign_server), (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_tablespace),
			(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
			(SELECT count(*) FROM pg_attribute WHERE attrelid = 'notes'::regclass), (SELECT count(*) FROM pg_description WHERE objoid >= 16384), (SELECT count(*) FROM pg_seclabel))`,
		"configuration": "SELECT count(*)::text FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'",
	} {
		var value *string
		if err := conn.QueryRow(ctx, query).Scan(&value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if value != nil {
			out[name] = *value
		}
	}
	return out
}
