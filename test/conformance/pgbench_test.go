// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/doorward/doorward/api/v1alpha1"
)

// pipeline is a script for pgbench in pipeline mode.
const pipeline = `\set aid random(1, 100000)
\set delta random(-5000, 5000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
SELECT :delta + 1;
END;
\endpipeline
`

// TestPgbench: pgbench makes its tables through the proxy and runs its own
// transactions in every mode; no transaction fails and every statement is on record.
func TestPgbench(t *testing.T) {
	t.Parallel()
	t.Run("Initialize", func(t *testing.T) {
		c := newCaller(t, "benchmarkers")
		o := c.run("", program("pgbench"), "-i", "-s", "1", "-q", through())
		if o.exit != 0 || !regexp.MustCompile(`(?s)tuples.*done in`).MatchString(o.stderr) {
			t.Fatalf("pgbench -i:\n%s", o)
		}
	})
	script := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(script, []byte(pipeline), 0o600); err != nil {
		t.Fatal(err)
	}
	// Statements of one transaction.
	const tpcb, selects, piped = 7, 1, 5
	tests := map[string]struct {
		reason     string
		args       []string
		statements int64
	}{
		"SimpleTPCB":     {reason: "the simple protocol", args: []string{"-M", "simple"}, statements: tpcb},
		"ExtendedTPCB":   {reason: "Parse for each statement", args: []string{"-M", "extended"}, statements: tpcb},
		"PreparedTPCB":   {reason: "named prepared statements", args: []string{"-M", "prepared"}, statements: tpcb},
		"SimpleSelect":   {reason: "the simple protocol, read only", args: []string{"-M", "simple", "-S"}, statements: selects},
		"ExtendedSelect": {reason: "Parse for each statement, read only", args: []string{"-M", "extended", "-S"}, statements: selects},
		"PreparedSelect": {reason: "named prepared statements, read only", args: []string{"-M", "prepared", "-S"}, statements: selects},
		"Pipeline":       {reason: "a transaction as one pipeline", args: []string{"-M", "extended", "-f", script}, statements: piped},
		"PipelinePrepared": {
			reason: "a transaction as one pipeline of prepared statements", args: []string{"-M", "prepared", "-f", script}, statements: piped,
		},
		"Reconnect": {reason: "a connection for each transaction", args: []string{"-M", "simple", "-S", "-C"}, statements: selects},
	}
	const clients, transactions = 4, 10
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t, "benchmarkers")
			args := append([]string{"-n", "-c", strconv.Itoa(clients), "-j", "2", "-t", strconv.Itoa(transactions)}, tc.args...)
			o := c.run("", program("pgbench"), append(args, through())...)
			want := regexp.MustCompile(`(?s)number of transactions actually processed: 40/40\nnumber of failed transactions: 0 `)
			if o.exit != 0 || !want.MatchString(o.stdout) {
				t.Fatalf("%s: pgbench:\n%s", tc.reason, o)
			}
			// Where the script is its own, pgbench first counts the branches,
			// for the scale, and looks for partitions.
			n := tc.statements * clients * transactions
			if tc.args[len(tc.args)-1] != script {
				n += 2
			}
			c.expectCounts(t, v1alpha1.OperationCounts{Total: n, Allowed: n})
		})
	}
}
