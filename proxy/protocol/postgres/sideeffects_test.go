// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/test/pgtest"
)

// looker is a login role that may read public.orders and nothing else.
const looker = "shop_looker"

// sideEffects are what a reader may try behind a SELECT or beside one. alone says
// what a role that may only read can do at the target with no proxy before it:
// empty where the target refuses, too.
var sideEffects = map[string]struct{ text, alone string }{
	"writable CTE":          {"WITH d AS (DELETE FROM public.orders RETURNING id) SELECT * FROM d", ""},
	"CTE that updates":      {"WITH d AS (UPDATE public.orders SET total = 0 RETURNING id) SELECT count(*) FROM public.orders", ""},
	"EXPLAIN ANALYZE":       {"EXPLAIN ANALYZE DELETE FROM public.orders", ""},
	"EXPLAIN ANALYZE, 2":    {"EXPLAIN (BUFFERS, ANALYZE true) UPDATE public.orders SET total = 0", ""},
	"SELECT INTO":           {"SELECT * INTO public.copied FROM public.orders", ""},
	"SELECT INTO TEMP":      {"SELECT * INTO TEMP copied FROM public.orders", "temporary tables are everybody's by default"},
	"CREATE TABLE AS":       {"CREATE TABLE public.copied AS TABLE public.orders", ""},
	"FOR UPDATE":            {"SELECT * FROM public.orders FOR UPDATE", ""},
	"lo_import":             {"SELECT lo_import('/etc/passwd') FROM public.orders", ""},
	"lo_export":             {"SELECT lo_export(1, '/tmp/doorward-exported') FROM public.orders", ""},
	"lo_create":             {"SELECT lo_create(0) FROM public.orders WHERE id = 1", "everybody may make large objects"},
	"lo_from_bytea":         {"SELECT lo_from_bytea(0, 'x') FROM public.orders WHERE id = 1", "everybody may make large objects"},
	"lo_get":                {"SELECT lo_get(1) FROM public.orders", ""},
	"lo_unlink":             {"SELECT lo_unlink(1) FROM public.orders", ""},
	"lo_put":                {"SELECT lo_put(1, 0, 'x') FROM public.orders", ""},
	"pg_read_file":          {"SELECT pg_read_file('postgresql.conf') FROM public.orders", ""},
	"pg_read_binary_file":   {"SELECT * FROM pg_read_binary_file('postgresql.conf')", ""},
	"pg_ls_dir":             {"SELECT * FROM public.orders, pg_ls_dir('.')", ""},
	"pg_ls_logdir":          {"SELECT * FROM pg_ls_logdir()", ""},
	"pg_stat_file":          {"SELECT * FROM pg_stat_file('postgresql.conf')", ""},
	"dblink":                {"SELECT * FROM dblink('dbname=shop', 'DELETE FROM public.orders') AS t(a text)", ""},
	"dblink_exec":           {"SELECT dblink_exec('dbname=shop', 'DELETE FROM public.orders') FROM public.orders", ""},
	"COPY PROGRAM":          {"COPY public.orders TO PROGRAM 'cat'", ""},
	"COPY from PROGRAM":     {"COPY public.orders FROM PROGRAM 'id'", ""},
	"COPY to a file":        {"COPY public.orders TO '/tmp/doorward-copied'", ""},
	"COPY of a write":       {"COPY (DELETE FROM public.orders RETURNING id) TO STDOUT", ""},
	"DO":                    {"DO 'BEGIN DELETE FROM public.orders; END'", ""},
	"CALL":                  {"CALL public.sweep()", ""},
	"CREATE FUNCTION":       {"CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", ""},
	"CREATE FUNCTION, temp": {"CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "the temporary schema is everybody's by default"},
	"set_config of role":    {"SELECT set_config('role', '" + service + "', false) FROM public.orders", ""},
	"set_config":            {"SELECT set_config('work_mem', '1GB', false) FROM public.orders", "its own settings"},
	"SET ROLE":              {"SET ROLE " + service, ""},
	"SESSION AUTHORIZATION": {"SET SESSION AUTHORIZATION " + service, ""},
	"READ WRITE":            {"START TRANSACTION READ WRITE", "it may ask, and still not write"},
	"SET READ WRITE":        {"SET transaction_read_only = off", "it may ask, and still not write"},
	"ALTER SYSTEM":          {"ALTER SYSTEM SET work_mem = '1GB'", ""},
	"ALTER ROLE":            {"ALTER ROLE " + looker + " SUPERUSER", ""},
	"function in FROM":      {"SELECT * FROM public.writer()", ""},
	"volatile function":     {"SELECT public.writer() FROM public.orders", ""},
	"function in WHERE":     {"SELECT id FROM public.orders WHERE public.writer() = 1", ""},
	"function in ORDER BY":  {"SELECT id FROM public.orders ORDER BY public.writer()", ""},
	"attribute notation":    {"SELECT o.row_writer FROM public.orders o", ""},
	"nextval":               {"SELECT nextval('public.numbers') FROM public.orders", ""},
	"setval":                {"SELECT setval('public.numbers', 1) FROM public.orders", ""},
	"advisory lock":         {"SELECT pg_advisory_lock(1) FROM public.orders WHERE id = 1", "everybody may take advisory locks"},
	"advisory lock, shared": {"SELECT pg_try_advisory_xact_lock_shared(1) FROM public.orders WHERE id = 1", "everybody may take advisory locks"},
	"pg_terminate_backend":  {"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + service + "'", ""},
	"pg_cancel_backend":     {"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '" + service + "'", ""},
	"pg_reload_conf":        {"SELECT pg_reload_conf() FROM public.orders", ""},
	"pg_rotate_logfile":     {"SELECT pg_rotate_logfile() FROM public.orders", ""},
	"pg_notify":             {"SELECT pg_notify('news', 'x') FROM public.orders WHERE id = 1", "everybody may notify"},
	"NOTIFY":                {"NOTIFY news", "everybody may notify"},
	"query_to_xml":          {"SELECT query_to_xml('SELECT word FROM public.secrets', true, true, '') FROM public.orders", ""},
	"query_to_xmlschema":    {"SELECT query_to_xmlschema('SELECT word FROM public.secrets', true, true, '') FROM public.orders", ""},
	"table_to_xml":          {"SELECT table_to_xml('public.secrets', true, true, '') FROM public.orders", ""},
	"schema_to_xml":         {"SELECT schema_to_xml('public', true, true, '') FROM public.orders WHERE id = 1", "only what it may read is in it"},
	"database_to_xml":       {"SELECT database_to_xml(true, true, '') FROM public.orders WHERE id = 1", "only what it may read is in it"},
	"ts_stat":               {"SELECT * FROM ts_stat('SELECT to_tsvector(word) FROM public.secrets')", ""},
	"ts_rewrite":            {"SELECT ts_rewrite('a'::tsquery, 'SELECT to_tsquery(word), to_tsquery(word) FROM public.secrets')", ""},
	"logical message":       {"SELECT pg_logical_emit_message(false, 'a', 'b') FROM public.orders", "everybody may write messages to the log"},
	"logical slot":          {"SELECT pg_create_logical_replication_slot('s', 'test_decoding') FROM public.orders", ""},
	"physical slot":         {"SELECT pg_create_physical_replication_slot('s') FROM public.orders", ""},
	"drop slot":             {"SELECT pg_drop_replication_slot('s') FROM public.orders", ""},
	"slot changes":          {"SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)", ""},
	"replication origin":    {"SELECT pg_replication_origin_create('o') FROM public.orders", ""},
	"currtid2":              {"SELECT currtid2('public.secrets', '(0,1)') FROM public.orders", ""},
	"pg_export_snapshot":    {"SELECT pg_export_snapshot() FROM public.orders WHERE id = 1", "everybody may export a snapshot"},
	"pg_switch_wal":         {"SELECT pg_switch_wal() FROM public.orders", ""},
	"pg_backup_start":       {"SELECT pg_backup_start('x') FROM public.orders", ""},
	"pg_promote":            {"SELECT pg_promote() FROM public.orders", ""},
	"pg_stat_reset":         {"SELECT pg_stat_reset() FROM public.orders", ""},
	"pg_hba_file_rules":     {"SELECT * FROM pg_hba_file_rules()", ""},
	"pg_file_settings":      {"SELECT * FROM pg_show_all_file_settings()", ""},
	"other sessions":        {"SELECT query FROM pg_stat_get_activity(NULL)", "other users' queries are hidden there"},
	"brin_summarize":        {"SELECT brin_summarize_new_values('public.orders_pkey') FROM public.orders", ""},
	"LOCK":                  {"LOCK TABLE public.orders IN EXCLUSIVE MODE", ""},
	"TRUNCATE":              {"TRUNCATE public.orders", ""},
	"PREPARE of a write":    {"PREPARE w AS DELETE FROM public.orders", "EXECUTE of it is refused"},
	"cursor of a write":     {"DECLARE c CURSOR WITH HOLD FOR SELECT public.writer()", ""},
	"MERGE":                 {"MERGE INTO public.orders o USING public.orders p ON o.id = p.id WHEN MATCHED THEN DELETE", ""},
	"VACUUM":                {"VACUUM (FULL) public.orders", "it warns, and skips what is not its own"},
	"REFRESH":               {"REFRESH MATERIALIZED VIEW public.stored", ""},
	"unknown":               {"LOAD 'plpgsql'", ""},
}

// TestSideEffects is checklist 12: what is behind a SELECT is refused where a
// policy only allows to select; and by a target role that can only do that, as
// far as PostgreSQL has a right for it.
func TestSideEffects(t *testing.T) {
	if err := server.Exec(t.Context(), "CREATE ROLE "+looker+" LOGIN PASSWORD '"+canary+"'"); err != nil {
		t.Fatal(err)
	}
	asSuperuser(t, "CREATE EXTENSION dblink")
	t.Cleanup(func() { asSuperuser(t, "DROP EXTENSION dblink; DROP OWNED BY "+looker+"; DROP ROLE "+looker) })
	owner := admin(t)
	for _, text := range []string{
		"CREATE SEQUENCE public.numbers",
		"CREATE FUNCTION public.writer() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.orders; RETURN 1; END'",
		"CREATE FUNCTION public.row_writer(public.orders) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.orders; RETURN 1; END'",
		"CREATE PROCEDURE public.sweep() LANGUAGE sql AS 'DELETE FROM public.orders'",
		"CREATE MATERIALIZED VIEW public.stored AS SELECT 1 AS a",
		"GRANT SELECT ON public.orders TO " + looker,
	} {
		if _, err := owner.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "DROP SEQUENCE public.numbers; DROP FUNCTION public.writer(); DROP FUNCTION public.row_writer(public.orders); "+
			"DROP PROCEDURE public.sweep(); DROP MATERIALIZED VIEW public.stored"); err != nil {
			t.Error(err)
		}
	})
	state := func() (found string) {
		const text = `SELECT format('%s orders of %s, numbers %s, %s relations, %s functions, %s large objects',
			(SELECT count(*) FROM public.orders), (SELECT sum(total) FROM public.orders), (SELECT (last_value, is_called)::text FROM public.numbers),
			(SELECT count(*) FROM pg_class WHERE relpersistence = 'p' AND relkind <> 't'), (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
			(SELECT count(*) FROM pg_largeobject_metadata))`
		if err := owner.QueryRow(t.Context(), text).Scan(&found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	before := state()
	r, s := road(t)
	r.Engine.Set(func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Action != "select" && a.NeedsAllow() {
				return policy.Decision{Effect: policy.Deny, Access: a}
			}
		}
		return policy.Decision{Effect: policy.Allow}
	})
	r.Apply(t)
	for name, tc := range sideEffects {
		t.Run(name, func(t *testing.T) {
			c := enter(t, r, s)
			c.send(query(tc.text))
			if got := results(c.until(1)); got != "ERROR 42501, ready I" {
				t.Errorf("in a Query: %s", got)
			}
			c.send(append(pipeline(tc.text), syncNow)...)
			if got := results(c.until(1)); got != "ERROR 42501, ready I" {
				t.Errorf("extended: %s", got)
			}
		})
	}
	for _, e := range r.Log.OfType(record.OperationDecided) {
		if e.Decision.Effect != policy.Deny {
			t.Errorf("let through: %s", e.Operation.Statement)
		}
	}
	if after := state(); after != before {
		t.Errorf("through the proxy, there were %s, now there are %s", before, after)
	}
	t.Run("with no analysis before it", func(t *testing.T) { alone(t) })
	// Large objects are what such a role can make.
	if after := state(); strings.Split(after, ", numbers")[0] != strings.Split(before, ", numbers")[0] {
		t.Errorf("past the proxy, there were %s, now there are %s", before, after)
	}
}

// asSuperuser runs statements in the database shop, also when the test is over.
func asSuperuser(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DSN(pgtest.Superuser, server.Password, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// alone runs the side effects as the role that can only read, past the proxy.
func alone(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, tc := range sideEffects {
		conn, err := pgx.Connect(ctx, server.DSN(looker, canary, "shop"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.PgConn().Exec(ctx, tc.text).ReadAll()
		_ = conn.Close(ctx)
		if (err == nil) != (tc.alone != "") {
			t.Errorf("%s: the target alone: %v, want it allowed for the reason that %q", name, err, tc.alone)
		}
	}
}
