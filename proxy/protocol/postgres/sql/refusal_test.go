// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		text   string
		state  string
	}{
		"ThreePartTrap1":      {"trap 1: the parser keeps only the first of three names", "SELECT * FROM users.secret.t", sql.StateFeatureNotSupported},
		"ThreePartDatabase":   {"trap 1: even where the first is the database", "SELECT * FROM postgres.public.orders", sql.StateFeatureNotSupported},
		"ThreePartQuoted":     {"trap 1: however it is written", `SELECT * FROM "orders" . /* x */ "secret" . t`, sql.StateFeatureNotSupported},
		"ThreePartJoin":       {"trap 1", "SELECT * FROM orders o JOIN notes.secret.t x ON true", sql.StateFeatureNotSupported},
		"ThreePartSubquery":   {"trap 1", "SELECT (SELECT max(id) FROM orders.secret.t)", sql.StateFeatureNotSupported},
		"ThreePartInsert":     {"trap 1", "INSERT INTO orders.secret.t VALUES (1)", sql.StateFeatureNotSupported},
		"ThreePartUpdate":     {"trap 1", "UPDATE orders.secret.t SET id = 1", sql.StateFeatureNotSupported},
		"ThreePartDelete":     {"trap 1", "DELETE FROM orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartUsing":      {"trap 1", "DELETE FROM orders USING notes.secret.t", sql.StateFeatureNotSupported},
		"ThreePartTruncate":   {"trap 1", "TRUNCATE orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartCopy":       {"trap 1", "COPY orders.secret.t TO STDOUT", sql.StateFeatureNotSupported},
		"ThreePartLock":       {"trap 1", "LOCK orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartTable":      {"trap 1", "TABLE orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartDrop":       {"trap 1", "DROP TABLE orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartAlter":      {"trap 1", "ALTER TABLE orders.secret.t ADD x int", sql.StateFeatureNotSupported},
		"ThreePartCTE":        {"trap 1: nor does it mean a CTE", "WITH orders AS (SELECT 1) SELECT * FROM orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartMerge":      {"trap 1", "MERGE INTO orders USING notes.secret.t ON true WHEN MATCHED THEN DELETE", sql.StateFeatureNotSupported},
		"ThreePartRefresh":    {"trap 1", "REFRESH MATERIALIZED VIEW orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartVacuum":     {"trap 1", "VACUUM orders.secret.t", sql.StateFeatureNotSupported},
		"ThreePartGrant":      {"trap 1", "GRANT SELECT ON orders.secret.t TO x", sql.StateFeatureNotSupported},
		"ThreePartComment":    {"trap 1", "COMMENT ON TABLE orders.secret.t IS 'x'", sql.StateFeatureNotSupported},
		"ThreePartLike":       {"trap 1", "CREATE TABLE x (LIKE orders.secret.t)", sql.StateFeatureNotSupported},
		"ThreePartFunction":   {"", "SELECT postgres.public.leak(1)", sql.StateFeatureNotSupported},
		"FourPartColumn":      {"", "SELECT postgres.public.orders.id FROM orders", sql.StateFeatureNotSupported},
		"ZeroByte":            {"text ends at NUL for the server", "SELECT 1\x00; DROP TABLE orders", sql.StateInvalidEncoding},
		"InvalidUTF8":         {"", "SELECT '\xff'", sql.StateInvalidEncoding},
		"ControlTrap4":        {"trap 4: CR inside a quoted identifier is altered by the lexer", "SELECT 1 AS \"a\rb\"", sql.StateInvalidName},
		"ControlNewline":      {"trap 4", "SELECT 1 AS \"a\nb\"", sql.StateInvalidName},
		"ControlUnicode":      {"trap 4", `SELECT 1 AS U&"a\000Db"`, sql.StateInvalidName},
		"LongIdentifier":      {"the server cuts names, so that two become one", "SELECT 1 AS " + strings.Repeat("a", 64), sql.StateInvalidName},
		"TooLarge":            {"", "SELECT '" + strings.Repeat("x", sql.DefaultMaxBytes) + "'", sql.StateProgramLimitExceeded},
		"TooManyComments":     {"the lexer goes a level deeper with each, and a stack that is used up ends the process", strings.Repeat("/**/", 30_000) + "SELECT 1", sql.StateTooComplex},
		"TooManyWords":        {"the tree takes some hundred bytes for each", "SELECT 1" + strings.Repeat(",1", 300_000), sql.StateTooComplex},
		"TooDeep":             {"", "SELECT " + strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000), sql.StateTooComplex},
		"TooManyItems":        {"the check of masks is items times references", "SELECT 1 FROM orders" + strings.Repeat(",orders", 1000), sql.StateTooComplex},
		"TooDeepOperators":    {"", "SELECT 1" + strings.Repeat("+1", 20_000), sql.StateTooComplex},
		"Unparseable":         {"checklist 11: unparseable is refused", "SELEC 1", sql.StateSyntaxError},
		"Unterminated":        {"", "SELECT 'x", sql.StateSyntaxError},
		"UnterminatedComment": {"", "SELECT 1 /* /* */", sql.StateSyntaxError},
		"AtomicAmongOthers":   {"a body of statements cannot be told from the rest of the text", "SELECT 1; CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END; SELECT 2", sql.StateSyntaxError},
		"UnknownRelation":     {"", "SELECT * FROM nowhere", sql.StateUndefinedTable},
		"UnknownSchema":       {"", "SELECT * FROM no.orders", sql.StateUndefinedTable},
		"OtherSchema":         {"only the search path is searched", "SELECT * FROM t", sql.StateUndefinedTable},
		"UnknownFunction":     {"", "SELECT nothing_like_it(1, 2)", sql.StateUndefinedFunction},
		"UnknownPrepared":     {"", "EXECUTE nope", sql.StateUndefinedStatement},
		"CTEHidesNothing":     {"trap 2: the CTE's name is gone outside its level", "SELECT * FROM (WITH x AS (SELECT 1) TABLE x) y, x", sql.StateUndefinedTable},
		"DropThenThreePart":   {"", "DROP VIEW IF EXISTS a.b.c", sql.StateFeatureNotSupported},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sql.Analyze(tc.text, shopCatalog(t), options())
			var refusal *sql.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("%s: got %v, want a refusal", tc.reason, err)
			}
			if refusal.SQLSTATE != tc.state || refusal.Hint == "" && refusal.Position == 0 {
				t.Errorf("%s: got %+v, want state %s and a hint or a place", tc.reason, refusal, tc.state)
			}
			var unknown *sql.UnknownRelationError
			wantUnknown := tc.state == sql.StateUndefinedTable || tc.state == sql.StateUndefinedFunction
			if errors.As(err, &unknown) != wantUnknown {
				t.Errorf("%s: UnknownRelationError: %v, want %v", tc.reason, !wantUnknown, wantUnknown)
			}
		})
	}
}

func TestHardRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, text string }{
		"Role":                 {"checklist 12", "SET ROLE postgres"},
		"RoleNone":             {"", "SET ROLE NONE"},
		"RoleParameter":        {"", "SET role = postgres"},
		"SessionAuthorization": {"checklist 12", "SET SESSION AUTHORIZATION postgres"},
		"SessionAuthParameter": {"", "SET session_authorization = postgres"},
		"SetConfig":            {"checklist 12: set_config('role')", "SELECT set_config('role', 'postgres', false)"},
		"SetConfigQualified":   {"a name that is not plain to see", "SELECT pg_catalog.set_config('ro' || 'le', 'c', false)"},
		"SetConfigHidden":      {"", "SELECT * FROM orders WHERE id = (SELECT length(set_config('role', 'b', true)))"},
		"Strings":              {"checklist 11: standard_conforming_strings", "SET standard_conforming_strings = off"},
		"Encoding":             {"checklist 11: client_encoding", "SET client_encoding = 'SJIS'"},
		"Names":                {"checklist 11", "SET NAMES 'GBK'"},
		"Authid":               {"", "SELECT * FROM pg_authid"},
		"Shadow":               {"", "SELECT passwd FROM pg_catalog.pg_shadow"},
		"UserMapping":          {"", "SELECT * FROM pg_user_mappings"},
		"UserMappingOptions":   {"checklist 49: the passwords of foreign servers", "SELECT option_value FROM information_schema.user_mapping_options"},
		"Subscription":         {"", "SELECT subconninfo FROM pg_subscription"},
		"SubscriptionStar":     {"", "SELECT s.* FROM pg_subscription s"},
		"SubscriptionTable":    {"", "TABLE pg_subscription"},
		"SubscriptionRow":      {"", "SELECT to_jsonb(s) FROM pg_subscription AS s"},
		"SubscriptionName":     {"", "SELECT pg_subscription FROM pg_subscription"},
		"SubscriptionRenamed":  {"", "SELECT c FROM pg_subscription AS s (a, b, c, d, e, f, g, h, i, j)"},
		"SubscriptionJoin":     {"", "SELECT a FROM (pg_subscription s CROSS JOIN pg_database d) AS j (a, b, c, d, e, f)"},
		"SubscriptionUnicode":  {"", `SELECT U&"sub\0063onninfo" FROM pg_subscription`},
		"SubscriptionCopy":     {"", "COPY pg_subscription TO STDOUT"},
		"SubscriptionView":     {"", "CREATE VIEW v AS SELECT oid FROM pg_subscription"},
		"SubscriptionPrepare":  {"", "PREPARE p AS SELECT subconninfo FROM pg_subscription"},
		"AuthidSubquery":       {"", "SELECT 1 WHERE EXISTS (SELECT FROM pg_authid WHERE rolpassword LIKE 'S%')"},
		"AuthidView":           {"a user's view over it", "SELECT * FROM via_auth"},
		"AuthidCopy":           {"", "COPY pg_authid TO STDOUT"},
		"PreparedRefusal":      {"PREPARE takes over the refusal", "PREPARE x AS SELECT * FROM pg_authid"},
		"ExplainRefusal":       {"", "EXPLAIN ANALYZE SELECT set_config('role', 'b', false)"},
		"SetConfigValue":       {"a path that is not plain to see", "SELECT set_config('search_path', $1, false)"},
		"SetConfigName":        {"checklist 12", "SELECT set_config($1, 'x', false)"},
		"SetConfigNamed":       {"", "SELECT set_config(setting_name => 'role', new_value => 'x', is_local => false)"},
		"SetConfigActor":       {"the actor in the target's log", "SELECT set_config('application_name', 'x', false)"},
		"SetConfigStrings":     {"checklist 11", "SELECT set_config('Standard_Conforming_Strings', 'off', false)"},
		"SetConfigAuth":        {"checklist 12", "SELECT set_config('session_authorization', 'x', false)"},
		"SetConfigRow":         {"the row of a parameter that must not change", "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'role'"},
		"SetConfigRows":        {"", "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'work_mem' OR true"},
		"SetConfigOther":       {"name is another's", "SELECT (SELECT set_config(name, 'x', false) FROM (VALUES ('role')) AS v (name)) FROM pg_settings WHERE name = 'work_mem'"},
		"SetConfigOperator":    {"", "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name <> 'work_mem'"},
		"SetConfigOffsetRow":   {"", "SELECT set_config(name || '', 'x', false) FROM pg_settings WHERE name = 'work_mem'"},
		"SetConfigLater":       {"it would run with the view", "CREATE VIEW v AS SELECT set_config('a.b', 'c', false)"},
		"SetConfigCursor":      {"it would run with FETCH", "DECLARE c CURSOR FOR SELECT set_config('search_path', 'c', false)"},
		"SetConfigDefault":     {"it would run with INSERT", "CREATE TABLE t (a text DEFAULT set_config('search_path', 'c', false))"},
		"SetConfigCopy":        {"", "COPY (SELECT set_config('search_path', 'c', false)) TO STDOUT"},
		"SetConfigInto":        {"", "SELECT set_config('search_path', 'c', false) AS a INTO t"},
		"Triggers":             {"", "SET session_replication_role = replica"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil {
				t.Fatal(err)
			}
			if s.Refusal == nil || s.Refusal.Hint == "" {
				t.Errorf("%s: %q: got %+v, want a refusal with a remedy", tc.reason, tc.text, s.Refusal)
			}
		})
	}
	allowed := []string{
		"SET client_encoding = 'UTF8'", "SET NAMES 'utf-8'", "SET TimeZone = 'UTC'", "SELECT * FROM pg_roles",
		"SET TIME ZONE 'UTC'", "SET statement_timeout TO 0", "SELECT current_setting('search_path')", "RESET ALL", "SELECT * FROM pg_user",
		"SET search_path = secret", "SET SCHEMA 'secret'", "SET LOCAL search_path TO secret", "RESET search_path", `SET "Search_Path" = secret`,
		"RESET ROLE", "SET SESSION AUTHORIZATION DEFAULT", "SET standard_conforming_strings = on", "SET standard_conforming_strings TO true",
		"SET backslash_quote = on", "RESET client_encoding", "SET application_name = 'x'", "SET session_replication_role TO origin",
		"SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
		"SELECT set_config('a.b', $1, true)", "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'", "SELECT pg_catalog.set_config('search_path', '', false)", "SELECT set_config('search_path'::text, 'a, b'::text, true)",
	}
	for _, text := range allowed {
		if s, err := one(t, text, options()); err != nil || s.Refusal != nil {
			t.Errorf("%q: refused: %v %+v", text, err, s)
		}
	}
}

