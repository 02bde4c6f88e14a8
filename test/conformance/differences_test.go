// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"regexp"
	"testing"
)

// TestPsqlDifferences: all that is known to differ from a direct connection, as
// docs/protocols/postgresql.md lists it under "Clients".
func TestPsqlDifferences(t *testing.T) {
	tests := map[string]struct {
		reason, group, text string
		// direct and through are regular expressions on what psql shows.
		direct, through string
	}{
		"Syntax": {
			reason: "what cannot be parsed is refused by the proxy, in the same words", group: "builders", text: "SELECT * FRO orders",
			direct: `ERROR:  42601: syntax error at or near "FRO"\nLINE 1`, through: `ERROR:  42601: syntax error at or near "FRO"\nLINE 1`,
		},
		"UnknownRelation": {
			reason: "names are looked up by the proxy first", group: "builders", text: "SELECT * FROM lab.missing",
			direct: `ERROR:  42P01: relation "lab.missing" does not exist\nLINE 1`, through: `ERROR:  42P01: relation "lab.missing" does not exist\nLINE 1`,
		},
		"UnknownFunction": {
			reason: "names are looked up by the proxy first", group: "builders", text: "SELECT nofunction(1)",
			direct: `ERROR:  42883: function nofunction\(integer\) does not exist\nLINE 1`, through: `ERROR:  42883: function nofunction does not exist\nLINE 1`,
		},
		"UnknownStatement": {
			reason: "the proxy knows which prepared statements there are", group: "builders", text: "EXECUTE nothing",
			direct: `ERROR:  26000: prepared statement "nothing" does not exist`, through: `ERROR:  26000: prepared statement "nothing" does not exist\nHINT:`,
		},
		"Encoding": {
			reason: "text is UTF-8", group: "builders", text: "SET client_encoding = 'SQL_ASCII'",
			direct: `^SET\n$`, through: `ERROR:  .*client_encoding`,
		},
		"ApplicationName": {
			reason: "the target's log and views show the caller there", group: "builders", text: "SET application_name = 'mine'; SHOW application_name",
			direct: `\bmine\n`, through: `\bdoorward:`,
		},
		"Role": {
			reason: "the session's role is the credential's", group: "builders", text: "SET ROLE shop_app",
			direct: `^SET\n$`, through: `ERROR:  .*role`,
		},
		"Do": {
			reason: "anonymous blocks are an action of their own", group: "builders", text: "DO 'BEGIN RAISE NOTICE ''hello''; END'",
			direct: `NOTICE:  00000: hello`, through: `ERROR:  42501: `,
		},
		"WriteWithMasks": {
			reason: "errors of a masked relation keep names and lose values", group: "developers", text: "INSERT INTO lab.people (id, name) VALUES (21, 'Again')",
			direct: `ERROR:  23505: duplicate key value .*\nDETAIL:  Key \(id\)=\(21\)`, through: `ERROR:  23505: duplicate key value [^\n]*\n(SCHEMA|TABLE|CONSTRAINT|LOCATION)`,
		},
		"CursorOverMasks": {
			reason: "masked columns come masked through a cursor, too", group: "developers", text: "BEGIN; DECLARE c CURSOR FOR SELECT email FROM lab.people WHERE id = 1; FETCH c; COMMIT",
			direct: `@`, through: `\[masked\]`,
		},
		"CopyOfMasks": {
			reason: "masked columns are masked in copies, too", group: "developers", text: "COPY (SELECT id, email FROM lab.people WHERE id = 1) TO STDOUT",
			direct: `^1\t.*@`, through: `^1\t\[masked\]\n$`,
		},
		"AlterWithMasks": {
			reason: "a schema change could move masked columns out of sight", group: "developers", text: "ALTER TABLE lab.people ALTER COLUMN id SET STATISTICS 100",
			direct: `^ALTER TABLE\n$`, through: `ERROR:  42501: `,
		},
		"ExpressionOverMasks": {
			reason: "a masked column is selected as it is, or not at all", group: "developers", text: "SELECT upper(name), length(email) > 0 FROM lab.people WHERE id = 21",
			direct: `NOBODY`, through: `ERROR:  `,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, tc.group)
			args := []string{"-v", "VERBOSITY=verbose", "-c", tc.text}
			for _, side := range []struct {
				name, pattern string
				o             output
			}{{"past the proxy", tc.direct, psqlDirect(t, "", args...)}, {"through the proxy", tc.through, c.psql("", args...)}} {
				if all := side.o.stdout + side.o.stderr; !regexp.MustCompile(side.pattern).MatchString(all) {
					t.Errorf("%s: %s psql does not show %q:\n%s", tc.reason, side.name, side.pattern, side.o)
				}
			}
		})
	}
}
