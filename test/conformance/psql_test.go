// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
)

// psqlCase is one run of psql.
type psqlCase struct {
	reason string
	group  string
	stdin  string
	// file is a script for -f.
	file string
	args []string
	exit int
	// want and refuse are regular expressions on standard output and error.
	want, refuse []string
	// counts are what must be on record of it; not looked at where nil.
	counts *v1alpha1.OperationCounts
}

func (tc psqlCase) test(t *testing.T) {
	t.Helper()
	c := newCaller(t, tc.group)
	args := tc.args
	if tc.file != "" {
		path := filepath.Join(t.TempDir(), "script.sql")
		if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"-f", path}, args...)
	}
	o := c.psql(tc.stdin, args...)
	all := o.stdout + o.stderr
	if o.exit != tc.exit {
		t.Errorf("%s: exit status %d, want %d:\n%s", tc.reason, o.exit, tc.exit, o)
	}
	for _, pattern := range tc.want {
		if !regexp.MustCompile(pattern).MatchString(all) {
			t.Errorf("%s: psql does not show %q:\n%s", tc.reason, pattern, o)
		}
	}
	for _, pattern := range tc.refuse {
		if regexp.MustCompile(pattern).MatchString(all) {
			t.Errorf("%s: psql shows %q:\n%s", tc.reason, pattern, o)
		}
	}
	if tc.counts != nil {
		c.expectCounts(t, *tc.counts)
	}
}

