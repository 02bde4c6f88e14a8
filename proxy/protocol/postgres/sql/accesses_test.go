// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccesses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		text       string
		accesses   string // comma separated
		properties string
		kind       string
	}{
		"NoRelation":    {"a statement without relations selects nothing", "SELECT 1", "evaluate", "", "SELECT"},
		"Table":         {"", "SELECT * FROM orders", "select public.orders", "", "SELECT"},
		"Qualified":     {"", "SELECT * FROM other.orders", "select other.orders", "", "SELECT"},
		"TableCommand":  {"TABLE is SELECT *", "TABLE orders", "select public.orders", "", "SELECT"},
		"Subquery":      {"", "SELECT (SELECT max(id) FROM secret.t) FROM orders", "select public.orders, select secret.t", "", "SELECT"},
		"WhereSubquery": {"", "SELECT 1 WHERE EXISTS (SELECT FROM secret.t)", "select secret.t", "", "SELECT"},
		"View":          {"a view is one relation to policies", "SELECT * FROM open_orders", "select public.open_orders, indirect select public.orders", "", "SELECT"},
		"CTEScopeTrap2": {
			"trap 2: a CTE of an inner level does not hide a relation outside it",
			"WITH x AS (WITH users AS (SELECT 1 AS id) SELECT * FROM users) SELECT * FROM users, x", "select public.users", "", "SELECT",
		},
		"CTESelfName":            {"without RECURSIVE a CTE's own name inside it is the relation", "WITH users AS (SELECT * FROM users) SELECT * FROM users", "select public.users", "", "SELECT"},
		"CTERecursive":           {"with RECURSIVE it is the CTE", "WITH RECURSIVE users AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM users WHERE n < 3) SELECT * FROM users", "evaluate", "", "SELECT"},
		"CTELater":               {"a CTE does not see those after it", "WITH a AS (SELECT * FROM users), users AS (SELECT 1) SELECT * FROM a", "select public.users", "", "SELECT"},
		"CTEEarlier":             {"but those before it", "WITH users AS (SELECT 1), a AS (SELECT * FROM users) SELECT * FROM a", "evaluate", "", "SELECT"},
		"CTEQualified":           {"a qualified name is never a CTE", "WITH users AS (SELECT 1) SELECT * FROM public.users", "select public.users", "", "SELECT"},
		"CTEInSubLink":           {"sublinks see the CTE", "WITH users AS (SELECT 1) SELECT (SELECT * FROM users)", "evaluate", "", "SELECT"},
		"WritableCTE":            {"checklist 12: writable CTE", "WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING *) SELECT * FROM d", "delete public.orders, select public.orders", "writableCTE", "SELECT"},
		"NestedWritableCTE":      {"", "WITH a AS (INSERT INTO notes VALUES (1) RETURNING id), b AS (UPDATE orders SET total = 0 WHERE id IN (SELECT id FROM a)) SELECT 1", "insert public.notes, select public.notes, update public.orders", "writableCTE", "SELECT"},
		"ExplainAnalyze":         {"checklist 12: EXPLAIN ANALYZE DML", "EXPLAIN ANALYZE DELETE FROM orders", "delete public.orders", "explainAnalyze, unboundedWrite", "EXPLAIN"},
		"ExplainAnalyzeOff":      {"", "EXPLAIN (ANALYZE off) SELECT * FROM orders", "select public.orders", "", "EXPLAIN"},
		"ExplainAnalyzeOn":       {"", "EXPLAIN (VERBOSE, ANALYZE 1) SELECT * FROM orders", "select public.orders", "explainAnalyze", "EXPLAIN"},
		"SelectInto":             {"checklist 12: SELECT INTO", "SELECT * INTO copied FROM orders", "create public.copied, select public.orders", "", "SELECT INTO"},
		"CTAS":                   {"", "CREATE TABLE copied AS SELECT * FROM orders", "create public.copied, select public.orders", "", "CREATE TABLE AS"},
		"TempCTAS":               {"", "CREATE TEMP TABLE copied AS SELECT * FROM orders", "create pg_temp.copied, select public.orders", "", "CREATE TABLE AS"},
		"LoImport":               {"checklist 12: lo_import", "SELECT lo_import('/etc/passwd')", "execute pg_catalog.lo_import", "", "SELECT"},
		"LoExport":               {"checklist 12: lo_export", "SELECT lo_export(1, '/tmp/x')", "execute pg_catalog.lo_export", "", "SELECT"},
		"ReadFile":               {"checklist 12: pg_read_file", "SELECT pg_catalog.pg_read_file('x')", "execute pg_catalog.pg_read_file", "", "SELECT"},
		"FunctionInFrom":         {"checklist 12: function in FROM", "SELECT * FROM pg_ls_dir('.')", "execute pg_catalog.pg_ls_dir", "", "SELECT"},
		"RowsFrom":               {"", "SELECT * FROM ROWS FROM (leak(1), generate_series(1, 2))", "execute public.leak", "", "SELECT"},
		"CopyProgram":            {"checklist 12: COPY PROGRAM", "COPY orders FROM PROGRAM 'id'", "copyProgram id, insert public.orders", "copy", "COPY"},
		"CopyToProgram":          {"", "COPY (SELECT * FROM orders) TO PROGRAM 'curl x'", "copyProgram curl x, select public.orders", "copy", "COPY"},
		"CopyFile":               {"", "COPY orders TO '/tmp/x'", "copyFile /tmp/x, select public.orders", "copy", "COPY"},
		"CopyOut":                {"", "COPY orders (id) TO STDOUT", "select public.orders", "copy", "COPY"},
		"CopyIn":                 {"", "COPY orders FROM STDIN", "insert public.orders", "copy", "COPY"},
		"CopyDML":                {"", "COPY (DELETE FROM orders RETURNING *) TO STDOUT", "delete public.orders, select public.orders", "copy, unboundedWrite", "COPY"},
		"Do":                     {"checklist 12: DO", "DO $$ BEGIN DELETE FROM orders; END $$", "do plpgsql", "", "DO"},
		"DoLanguage":             {"", "DO LANGUAGE plperl 'x'", "do plperl", "", "DO"},
		"Call":                   {"checklist 12: CALL", "CALL tidy(1)", "execute public.tidy", "", "CALL"},
		"CreateFunction":         {"checklist 12: CREATE FUNCTION", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'", "create function:public.f", "", "CREATE FUNCTION"},
		"CreateFunctionAtomic":   {"a body of statements is analysed", "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC DELETE FROM orders; SELECT count(*) FROM secret.t; END", "create function:public.f, delete public.orders, select secret.t", "unboundedWrite", "CREATE FUNCTION"},
		"StartReadWrite":         {"checklist 12: START TRANSACTION READ WRITE", "START TRANSACTION READ WRITE", "transaction", "transactionReadWrite", "START TRANSACTION"},
		"SetTransaction":         {"", "SET TRANSACTION READ WRITE", "transaction", "transactionReadWrite", "SET"},
		"SessionCharacteristics": {"", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "transaction", "transactionReadWrite", "SET"},
		"BeginReadOnly":          {"", "BEGIN READ ONLY", "transaction", "", "BEGIN"},
		"AlterSystem":            {"checklist 12: ALTER SYSTEM", "ALTER SYSTEM SET log_statement = 'none'", "alter system:log_statement", "", "ALTER SYSTEM"},
		"Insert":                 {"", "INSERT INTO orders (id) VALUES (1)", "insert public.orders", "", "INSERT"},
		"InsertSelect":           {"", "INSERT INTO notes SELECT id, v FROM secret.t", "insert public.notes, select secret.t", "", "INSERT"},
		"InsertReturning":        {"RETURNING reads the row", "INSERT INTO orders (id) VALUES (1) RETURNING total", "insert public.orders, select public.orders", "", "INSERT"},
		"Upsert":                 {"", "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = excluded.total", "insert public.orders, update public.orders", "", "INSERT"},
		"UpdateFrom":             {"", "UPDATE orders SET total = 0 FROM secret.t WHERE t.id = orders.id", "select secret.t, update public.orders", "", "UPDATE"},
		"UpdateAll":              {"", "UPDATE orders SET total = 0", "update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateTrue":             {"", "UPDATE orders SET total = 0 WHERE true", "update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateConst":            {"", "UPDATE orders SET total = 0 WHERE 1 = 1", "update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateSelf":             {"", "UPDATE orders SET total = 0 WHERE id = id", "update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateOrTrue":           {"", "UPDATE orders SET total = 0 WHERE id = 1 OR true", "update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateAndTrue":          {"", "UPDATE orders SET total = 0 WHERE id = 1 AND true", "update public.orders", "", "UPDATE"},
		"UpdateUncorrelated":     {"a subquery that does not look at the row bounds nothing", "UPDATE orders SET total = 0 WHERE EXISTS (SELECT id FROM notes)", "select public.notes, update public.orders", "unboundedWrite", "UPDATE"},
		"UpdateCorrelated":       {"", "UPDATE orders o SET total = 0 WHERE EXISTS (SELECT 1 FROM notes n WHERE n.id = o.id)", "select public.notes, update public.orders", "", "UPDATE"},
		"DeleteParam":            {"", "DELETE FROM orders WHERE $1", "delete public.orders", "unboundedWrite", "DELETE"},
		"DeleteWhere":            {"", "DELETE FROM orders WHERE id = $1", "delete public.orders", "", "DELETE"},
		"DeleteUsing":            {"", "DELETE FROM orders USING secret.t WHERE t.id = orders.id", "delete public.orders, select secret.t", "", "DELETE"},
		"Merge": {
			"MERGE yields its inner actions", "MERGE INTO orders o USING secret.t s ON o.id = s.id WHEN MATCHED AND s.v = 'x' THEN DELETE WHEN MATCHED THEN UPDATE SET total = 1 WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
			"delete public.orders, insert public.orders, select secret.t, update public.orders", "", "MERGE",
		},
		"MergeUnbounded":  {"", "MERGE INTO orders USING notes ON true WHEN MATCHED THEN DELETE", "delete public.orders, select public.notes", "unboundedWrite", "MERGE"},
		"ForUpdate":       {"", "SELECT * FROM orders FOR UPDATE", "lock public.orders, select public.orders", "rowLock", "SELECT"},
		"ForUpdateOf":     {"", "SELECT * FROM orders o, notes FOR SHARE OF o", "lock public.orders, select public.notes, select public.orders", "rowLock", "SELECT"},
		"Lock":            {"", "LOCK TABLE orders", "lock public.orders", "", "LOCK TABLE"},
		"Truncate":        {"", "TRUNCATE orders, notes CASCADE", "truncate public.notes, truncate public.orders", "cascade", "TRUNCATE TABLE"},
		"Drop":            {"", "DROP TABLE orders CASCADE", "drop public.orders", "cascade", "DROP TABLE"},
		"DropMissing":     {"", "DROP TABLE IF EXISTS nothing_here", "drop public.nothing_here", "", "DROP TABLE"},
		"DropFunction":    {"", "DROP FUNCTION leak(int)", "drop function:public.leak", "", "DROP FUNCTION"},
		"DropSchema":      {"", "DROP SCHEMA secret", "drop schema:secret", "", "DROP SCHEMA"},
		"CreateTable":     {"", "CREATE TABLE made (id int DEFAULT leak(1), o int REFERENCES orders)", "create public.made, execute public.leak, select public.orders", "", "CREATE TABLE"},
		"CreateSelf":      {"a foreign key may lead to the table itself, which tells nothing", "CREATE TABLE made (id serial PRIMARY KEY, up int REFERENCES made (id) DEFERRABLE, FOREIGN KEY (up) REFERENCES public.made)", "create public.made", "", "CREATE TABLE"},
		"CreateSelfTemp":  {"", "CREATE TEMP TABLE made (id int PRIMARY KEY, up int REFERENCES made)", "create pg_temp.made", "", "CREATE TABLE"},
		"CreateSelfOther": {"one of the name that is found first is another", "CREATE TABLE other.orders (id int PRIMARY KEY, up int REFERENCES orders)", "create other.orders, select public.orders", "", "CREATE TABLE"},
		"CreateSelfMaybe": {"the table may be there already, and stay", "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, up int REFERENCES orders)", "create public.orders, select public.orders", "", "CREATE TABLE"},
		"CreateSelfIn":    {"in a schema of its own", "CREATE SCHEMA s CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a) CREATE TABLE b (a int REFERENCES a)", "create s.a, create s.b, create schema:s, select s.a", "", "CREATE SCHEMA"},
		"CreateLike":      {"", "CREATE TABLE made (LIKE secret.t)", "create public.made, select secret.t", "", "CREATE TABLE"},
		"CreateInherits":  {"", "CREATE TABLE made () INHERITS (parent)", "alter public.parent, create public.made", "", "CREATE TABLE"},
		"CreatePartition": {"", "CREATE TABLE made PARTITION OF people FOR VALUES IN ('us')", "alter public.people, create public.made", "", "CREATE TABLE"},
		"CreateView":      {"", "CREATE VIEW made AS SELECT * FROM secret.t", "create public.made, select secret.t", "", "CREATE VIEW"},
		"CreateMatview":   {"", "CREATE MATERIALIZED VIEW made AS SELECT * FROM secret.t", "create public.made, select secret.t", "", "CREATE MATERIALIZED VIEW"},
		"CreateIndex":     {"", "CREATE INDEX ON orders (pure(id))", "alter public.orders, execute public.pure", "", "CREATE INDEX"},
		"CreateSchema":    {"", "CREATE SCHEMA s CREATE TABLE a (id int) CREATE VIEW b AS SELECT * FROM a", "create s.a, create s.b, create schema:s, select s.a", "", "CREATE SCHEMA"},
		"CreateRole":      {"", "CREATE ROLE r PASSWORD 'x'", "create role:r", "", "CREATE ROLE"},
		"CreateTrigger":   {"", "CREATE TRIGGER x AFTER INSERT ON orders EXECUTE FUNCTION boom()", "alter public.orders, execute public.boom", "", "CREATE TRIGGER"},
		"CreateRule":      {"", "CREATE RULE x AS ON INSERT TO orders DO ALSO DELETE FROM secret.t WHERE t.id = new.id", "alter public.orders, delete secret.t", "", "CREATE RULE"},
		"AlterTable":      {"", "ALTER TABLE orders ADD COLUMN x int", "alter public.orders", "", "ALTER TABLE"},
		"AttachPartition": {"", "ALTER TABLE people ATTACH PARTITION notes FOR VALUES IN ('us')", "alter public.people, select public.notes", "", "ALTER TABLE"},
		"Rename":          {"", "ALTER TABLE orders RENAME TO x", "alter public.orders", "", "ALTER TABLE"},
		"SetSchema":       {"", "ALTER TABLE orders SET SCHEMA other", "alter public.orders, alter schema:other", "", "ALTER TABLE"},
		"Grant":           {"", "GRANT SELECT ON orders TO PUBLIC", "grant public.orders", "", "GRANT"},
		"GrantAll":        {"", "GRANT ALL ON ALL TABLES IN SCHEMA secret TO x", "grant schema:secret", "", "GRANT"},
		"GrantRole":       {"", "GRANT admin TO x", "grant role:admin", "", "GRANT ROLE"},
		"Revoke":          {"", "REVOKE ALL ON orders FROM x CASCADE", "grant public.orders", "cascade", "REVOKE"},
		"Comment":         {"", "COMMENT ON COLUMN orders.id IS 'x'", "comment public.orders", "", "COMMENT"},
		"Vacuum":          {"", "VACUUM orders", "maintain public.orders", "", "VACUUM"},
		"Analyze":         {"", "ANALYZE", "maintain", "", "ANALYZE"},
		"Refresh":         {"", "REFRESH MATERIALIZED VIEW contact_m", "maintain public.contact_m", "", "REFRESH MATERIALIZED VIEW"},
		"Reindex":         {"", "REINDEX SCHEMA public", "maintain schema:public", "", "REINDEX"},
		"Listen":          {"", "LISTEN c", "listen c", "", "LISTEN"},
		"Notify":          {"", "NOTIFY c, 'x'", "notify c", "", "NOTIFY"},
		"Show":            {"", "SHOW Server_Version", "show server_version", "", "SHOW"},
		"Set":             {"", "SET statement_timeout = 5", "set statement_timeout", "", "SET"},
		"ResetAll":        {"", "RESET ALL", "set all", "", "RESET"},
		"Discard":         {"", "DISCARD ALL", "session", "", "DISCARD"},
		"Declare":         {"", "DECLARE c CURSOR FOR SELECT * FROM orders", "select public.orders", "cursor", "DECLARE CURSOR"},
		"Fetch":           {"", "FETCH 5 FROM c", "session", "", "FETCH"},
		"Prepare":         {"PREPARE is what it prepares", "PREPARE p AS DELETE FROM orders", "delete public.orders", "unboundedWrite", "PREPARE"},
		"Load":            {"", "LOAD 'x'", "unknown LOAD", "", "LOAD"},
		"SafeFunctions":   {"", "SELECT count(*), lower('X'), now(), random(), clock_timestamp(), pg_sleep(0), coalesce(1, 2), extract(year from now())", "evaluate", "", "SELECT"},
		"Nextval":         {"nextval changes a sequence", "SELECT nextval('tickets')", "execute pg_catalog.nextval", "", "SELECT"},
		"QueryToXML":      {"runs text as SQL", "SELECT query_to_xml('select 1', true, true, '')", "execute pg_catalog.query_to_xml", "", "SELECT"},
		"TableToXML":      {"stable, but reads a relation by name", "SELECT table_to_xml('secret.t', true, true, '')", "execute pg_catalog.table_to_xml", "", "SELECT"},
		"UserFunction":    {"", "SELECT pure(1)", "execute public.pure", "", "SELECT"},
		"Attribute":       {"attribute notation calls functions", "SELECT c.fullname FROM customers c", "execute public.fullname, select public.customers", "", "SELECT"},
		"AttributeOfRow":  {"", "SELECT (c).fullname FROM customers c", "execute public.fullname, select public.customers", "", "SELECT"},
		"AttributeColumn": {"a real column is no call", "SELECT c.name FROM customers c", "select public.customers", "", "SELECT"},
		"ViewOfView":      {"what a view reads is reached indirectly, to the end", "SELECT * FROM contact2", "indirect select public.contact, select public.contact2, indirect select public.customers", "", "SELECT"},
		"ViewAndBase":     {"what is named is not indirect", "SELECT * FROM contact, customers", "select public.contact, select public.customers", "", "SELECT"},
		"MatView":         {"", "SELECT * FROM contact_m", "select public.contact_m, indirect select public.customers", "", "SELECT"},
		"Partitions":      {"", "SELECT * FROM people", "select public.people, indirect select public.people_eu", "", "SELECT"},
		"PartitionUp":     {"its rows are the parent's", "SELECT * FROM people_eu", "indirect select public.people, select public.people_eu", "", "SELECT"},
		"WriteView":       {"an updatable view", "UPDATE open_orders SET total = 1 WHERE id = 1", "indirect select public.orders, update public.open_orders, indirect update public.orders", "", "UPDATE"},
		"WritePartition":  {"rows are routed", "INSERT INTO people VALUES (1, 'a', 'eu')", "insert public.people, indirect insert public.people_eu", "", "INSERT"},
		"Cascade":         {"ON DELETE CASCADE", "DELETE FROM bills WHERE id = 1", "delete public.bills, indirect delete public.lines", "", "DELETE"},
		"SetNull":         {"ON DELETE SET NULL", "DELETE FROM items WHERE id = 1", "delete public.items, indirect update public.lines", "", "DELETE"},
		"UpdateCascade":   {"ON UPDATE CASCADE", "UPDATE items SET id = 2 WHERE id = 1", "update public.items, indirect update public.lines", "", "UPDATE"},
		"TruncateCascade": {"", "TRUNCATE bills CASCADE", "truncate public.bills, indirect truncate public.lines", "cascade", "TRUNCATE TABLE"},
		"Rule":            {"a rule may do anything to what it names", "INSERT INTO ruled VALUES (1)", "indirect delete public.ruled_log, insert public.ruled, indirect insert public.ruled_log, indirect select public.ruled_log, indirect update public.ruled_log", "", "INSERT"},
		"LockView":        {"", "SELECT * FROM open_orders FOR UPDATE", "lock public.open_orders, indirect lock public.orders, select public.open_orders, indirect select public.orders", "rowLock", "SELECT"},
		"CopyView":        {"", "COPY (TABLE open_orders) TO STDOUT", "select public.open_orders, indirect select public.orders", "copy", "COPY"},
		"SetConfig":       {"as SET", "SELECT set_config('Work_Mem', '1MB', false)", "set work_mem", "", "SELECT"},
		"SetReadWrite":    {"checklist 12", "SET transaction_read_only = off", "set transaction_read_only", "transactionReadWrite", "SET"},
		"Operator":        {"user-defined operators run functions", "SELECT 1 FROM notes a, notes b WHERE a === b", "execute operator:public.===, select public.notes", "", "SELECT"},
		"OrderUsing":      {"", "SELECT 1 FROM notes a ORDER BY a USING ===", "execute operator:public.===, select public.notes", "", "SELECT"},
		"TypeAsFunction":  {"a cast in function notation", "SELECT mood('ok'), text(5)", "execute cast:public.mood", "", "SELECT"},
		"TableSample":     {"", "SELECT * FROM orders TABLESAMPLE system (1)", "select public.orders", "", "SELECT"},
		"FilterWindow":    {"every clause is walked", "SELECT count(*) FILTER (WHERE leak(1) = '') OVER (PARTITION BY pure(1)) FROM orders", "execute public.leak, execute public.pure, select public.orders", "", "SELECT"},
		"LimitSubquery":   {"", "SELECT 1 LIMIT (SELECT id FROM secret.t)", "select secret.t", "", "SELECT"},
		"JSONTable":       {"", "SELECT * FROM JSON_TABLE((SELECT v FROM secret.t)::jsonb, '$' COLUMNS (a int PATH '$.a')) j", "select secret.t", "", "SELECT"},
		"XMLTable":        {"", "SELECT * FROM XMLTABLE('/a' PASSING ((SELECT v FROM secret.t)::xml) COLUMNS x int) x", "select secret.t", "", "SELECT"},
		"Values":          {"", "VALUES ((SELECT id FROM secret.t))", "select secret.t", "", "SELECT"},
		"Union":           {"", "SELECT id FROM orders UNION SELECT id FROM secret.t", "select public.orders, select secret.t", "", "SELECT"},
		"GroupingSets":    {"", "SELECT 1 FROM orders GROUP BY ROLLUP (status, (SELECT v FROM secret.t))", "select public.orders, select secret.t", "", "SELECT"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil {
				t.Fatalf("%s: %q: %v", tc.reason, tc.text, err)
			}
			if diff := cmp.Diff(tc.accesses, strings.Join(flat(s), ", ")); diff != "" {
				t.Errorf("%s: %q: accesses: -want +got:\n%s", tc.reason, tc.text, diff)
			}
			if diff := cmp.Diff(tc.properties, strings.Join(s.Properties, ", ")); diff != "" {
				t.Errorf("%s: %q: properties: -want +got:\n%s", tc.reason, tc.text, diff)
			}
			if s.Kind != tc.kind {
				t.Errorf("%s: %q: kind %q, want %q", tc.reason, tc.text, s.Kind, tc.kind)
			}
			if s.Refusal != nil {
				t.Errorf("%s: %q: unexpected refusal: %v", tc.reason, tc.text, s.Refusal)
			}
		})
	}
}

// TestColumnsRead: accesses tell the columns that are read and written, where
// the statement tells them; nil is all of them.
func TestColumnsRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason, text string
		want         map[string][]string
	}{
		"Named":      {"", "SELECT c.email, name FROM customers c WHERE id = 1", map[string][]string{"select public.customers": {"email", "id", "name"}}},
		"Star":       {"", "SELECT * FROM customers", map[string][]string{"select public.customers": nil}},
		"Row":        {"", "SELECT c FROM customers c", map[string][]string{"select public.customers": nil}},
		"Attribute":  {"t.f may be f(t)", "SELECT c.row_to_json FROM customers c", map[string][]string{"select public.customers": nil}},
		"Two":        {"a name that both have", "SELECT status, c.id FROM customers c, orders o ORDER BY o.at", map[string][]string{"select public.customers": {"id"}, "select public.orders": {"at", "status"}}},
		"Outer":      {"the column of an outer level", "SELECT (SELECT max(total) FROM orders WHERE customer_id = phone::int) FROM customers", map[string][]string{"select public.customers": {"phone"}, "select public.orders": {"customer_id", "total"}}},
		"Using":      {"", "SELECT total FROM orders JOIN customers USING (id)", map[string][]string{"select public.customers": {"id"}, "select public.orders": {"id", "total"}}},
		"Natural":    {"", "SELECT total FROM orders NATURAL JOIN notes", map[string][]string{"select public.notes": nil, "select public.orders": nil}},
		"Renamed":    {"", "SELECT a FROM notes AS n(a)", map[string][]string{"select public.notes": nil}},
		"Subquery":   {"an outer name of an unknown column may be it", "SELECT body, x.total FROM notes, (SELECT total FROM orders) x", map[string][]string{"select public.notes": {"body"}, "select public.orders": {"total"}}},
		"Update":     {"", "UPDATE orders SET status = n.body FROM notes n WHERE n.id = orders.id", map[string][]string{"select public.notes": {"body", "id"}, "update public.orders": {"status"}}},
		"Insert":     {"", "INSERT INTO notes (body) SELECT status FROM orders", map[string][]string{"insert public.notes": {"body"}, "select public.orders": {"status"}}},
		"Twice":      {"all of it once", "SELECT o.id FROM orders o, LATERAL (SELECT * FROM orders) p", map[string][]string{"select public.orders": nil}},
		"CopyColumn": {"", "COPY orders (id, total) TO STDOUT", map[string][]string{"select public.orders": {"id", "total"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := one(t, tc.text, options())
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, a := range s.Accesses {
				if !a.Indirect {
					got[a.Action+" "+a.Resource] = a.Columns
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: %q: -want +got:\n%s", tc.reason, tc.text, diff)
			}
		})
	}
}
