// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// processID is what two connections differ in.
var processID = regexp.MustCompile(`server process with PID \d+`)

func wash(text string) string { return processID.ReplaceAllString(text, "server process with PID N") }

// TestPsqlAsDirect: what an honest script shows is, to the letter, what it shows
// on a direct connection: rows, command tags, notices, errors with their
// SQLSTATE, position, detail and hint, and the exit status. Scripts leave
// everything as it was.
func TestPsqlAsDirect(t *testing.T) {
	tests := map[string]struct {
		reason string
		stdin  string
		args   []string
		// exclusive scripts see what others change.
		exclusive bool
	}{
		"Describe": {
			reason: "psql's describing commands query the catalog",
			stdin:  "\\d\n\\dt+\n\\d orders\n\\d+ lab.items\n\\d lab.people\n\\df pg_sleep\n\\l\n\\du\n\\dn\n\\di\n\\dT\n\\dx\n\\dp orders\n\\sf pg_catalog.abs(integer)\n\\z lab.*\n\\dv\n\\ds\n\\dconfig work_mem\n",
		},
		"Types": {
			reason: "values of many types, NULL, and display settings",
			stdin: `SELECT 1, 'x', NULL, true, 1.5, now() - now(), date '2026-01-02', ARRAY[1,2], '{"a":1}'::jsonb, '\x00ff'::bytea, 'ä€😀';
\x
SELECT * FROM lab.items WHERE id < 3;
\x
\pset null '(null)'
SELECT NULL;
\pset format csv
SELECT id, name FROM lab.items WHERE id < 3;
`,
		},
		"Prepare": {
			reason: "prepared statements of SQL",
			stdin:  "PREPARE p (int, text) AS SELECT id, $2 || name FROM lab.items WHERE id = $1;\nEXECUTE p (3, 'my ');\nEXECUTE p (4, 'your ');\nDEALLOCATE p;\nPREPARE p AS SELECT 1;\nDEALLOCATE ALL;\nEXECUTE p(1, 2);\n",
			args:   []string{"-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate"},
		},
		"Transactions": {
			reason: "savepoints, errors inside, an aborted transaction, warnings",
			stdin: `BEGIN;
INSERT INTO lab.items VALUES (501, 'a', 1);
SAVEPOINT a;
INSERT INTO lab.items VALUES (501, 'b', 2);
SELECT 1;
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO lab.items VALUES (502, 'b', -2);
ROLLBACK TO a;
UPDATE lab.items SET price = price + 1 WHERE id = 501 RETURNING id, price;
RELEASE a;
RELEASE nothing;
COMMIT;
COMMIT;
BEGIN;
BEGIN;
ROLLBACK AND CHAIN;
ROLLBACK;
SELECT count(*) FROM lab.items WHERE id > 500;
`,
		},
		"Errors": {
			reason: "errors of the target with everything psql shows of them",
			stdin: `\set VERBOSITY verbose
SELECT nothing FROM lab.items;
SELECT 1/0;
SELECT 'a'::int;
SELECT * FROM lab.items WHERE id = 'x';
SELECT id FROM lab.items GROUP BY name;
INSERT INTO lab.items VALUES (1, 'a', 1);
INSERT INTO lab.items VALUES (600, NULL, 1);
INSERT INTO lab.items VALUES (600, 'a', -1);
INSERT INTO lab.items VALUES (600, 'a');
INSERT INTO lab.items VALUES (600, 'a', 1, now(), 5);
SELECT 1 +
  'b'::int;
SELECT id FROM lab.items UNION SELECT name FROM lab.items;
SELECT count(*) FROM lab.items;
`,
		},
		"Gexec": {
			reason: "\\gexec, \\gset, \\gdesc, \\crosstabview, \\if",
			stdin: `SELECT format('SELECT %s AS n', i) FROM generate_series(1, 3) AS i \gexec
SELECT 1 AS x, 'two' AS y \gset
\echo :x :y
SELECT :'y' || :x;
SELECT id, name, price FROM lab.items WHERE id < 3 \gdesc
SELECT id % 2 AS r, id % 3 AS c, count(*) FROM lab.items WHERE id < 50 GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
\if :x
SELECT 'yes';
\else
SELECT 'no';
\endif
SELECT 1 \g (format=unaligned)
`,
		},
		"Cursors": {
			reason: "DECLARE, FETCH, MOVE and CLOSE, forwards and backwards",
			stdin: `BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id FROM lab.items WHERE id < 50 ORDER BY id;
FETCH 3 FROM c;
MOVE 2 FROM c;
FETCH c;
FETCH BACKWARD 2 FROM c;
FETCH ALL FROM c;
CLOSE c;
FETCH c;
ROLLBACK;
`,
		},
		"Notices": {
			reason: "notices of the target",
			stdin: `DROP TABLE IF EXISTS lab.made_nothing;
CREATE TEMP TABLE made (id int PRIMARY KEY, b text);
CREATE TEMP TABLE IF NOT EXISTS made (id int);
TRUNCATE made;
DROP TABLE made;
`,
		},
		"Schema": {
			reason: "a schema change and what comes after it, in one session", exclusive: true,
			stdin: `CREATE TABLE lab.made (a int PRIMARY KEY, b text);
INSERT INTO lab.made SELECT i, 'b' || i FROM generate_series(1, 10) AS i;
ALTER TABLE lab.made ADD COLUMN c int DEFAULT 5;
SELECT * FROM lab.made WHERE a = 1;
CREATE INDEX made_b ON lab.made (b);
COMMENT ON TABLE lab.made IS 'made by a test';
\d+ lab.made
BEGIN;
ALTER TABLE lab.made RENAME COLUMN b TO d;
ROLLBACK;
SELECT b FROM lab.made WHERE a = 2;
VACUUM lab.made;
ANALYZE lab.made;
TRUNCATE lab.made;
CREATE TABLE lab.made_too AS SELECT 1 AS one;
SELECT * FROM lab.made_too;
DROP TABLE lab.made, lab.made_too;
SELECT 1;
`,
		},
		"CopyText": {
			reason: "COPY and \\copy in text and CSV, both ways, and errors in the data",
			stdin: `BEGIN;
COPY lab.items (id, name, price) FROM STDIN;
701	c1	1
702	c\t2	\N
\.
ROLLBACK;
BEGIN;
COPY lab.items (id, name, price) FROM STDIN;
701	c1	1
702	c2	2
\.
\copy lab.items (id, name, price) from stdin csv header
id,name,price
703,"a, b",3
704,"c ""d""",4
\.
\copy (SELECT * FROM lab.items WHERE id > 700 ORDER BY id) to stdout csv header
COPY (SELECT id, name FROM lab.items WHERE id > 700 ORDER BY id) TO STDOUT;
COPY lab.items (id, name, price) FROM STDIN;
705	five	not a number
\.
SELECT 1;
ROLLBACK;
COPY (SELECT 1/(id - 3) FROM lab.items WHERE id < 5 ORDER BY id) TO STDOUT;
SELECT count(*) FROM lab.items WHERE id > 700;
`,
		},
		"Settings": {
			reason: "settings that do not change what statements mean",
			stdin: `SHOW client_encoding;
SET work_mem = '8MB';
SHOW work_mem;
RESET work_mem;
SET datestyle = 'German, DMY';
SELECT date '2026-03-04';
RESET datestyle;
SET timezone = 'Asia/Tokyo';
SELECT timestamptz '2026-01-01 00:00+00';
SET LOCAL work_mem = '9MB';
SET nothing = 5;
SET statement_timeout = '100ms';
SELECT count(*) FROM generate_series(1, 200000000);
RESET ALL;
SELECT 1;
`,
		},
		"Notify": {
			reason: "LISTEN and NOTIFY",
			stdin:  "LISTEN lab_x;\nNOTIFY lab_x, 'hi';\nSELECT 2;\nUNLISTEN lab_x;\nNOTIFY lab_x;\nSELECT 3;\n",
		},
		"MultiStatement": {
			reason: "several statements in one message: one transaction, an error drops the rest",
			stdin:  "SELECT 1\\; SELECT 2\\; SELECT 3;\nSELECT 1\\; SELECT 1/0\\; SELECT 3;\nBEGIN\\; SELECT 4\\; COMMIT;\nINSERT INTO lab.items VALUES (801, 'x', 1)\\; SELECT 1/0;\nSELECT count(*) FROM lab.items WHERE id = 801;\n;\n-- nothing but a comment\nSELECT /* inside */ 5;\n",
		},
		"Explain": {
			reason: "plans in all forms",
			stdin:  "EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE id = 1;\nEXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT count(*) FROM orders;\nEXPLAIN (FORMAT JSON, COSTS OFF) SELECT 1;\n",
		},
		"EchoAll": {
			reason: "psql's own echo of queries", args: []string{"-a", "-E"},
			stdin: "SELECT 1;\n\\d orders\n",
		},
		"BigResult": {
			reason: "100,000 rows",
			args:   []string{"-A", "-c", "SELECT i, md5(i::text), i * 1.5 FROM generate_series(1, 100000) AS i"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if !tc.exclusive {
				t.Parallel()
			}
			c := newCaller(t, "builders")
			want := psqlDirect(t, tc.stdin, tc.args...)
			got := c.psql(tc.stdin, tc.args...)
			if want.exit != got.exit {
				t.Errorf("%s: exit status %d, want %d", tc.reason, got.exit, want.exit)
			}
			for _, part := range []struct{ name, want, got string }{
				{"standard output", want.stdout, got.stdout}, {"standard error", want.stderr, got.stderr},
			} {
				if part.want == part.got {
					continue
				}
				// Lines, since the whole may have megabytes.
				if diff := cmp.Diff(strings.Split(wash(part.want), "\n"), strings.Split(wash(part.got), "\n")); diff != "" {
					t.Errorf("%s: %s (-direct +through the proxy):\n%s", tc.reason, part.name, clip(diff))
				}
			}
		})
	}
}
