// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres"
)

// TestLargeStatements: what ORMs, bulk inserts and restores send in one text is
// taken; what is too large is refused, and the session goes on.
func TestLargeStatements(t *testing.T) {
	r, s := road(t)
	c := low(t, r, s)
	ctx := deadline(t)
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE large (a int, b text)").ReadAll(); err != nil {
		t.Fatal(err)
	}
	var numbers strings.Builder
	values := make([][]byte, 65_535)
	for i := range values {
		if i > 0 {
			numbers.WriteString(",")
		}
		numbers.WriteString("$" + strconv.Itoa(i+1) + "::text")
		values[i] = []byte("x")
	}
	tests := map[string]struct {
		reason, text string
		values       [][]byte
		code         string
	}{
		"Literal":    {reason: "one large value", text: "SELECT length('" + strings.Repeat("x", 7<<20) + "')"},
		"Rows":       {reason: "an INSERT of 40,000 rows, more than a megabyte", text: "INSERT INTO large VALUES (1, 'some text of a row')" + strings.Repeat(", (1, 'some text of a row')", 40_000)},
		"Parameters": {reason: "the most parameters that there can be", text: "SELECT cardinality(ARRAY[" + numbers.String() + "])", values: values},
		"TooLarge":   {reason: "beyond the bound", text: "SELECT length('" + strings.Repeat("x", postgres.MaxStatement) + "')", code: "54000"},
		"TooMany":    {reason: "more words than are analysed", text: "SELECT 1" + strings.Repeat(",1", 300_000), code: "54001"},
	}
	for name, tc := range tests {
		var err error
		if tc.values != nil {
			err = c.ExecParams(ctx, tc.text, tc.values, nil, nil, nil).Read().Err
		} else {
			_, err = c.Exec(ctx, tc.text).ReadAll()
		}
		code := ""
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			code = refused.Code
		} else if err != nil {
			t.Fatalf("%s: %s: %v", name, tc.reason, err)
		}
		if code != tc.code {
			t.Errorf("%s: %s: code %q, want %q: %v", name, tc.reason, code, tc.code, err)
		}
	}
}

// TestLargePrepared: a session may hold only so much text in prepared statements.
func TestLargePrepared(t *testing.T) {
	r, s := road(t)
	c := low(t, r, s)
	ctx := deadline(t)
	text := "SELECT length('" + strings.Repeat("x", 3<<20) + "')"
	var err error
	held := 0
	for ; err == nil && held < 10; held++ {
		_, err = c.Prepare(ctx, "p"+strconv.Itoa(held), text, nil)
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "54000" || held != 3 {
		t.Errorf("the statement %d was refused with %v, want the third with 54000", held, err)
	}
	if _, err := c.Exec(ctx, "DEALLOCATE p0; EXECUTE p1").ReadAll(); err != nil {
		t.Errorf("a large statement behind a name: %v", err)
	}
}

// TestProcessIsTheTargets: programs compare the process of their key with
// pg_backend_pid(), and with the sender of a notification.
func TestProcessIsTheTargets(t *testing.T) {
	r, s := road(t)
	c := client(t, r, s)
	ctx := deadline(t)
	var pid uint32
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if pid != c.PgConn().PID() {
		t.Errorf("the key names process %d, the target %d", c.PgConn().PID(), pid)
	}
	if _, err := c.Exec(ctx, "LISTEN mine; NOTIFY mine", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if n, err := c.WaitForNotification(ctx); err != nil || n.PID != pid {
		t.Errorf("a notification of its own comes from %+v (%v), want process %d", n, err, pid)
	}
}

// TestPlaceOfRefusal: psql and others point at what is wrong.
func TestPlaceOfRefusal(t *testing.T) {
	r, s := road(t)
	out, err := psql(t, dsn(t, r, s), "SELECT 'ä' AS a,\n  * FRO public.orders;\nSELECT 1 FROM missing;\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ERROR:  syntax error at or near \"FRO\"\nLINE 2:   * FRO public.orders;\n            ^",
		"ERROR:  relation \"missing\" does not exist\nLINE 1: SELECT 1 FROM missing;\n                      ^",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("psql shows no\n%s\nbut\n%s", want, out)
		}
	}
}
