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

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

const reader = "shop_reader"

// withRole is a road on which sessions act as the role reader, which may read
// public.orders and nothing else that the credential may. leave and dive are
// functions of the credential's own that leave the role.
func withRole(t *testing.T) (*protocoltest.Road, *protocoltest.Server) {
	t.Helper()
	if err := server.Exec(t.Context(), "CREATE ROLE "+reader, "GRANT "+reader+" TO "+service); err != nil {
		t.Fatal(err)
	}
	past(t, `
		CREATE SCHEMA `+reader+` AUTHORIZATION `+service+`; GRANT USAGE ON SCHEMA `+reader+` TO `+reader+`;
		CREATE VIEW `+reader+`.me AS SELECT 'mine' AS v; GRANT SELECT ON `+reader+`.me TO `+reader+`;
		CREATE FUNCTION public.leave() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN set_config(''role'', ''none'', false); END';
		CREATE TABLE public.leaving (i int); GRANT INSERT ON public.leaving TO `+reader+`;
		CREATE FUNCTION public.leave_too() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''role'', ''none'', false); RETURN NEW; END';
		CREATE TRIGGER leave BEFORE INSERT ON public.leaving FOR EACH ROW EXECUTE FUNCTION public.leave_too();
		GRANT SELECT ON public.orders TO `+reader)
	t.Cleanup(func() {
		past(t, "DROP SCHEMA "+reader+" CASCADE; DROP FUNCTION public.leave(); DROP TABLE public.leaving; DROP FUNCTION public.leave_too(); DROP OWNED BY "+reader+"; REVOKE SELECT ON public.orders FROM "+reader)
		ctx := context.WithoutCancel(t.Context())
		if err := server.Exec(ctx, "DROP ROLE "+reader); err != nil {
			t.Error(err)
		}
	})
	r, s := road(t)
	r.Engine.SetTargetRole(reader)
	r.Apply(t)
	return r, s
}

