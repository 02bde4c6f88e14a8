// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// TestDescribeOfCursor: psycopg asks what the columns of a cursor are that it has
// declared in SQL. What is no cursor is not asked for.
func TestDescribeOfCursor(t *testing.T) {
	r, s := road(t)
	c := enter(t, r, s)
	c.send(query("BEGIN"), query("DECLARE mine CURSOR FOR SELECT id FROM public.customers"))
	c.until(2)
	describe := &pgproto3.Describe{ObjectType: 'P', Name: "mine"}
	c.send(describe, syncNow, query("CLOSE mine"), describe, syncNow)
	want := []string{"RowDescription", "ready T", "done CLOSE CURSOR", "ready T", "ERROR 34000", "ready E"}
	if diff := cmp.Diff(want, c.until(3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
