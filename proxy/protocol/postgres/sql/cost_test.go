// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// maxCost is far above what a text takes that is analysed in time proportional
// to its size, also under the race detector, and far below what a quadratic
// step would take.
const maxCost = 45 * time.Second

// TestHostileSizesStayCheap: the largest texts that are analysed at all cost
// time in proportion. In is trap 3: the parser's own normaliser needs 20 s for
// it. Not parallel: the CPU time of the process is what is measured, so that a
// busy machine does not matter.
func TestHostileSizesStayCheap(t *testing.T) {
	c, m := shopCatalog(t), maskSet(t)
	for name, text := range map[string]string{
		"Locks":      "SELECT c.id FROM customers c " + strings.Repeat("FOR UPDATE ", 20_000),
		"References": "SELECT c.id" + strings.Repeat(",c.id", 20_000) + " FROM customers c" + strings.Repeat(",notes", 900),
		"Or":         "DELETE FROM customers WHERE id = 1" + strings.Repeat(" OR id = 1", 2_000),
		"In":         "SELECT id FROM customers WHERE id IN (1" + strings.Repeat(",1", 100_000) + ")",
		"CTEs":       "WITH a AS (SELECT 1)" + strings.Repeat(", a AS (TABLE a)", 900) + " SELECT 1 FROM customers",
		"Operators":  "SELECT 1 " + strings.Repeat("+", 8_000_000) + " 1",
		"Pieces":     "SELECT 'abc'" + strings.Repeat("\n'abc'", 1_000_000),
		"Dollars":    "SELECT " + strings.Repeat("$a$$a$,", 1_000_000) + "1",
		"Errors":     "SELECT 1" + strings.Repeat(" IS NULL", 240_000),
		"Statements": strings.Repeat("SELECT 1;", 20_000),
	} {
		begin := cpuTime(t)
		all, err := sql.Analyze(text, c, options())
		for i := range all {
			_, _ = all[i].Disclose(m)
		}
		if took := cpuTime(t) - begin; took > maxCost {
			t.Errorf("%s: took %v of CPU (%d statements, %v)", name, took, len(all), err)
		}
	}
}

// cpuTime is what this process has used so far.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