func TestPsql(t *testing.T) {
	tests := map[string]psqlCase{
		"Commands": {
			reason: "each -c is a query of its own, and a refusal ends none but its own", group: "analysts",
			args:   []string{"-A", "-t", "-c", "SELECT 41 + 1", "-c", "SELECT * FROM payroll", "-c", "SELECT count(*) FROM orders"},
			want:   []string{`(?m)^42$`, `(?m)^200$`, `ERROR:  no AccessPolicy allows \S+ to select public\.payroll`, `HINT:  .*kubectl`},
			counts: &v1alpha1.OperationCounts{Total: 3, Allowed: 2, Denied: 1},
		},
		"ScriptFile": {
			reason: "a script with -f names its lines in errors", group: "analysts",
			file:   "SELECT 1;\nSELECT nothing FROM orders;\nSELECT 2;\n",
			want:   []string{`script\.sql:2: ERROR:  column "nothing" does not exist`, `LINE 1: SELECT nothing FROM orders;\n +\^`, `\(1 row\)`},
			counts: &v1alpha1.OperationCounts{Total: 3, Allowed: 3, Failed: 1},
		},
		"ScriptStopsOnError": {
			reason: "ON_ERROR_STOP sees the proxy's refusals as it sees errors", group: "analysts",
			file: "SELECT 1 AS first;\nDROP TABLE orders;\nSELECT 1 AS second;\n", args: []string{"-v", "ON_ERROR_STOP=1"}, exit: 3,
			want:   []string{`first`, `schema changes go through migrations`, `no-schema-changes`},
			refuse: []string{`second`},
			counts: &v1alpha1.OperationCounts{Total: 2, Allowed: 1, Denied: 1},
		},
		"SingleTransaction": {
			reason: "-1 wraps a script into a transaction that a refusal aborts", group: "developers",
			file: "INSERT INTO lab.items VALUES (8001, 'gone', 1);\nDELETE FROM lab.people;\n", args: []string{"-1", "-v", "ON_ERROR_STOP=1"}, exit: 3,
			want: []string{`INSERT 0 1`, `people are never deleted`},
		},
		"Masks": {
			reason: "masks in SELECT, TABLE, expanded output, \\gset, cursors, RETURNING and EXECUTE", group: "developers",
			stdin: `SELECT * FROM lab.people WHERE id = 3;
TABLE lab.people \gx
SELECT email AS stolen FROM lab.people WHERE id = 3 \gset
\echo got :stolen
BEGIN;
DECLARE c CURSOR FOR SELECT email, card FROM lab.people ORDER BY id;
FETCH 5 FROM c;
ROLLBACK;
PREPARE p AS SELECT phone, secret FROM lab.people WHERE id = $1;
EXECUTE p(3);
UPDATE lab.people SET name = name WHERE id = 3 RETURNING *;
\copy (SELECT name, email FROM lab.people) TO STDOUT
\copy lab.people TO STDOUT CSV
SELECT upper(email) FROM lab.people;
SELECT 1 FROM lab.people WHERE email LIKE 'person3%';
SELECT p FROM lab.people p;
SELECT json_agg(p) FROM lab.people p;
`,
			want:   []string{`\[masked\]`, `\*{15}2003`, `got \[masked\]`, `ERROR`},
			refuse: []string{`mail\.example`, `5500`},
		},
		"ShopMasks": {
			reason: "the shop's own masks", group: "analysts",
			args:   []string{"-c", "SELECT * FROM customers ORDER BY id LIMIT 3", "-c", "SELECT email, id FROM customers c WHERE id = 7", "-c", `\copy customers TO STDOUT`},
			want:   []string{`\[masked\]`, `\*1001`, `(?m)^3\tBarbara D\.\t\[masked\]\t\*+1003\t\[masked\]$`},
			counts: &v1alpha1.OperationCounts{Total: 3, Allowed: 3, Masked: 3},
		},
		"MultiStatement": {
			reason: "several statements in one text are decided each, and none runs if one is refused", group: "analysts",
			args: []string{"-c", "SELECT 'before'; SELECT * FROM payroll; SELECT 'after'"}, exit: 1,
			want: []string{`payroll`}, refuse: []string{`\(1 row\)`},
		},
		"BigMaskedResult": {
			reason: "80,000 rows are masked, every one", group: "analysts",
			args:   []string{"-A", "-t", "-c", "SELECT email, card FROM customers CROSS JOIN generate_series(1, 2000)"},
			want:   []string{`^(?:\[masked\]\|\*+10\d\d\n)+$`},
			counts: &v1alpha1.OperationCounts{Total: 1, Allowed: 1, Masked: 1},
		},
		"FetchCount": {
			reason: "psql's FETCH_COUNT reads through a cursor of SQL", group: "developers",
			args: []string{"-A", "-t", "-v", "FETCH_COUNT=7", "-c", "SELECT id FROM lab.items WHERE id < 30 ORDER BY id"},
			want: []string{`(?m)^1$`, `(?m)^29$`},
		},
		"FetchCountMasked": {
			reason: "... through which the rows of masked relations come masked", group: "developers",
			args: []string{"-A", "-t", "-v", "FETCH_COUNT=7", "-c", "SELECT id, email FROM lab.people ORDER BY id"},
			want: []string{`(?m)^1\|\[masked\]$`, `(?m)^20\|\[masked\]$`, `(?m)^21\|$`}, refuse: []string{"@"},
		},
		"LongStatement": {
			reason: "2 MB of statement", group: "analysts",
			stdin:  "SELECT length('" + strings.Repeat("0123456789", 200_000) + "');\n",
			want:   []string{`2000000`},
			counts: &v1alpha1.OperationCounts{Total: 1, Allowed: 1},
		},
		"TooLongStatement": {
			reason: "beyond the bound it is refused with a remedy, and the session goes on", group: "analysts",
			stdin:  "SELECT length('" + strings.Repeat("0123456789", 900_000) + "');\nSELECT 'still ' || 'here';\n",
			want:   []string{`ERROR:  the statement has \d+ bytes; at most \d+ are taken`, `COPY`, `still here`},
			counts: &v1alpha1.OperationCounts{Total: 2, Allowed: 1, Denied: 1},
		},
		"Timing": {
			reason: "\\timing is the client's own", group: "analysts",
			stdin: "\\timing on\nSELECT 1;\nSELECT * FROM payroll;\n",
			want:  []string{`(?s)Time: \d.* ms.*Time: \d.* ms`},
		},
		"DoIsRefused": {
			reason: "an anonymous block cannot be analysed, so that no rule here allows it", group: "developers",
			args: []string{"-c", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"}, exit: 1,
			want: []string{`ERROR`, `DO|do`}, refuse: []string{`NOTICE:  hello`},
		},
		"NoTable": {
			reason: "unknown meta-commands and names are errors as ever", group: "analysts",
			stdin: "\\nonsense\n\\d nothing_of_the_kind\n",
			want:  []string{`invalid command \\nonsense`, `Did not find any relation named "nothing_of_the_kind"`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.test(t)
		})
	}
}

// TestPsqlBind: \bind gives parameters by the extended protocol.
func TestPsqlBind(t *testing.T) {
	if o := runPsql(t, environment(""), direct(), "", "-c", `\?`); !strings.Contains(o.stdout, `\bind`) {
		t.Skip("this psql has no \\bind; that of PostgreSQL 16 has")
	}
	psqlCase{
		reason: "parameters by the extended protocol", group: "developers",
		stdin: "SELECT id, email FROM lab.people WHERE id = $1 \\bind 3 \\g\nSELECT $1::int / $2::int \\bind 1 0 \\g\nSELECT 'still ' || $1 \\bind here \\g\n",
		want:  []string{`3 \| \[masked\]`, `division by zero`, `still here`},
	}.test(t)
}

// TestPsqlNoToken: without a token, or with a wrong one, nobody gets in.
func TestPsqlNoToken(t *testing.T) {
	tests := map[string]struct {
		reason, password, want string
	}{
		"None":   {reason: "psql -w without a password", want: `no password supplied`},
		"Wrong":  {reason: "a password is no token", password: "guess", want: `FATAL:  .*token`},
		"Canary": {reason: "the target's password is no token either", password: "canary", want: `FATAL:  .*token`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			password := tc.password
			if password == "canary" {
				password = suite.Canary
			}
			o := runPsql(t, environment(password), through(), "", "-c", "SELECT 1")
			if o.exit != 2 || !regexp.MustCompile(tc.want).MatchString(o.stderr) {
				t.Errorf("%s: want exit status 2 and %q:\n%s", tc.reason, tc.want, o)
			}
		})
	}
}
