// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestPsql: scripts of all that psql and the server's own statements can do, with
// everything that psql shows of errors and notices.
func TestPsql(t *testing.T) {
	direct, proxied := sides()
	folder := t.TempDir()
	tests := map[string]struct{ reason, script string }{
		"Migration": {
			reason: "what a text creates, the same text uses",
			script: `CREATE SCHEMA m1\; CREATE TABLE m1.t (a int PRIMARY KEY, b text)\; INSERT INTO m1.t VALUES (1, 'x')\; CREATE INDEX ON m1.t (b)\; ALTER TABLE m1.t ADD COLUMN c int DEFAULT 5\; UPDATE m1.t SET c = 6\; SELECT * FROM m1.t;
CREATE FUNCTION m1.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'\; SELECT m1.f(2);
CREATE TYPE m1.mood AS ENUM ('sad', 'ok')\; CREATE TABLE m1.u (m m1.mood)\; INSERT INTO m1.u VALUES ('ok'), ('sad'::m1.mood)\; SELECT * FROM m1.u ORDER BY m;
CREATE VIEW m1.v AS SELECT a + 1 AS c FROM m1.t\; SELECT * FROM m1.v;
DROP TABLE m1.u\; CREATE TABLE m1.u (z int)\; INSERT INTO m1.u VALUES (5)\; SELECT * FROM m1.u;
BEGIN;
CREATE PROCEDURE m1.p() LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''in p''; END';
CALL m1.p();
CREATE TABLE m1.w (a int);
INSERT INTO m1.w VALUES (1);
ROLLBACK;
SELECT * FROM m1.w;
DROP SCHEMA m1 CASCADE;
`,
		},
		"Errors": {
			reason: "code, words and place, also of what the proxy refuses in the server's stead",
			script: `SELECT * FRO x;
\errverbose
SELECT 1,
  'ä', 2 FROM missing_relation m;
SELECT * FROM nowhere.t;
INSERT INTO missing_relation VALUES (1);
SELECT 1 +;
SELECT (1;
SELECT 1/0;
SELECT nothing FROM pg_class;
SELECT 'x'::int;
SELECT 1; SELECT * FRO y\; SELECT 2;
SELECT 3;
`,
		},
		"Session": {
			reason: "what a session holds, and DISCARD",
			script: `PREPARE p AS SELECT 1;
CREATE TEMP TABLE tt AS SELECT 1 AS a;
SET work_mem = '9MB';
LISTEN ch;
BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT * FROM generate_series(1, 5); COMMIT;
FETCH 2 FROM h;
SELECT name FROM pg_cursors; SELECT name FROM pg_prepared_statements; SELECT pg_listening_channels();
CLOSE ALL;
DISCARD ALL;
SHOW work_mem;
SELECT count(*) FROM pg_prepared_statements;
NOTIFY ch, 'unheard';
LISTEN ch;
NOTIFY ch, 'heard';
SELECT 1;
SELECT pg_notify('ch', repeat('x', 20));
BEGIN; INSERT INTO pg_temp.none VALUES (1); ROLLBACK;
BEGIN; SELECT 1; PREPARE TRANSACTION 'conformance'; ROLLBACK PREPARED 'conformance';
SELECT 1 AS x \gset
SELECT format('SELECT %s', i) FROM generate_series(1, 3) i \gexec
\set FETCH_COUNT 10
SELECT i, repeat('y', i) FROM generate_series(1, 35) i;
\unset FETCH_COUNT
`,
		},
		"Notices": {
			reason: "notices keep their order among rows, and warnings their fields",
			script: `DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING DETAIL = 'd', HINT = 'h', ERRCODE = '01234'; END $$;
SELECT 1; DO 'BEGIN RAISE NOTICE ''three''; END'; SELECT 2;
SET client_min_messages = error;
DO 'BEGIN RAISE NOTICE ''four''; END';
RESET client_min_messages;
DROP TABLE IF EXISTS none;
`,
		},
		"Empty": {
			reason: "texts without a statement, comments and semicolons alone",
			script: ";\n;;\n-- nothing\n/* nothing\n   at all */ ;\nSELECT 1 /* c */; -- d\nSELECT;\n",
		},
		"Copy": {
			reason: "COPY in each format, both ways",
			script: strings.ReplaceAll(`CREATE TABLE copied (a int, b text, c bytea);
INSERT INTO copied SELECT i, CASE WHEN i % 7 > 0 THEN E'b\t\\\n"' || i END, decode(md5(i::text), 'hex') FROM generate_series(1, 500) i;
\copy copied TO 'F/text'
\copy copied TO 'F/csv' CSV HEADER FORCE QUOTE *
\copy copied TO 'F/binary' BINARY
SELECT md5(string_agg(x::text, ',' ORDER BY a)) FROM copied x;
TRUNCATE copied;
\copy copied FROM 'F/text'
SELECT md5(string_agg(x::text, ',' ORDER BY a)) FROM copied x;
TRUNCATE copied;
\copy copied FROM 'F/csv' CSV HEADER
\copy copied FROM 'F/binary' BINARY
SELECT count(*), md5(string_agg(x::text, ',' ORDER BY a)) FROM copied x;
\copy copied FROM 'F/csv' BINARY
\copy copied (a) FROM 'F/text'
SELECT count(*) FROM copied;
COPY copied TO STDOUT BINARY\; SELECT 1;
COPY (SELECT a, b FROM copied WHERE a < 4 ORDER BY a, b) TO STDOUT (FORMAT csv, DELIMITER ';', NULL 'null');
DROP TABLE copied;
`, "F/", folder+"/SIDE-"),
		},
		"LargeObjects": {
			reason: "large objects by the server's functions",
			script: `SELECT lo_from_bytea(80001, 'abc');
SELECT lo_put(80001, 3, 'def'); SELECT lo_get(80001);
BEGIN; SELECT lo_open(80001, 393216) AS fd \gset
SELECT lowrite(:fd, 'xyz'); SELECT lo_lseek(:fd, 0, 0); SELECT loread(:fd, 10); SELECT lo_close(:fd); COMMIT;
\lo_list
SELECT lo_unlink(80001);
`,
		},
		"Wide": {
			reason: "as many columns as there can be, and long values",
			script: "SELECT " + columns(1600) + ";\nSELECT " + columns(1665) + ";\nSELECT length(repeat('x', 10000000)), md5(repeat('ä', 1000000));\n",
		},
		"Describe": {
			reason: "all describing commands over the database, but for sizes that grow meanwhile", script: `\d pg_catalog.pg_class
\dt+ pg_catalog.pg_class
\df+ pg_catalog.abs
\dT+ pg_catalog.int4
\du+
\dx+
\db
\dC+
\dconfig+ work_mem
\do pg_catalog.+
\dFp+
\sf pg_catalog.abs(int)
\sv pg_catalog.pg_stats
\dew
\dp pg_catalog.pg_class
`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := func(s side) string {
				command := s.program(t, "psql", "-X", "-a", "-v", "VERBOSITY=verbose")
				command.Stdin = strings.NewReader(strings.ReplaceAll(tc.script, "SIDE", s.database))
				out, err := command.CombinedOutput()
				return fmt.Sprintf("%s\n%v", out, err)
			}
			same(t, shown(direct), shown(proxied))
		})
	}
	for _, format := range []string{"text", "csv", "binary"} {
		t.Cleanup(func() {
			same(t, read(t, filepath.Join(folder, databaseDirect+"-"+format)), read(t, filepath.Join(folder, databaseProxied+"-"+format)))
		})
	}
}

func columns(n int) string {
	return strings.TrimSuffix(strings.Repeat("1,", n), ",")
}