func TestTemporaryRelationDoesNotHideReal(t *testing.T) {
	t.Parallel()
	opt := options()
	opt.TempRelations = func(name string) bool { return name == "customers" || name == "scratch" }
	s, err := one(t, "SELECT lower(email) FROM customers", opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(flat(s), ","); got != "select pg_temp.customers,select public.customers" {
		t.Errorf("a temporary relation may be gone with its transaction, both must be allowed: got %s", got)
	}
	if undisclosed(s, maskSet(t)) == nil {
		t.Error("masks of the real relation must hold although a temporary one may hide it")
	}
	s, err = one(t, "SELECT * FROM scratch, pg_temp.other", opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(flat(s), ","); got != "select pg_temp.other,select pg_temp.scratch" {
		t.Errorf("got %s", got)
	}
}

func TestCreatedInOpenTransaction(t *testing.T) {
	t.Parallel()
	opt := options()
	opt.Created = func(schema, name string) bool { return schema == "public" && name == "fresh" }
	s, err := one(t, "SELECT * FROM fresh", opt)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(flat(s), ","); got != "select public.fresh" {
		t.Errorf("got %s", got)
	}
}

// TestCommentEndsAtCarriageReturn is checklist 11: the server ends a comment at
// CR as well as at LF, so that what follows is a statement.
func TestCommentEndsAtCarriageReturn(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"SELECT 1 -- x\r; DROP TABLE orders", "SELECT 1 -- x\n; DROP TABLE orders", "SELECT 1 /* /* */ -- */; DROP TABLE orders"} {
		all, err := sql.Analyze(text, shopCatalog(t), options())
		if err != nil {
			continue // refused is as safe
		}
		if len(all) != 2 || all[1].Kind != "DROP TABLE" {
			t.Errorf("%q: got %d statements, want the DROP to be seen", text, len(all))
		}
	}
}

// TestToastHoldsMaskedValues: large values of a table live in its toast table.
func TestToastHoldsMaskedValues(t *testing.T) {
	t.Parallel()
	c, m := shopCatalog(t), maskSet(t)
	customers, _ := c.Lookup("public", "customers")
	found := false
	for r := range c.Relations() {
		if r.Schema != "pg_toast" || r.Kind != 't' {
			continue
		}
		reads := c.Reads(r.OID)
		if len(reads) != 1 || reads[0] != customers.OID {
			continue
		}
		found = true
		s, err := one(t, "SELECT chunk_data FROM pg_toast."+r.Name, options())
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Disclose(m)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := d.Columns(1); err != nil || out[0].Kind != sql.Derived {
			t.Errorf("%s is readable: %v %v", r, out, err)
		}
	}
	if !found {
		t.Error("customers has no toast table in the catalog")
	}
}

// TestViewFunctionsAreNotReadOnly: promise 2 lets only the built-in immutable
// and stable functions run before the record is durable.
func TestViewFunctionsAreNotReadOnly(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"SELECT * FROM via_function": false, "SELECT * FROM via_xml": false,
		"SELECT * FROM open_orders": true, "SELECT * FROM pg_tables": true,
	} {
		s, err := one(t, text, options())
		if err != nil {
			t.Fatal(err)
		}
		if s.Effects.ReadOnly != want {
			t.Errorf("%q: ReadOnly %v, want %v", text, s.Effects.ReadOnly, want)
		}
	}
}
