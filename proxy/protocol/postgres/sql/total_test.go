// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestTotalFunctionsCannotFail runs every line of the lists on the real server
// over values at the edges of each type, alone and all against all.
func TestTotalFunctionsCannotFail(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, text := range sql.NastyTable() {
		if _, err := conn.Exec(ctx, text).ReadAll(); err != nil {
			t.Fatalf("%.200q: %v", text, err)
		}
	}
	calls := sql.TotalCalls()
	ran := map[string]bool{}
	for _, c := range calls {
		_, err := conn.Exec(ctx, "SELECT count(x) FROM (SELECT "+c.Expression+" AS x FROM nasty, other OFFSET 0) y").ReadAll()
		if err == nil {
			ran[c.Line] = true
			continue
		}
		if code := sqlState(err); code == "42883" || code == "42725" || code == "0A000" || code == "42804" {
			continue // there is no such function for these types: no row is read
		}
		t.Errorf("%s: %s: %v", c.Line, c.Expression, err)
	}
	for _, c := range calls {
		if !ran[c.Line] {
			t.Errorf("%s: the server has no such function: %s", c.Line, c.Expression)
			ran[c.Line] = true
		}
	}
	t.Logf("%d calls of %d lines", len(calls), len(ran))
}