// TestTargetRole is checklist 12 and 17: the session never acts as the
// credential's own role, whatever is sent, in whatever order.
func TestTargetRole(t *testing.T) {
	const (
		who    = "SELECT current_user::text"
		secret = "SELECT word FROM public.secrets"
		mine   = "row " + reader + ", done SELECT 1, ready I"
		denied = "ERROR 42501, ready I"
	)
	r, s := withRole(t)
	for name, tc := range map[string]struct {
		reason string
		send   []pgproto3.FrontendMessage
		want   string
	}{
		"login":         {"", []pgproto3.FrontendMessage{query(who), query("SELECT count(*) FROM public.orders"), query(secret)}, mine + ", row 1000, done SELECT 1, ready I, " + denied},
		"path":          {"$user is the role", []pgproto3.FrontendMessage{query("SELECT v FROM me")}, "row mine, done SELECT 1, ready I"},
		"SET ROLE":      {"", []pgproto3.FrontendMessage{query("SET ROLE " + service), query(who), query(secret)}, denied + ", " + mine + ", " + denied},
		"SET ROLE NONE": {"", []pgproto3.FrontendMessage{query("SET ROLE NONE"), query(who)}, denied + ", " + mine},
		"SET role":      {"", []pgproto3.FrontendMessage{query("SET role = none"), query(who)}, denied + ", " + mine},
		"SET LOCAL":     {"", []pgproto3.FrontendMessage{query("BEGIN; SET LOCAL ROLE NONE"), query(who)}, denied + ", " + mine},
		"set_config":    {"", []pgproto3.FrontendMessage{query("SELECT set_config('role', 'none', false)"), query(who)}, denied + ", " + mine},
		"RESET ROLE":    {"it leads back to the role", []pgproto3.FrontendMessage{query("RESET ROLE"), query(who), query(secret)}, "done RESET, ready I, " + mine + ", " + denied},
		"RESET ALL":     {"", []pgproto3.FrontendMessage{query("RESET ALL"), query(who), query(secret)}, "done RESET, ready I, " + mine + ", " + denied},
		"SET SESSION AUTHORIZATION": {
			"", []pgproto3.FrontendMessage{query("SET SESSION AUTHORIZATION " + service), query(who)}, denied + ", " + mine,
		},
		"SET SESSION AUTHORIZATION DEFAULT": {
			"", []pgproto3.FrontendMessage{query("SET SESSION AUTHORIZATION DEFAULT"), query(who), query(secret)}, "done SET, ready I, " + mine + ", " + denied,
		},
		"DISCARD ALL": {
			"poolers send it between clients", []pgproto3.FrontendMessage{query("DISCARD ALL"), query(secret), query(who)}, "done DISCARD ALL, ready I, " + denied + ", " + mine,
		},
		"DISCARD ALL, pipelined": {
			"nothing slips in behind it", append(pipeline("DISCARD ALL", who, secret), syncNow), "done DISCARD ALL, row " + reader + ", done SELECT 1, ERROR 42501, ready I",
		},
		"RESET ROLE, pipelined": {"", append(pipeline("RESET ROLE", secret), syncNow), "done RESET, ERROR 42501, ready I"},
		"one text":              {"", []pgproto3.FrontendMessage{query("RESET ROLE; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; SHOW role")}, "done RESET, done SET, done RESET, row " + reader + ", done SHOW, ready I"},
		"one text, then names":  {"what $user is then is not known yet", []pgproto3.FrontendMessage{query("RESET ROLE; " + secret)}, "ERROR 0A000, ready I"},
		"DO":                    {"text that nobody can read", []pgproto3.FrontendMessage{query("DO 'BEGIN SET ROLE NONE; END'"), query(who)}, denied + ", " + mine},
		"CREATE FUNCTION":       {"", []pgproto3.FrontendMessage{query("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"), query(who)}, denied + ", " + mine},
		"CREATE PROCEDURE":      {"", []pgproto3.FrontendMessage{query("CREATE PROCEDURE pg_temp.f() LANGUAGE sql AS 'SELECT 1'")}, denied},
		"query_to_xml":          {"", []pgproto3.FrontendMessage{query("SELECT query_to_xml('SELECT set_config(''role'', ''none'', false)', true, true, '')"), query(who)}, denied + ", " + mine},
		"a function that leaves it": {
			"the session ends before anything else runs", []pgproto3.FrontendMessage{query("SELECT public.leave()"), query(secret)}, "row none, done SELECT 1, ready I, FATAL 42501, end",
		},
		"a function that leaves it, pipelined": {
			"", append(pipeline("SELECT public.leave()", secret), syncNow), "row none, done SELECT 1, FATAL 42501, end",
		},
		"a function that leaves it, in one text": {
			"nothing else of the text may run", []pgproto3.FrontendMessage{query("SELECT public.leave(); " + secret), query(who)}, "ERROR 0A000, ready I, " + mine,
		},
		"an aggregate of set_config": {
			"", []pgproto3.FrontendMessage{query("CREATE AGGREGATE pg_temp.lift(text, bool) (sfunc = set_config, stype = text, initcond = 'role')"), query(who)}, denied + ", " + mine,
		},
		"pg_settings": {
			"the role is none of its rows", []pgproto3.FrontendMessage{query("UPDATE pg_settings SET setting = 'none' WHERE name = 'role'"), query(secret)}, "done UPDATE 0, ready I, " + denied,
		},
		"pg_settings, in one text": {
			"", []pgproto3.FrontendMessage{query("UPDATE pg_settings SET setting = 'none' WHERE name = 'role'; " + secret)}, "ERROR 0A000, ready I",
		},
		"a function that leaves it, prepared": {
			"", []pgproto3.FrontendMessage{query("PREPARE l AS SELECT public.leave()"), query("EXECUTE l; " + secret)}, "done PREPARE, ready I, ERROR 0A000, ready I",
		},
		"a cursor that leaves it": {
			"FETCH runs it",
			[]pgproto3.FrontendMessage{query("BEGIN"), query("DECLARE c CURSOR FOR SELECT public.leave()"), query(who), query("FETCH c"), query(secret)},
			"done BEGIN, ready T, done DECLARE CURSOR, ready T, row " + reader + ", done SELECT 1, ready T, row none, done FETCH 1, ready T, FATAL 42501, end",
		},
		"a cursor that leaves it, in one text": {
			"",
			[]pgproto3.FrontendMessage{query("BEGIN"), query("DECLARE c CURSOR FOR SELECT public.leave()"), query("FETCH c; " + secret)},
			"done BEGIN, ready T, done DECLARE CURSOR, ready T, ERROR 0A000, ready E",
		},
		"a trigger that leaves it": {
			"", []pgproto3.FrontendMessage{query("INSERT INTO public.leaving VALUES (1)"), query(secret)}, "done INSERT 0 1, ready I, FATAL 42501, end",
		},
		"a trigger that leaves it, in one text": {
			"", []pgproto3.FrontendMessage{query("INSERT INTO public.leaving VALUES (1); " + secret)}, "ERROR 0A000, ready I",
		},
		"a function that leaves it, in a transaction": {
			"", []pgproto3.FrontendMessage{query("BEGIN"), query("SELECT public.leave()"), query(secret)}, "done BEGIN, ready T, row none, done SELECT 1, ready T, FATAL 42501, end",
		},
		"a function that leaves it, in a transaction that ends": {
			"", []pgproto3.FrontendMessage{query("BEGIN"), query("SELECT public.leave()"), query("ROLLBACK"), query(who)}, "done BEGIN, ready T, row none, done SELECT 1, ready T, done ROLLBACK, ready I, " + mine,
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

// TestTargetRoleRefused: a role that the credential may not act as lets nobody in.
func TestTargetRoleRefused(t *testing.T) {
	r, s := road(t)
	for _, role := range []string{"no_such_role", "pg_signal_backend"} {
		r.Engine.SetTargetRole(role)
		r.Apply(t)
		_, err := pgx.Connect(deadline(t), dsn(t, r, s))
		if err == nil || !strings.Contains(err.Error(), "42501") || !strings.Contains(err.Error(), role) || strings.Contains(err.Error(), service) {
			t.Errorf("%s: %v", role, err)
		}
	}
}
