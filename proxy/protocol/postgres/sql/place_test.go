// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// TestPlaceOfErrors: what the proxy refuses in the server's place, it refuses
// with the server's code, words and place; constants alone are left out of the
// words, since refusals go on record.
func TestPlaceOfErrors(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tests := map[string]struct{ reason, text, constant, shown string }{
		"Misspelt":       {"a word that is no keyword", "SELECT * FRO orders", "", ""},
		"MisspeltLast":   {"the wrong token is the last one", "SELECT 1 FROM orders o p", "", ""},
		"First":          {"the first one", "SELEC 1", "", ""},
		"End":            {"something is missing at the end", "SELECT * FROM", "", ""},
		"EndBlank":       {"... before blanks", "SELECT (1  \n", "", ""},
		"Keyword":        {"a keyword where none may be", "SELECT 1 FROM WHERE", "", ""},
		"Punctuation":    {"", "CREATE TABLE x (a int, )", "", ""},
		"Characters":     {"places count characters, not bytes", "SELECT 'äöü😀', * FRO orders", "", ""},
		"Lines":          {"", "SELECT 1,\n  2\nFRO orders", "", ""},
		"Comment":        {"", "SELECT 1 /* ä */ FRO orders -- x", "", ""},
		"LaterStatement": {"the place is one of the whole text", "SELECT 1; SELECT 2; SELECT * FRO orders", "", ""},
		"Constant":       {"a constant is not repeated", "SELECT 'a' 'secret'", "'secret'", "…"},
		"Number":         {"nor is a number", "SELECT 1 2345", "2345", "…"},
		"String":         {"nor a string without end", "SELECT 'secret", "'secret", "'…"},
		"Identifier":     {"", `SELECT 1 AS "secret`, `"secret`, `"…`},
		"CommentEnd":     {"", "SELECT 1 /* secret", "/* secret", "/*…"},
		"Relation":       {"a relation that is not there", "SELECT x.a FROM orders o, missing x", "", ""},
		"Qualified":      {"", "SELECT missing.a FROM public.missing", "", ""},
		"OtherSchema":    {"", "SELECT 'é' FROM nowhere.orders", "", ""},
		"Insert":         {"", "INSERT INTO missing VALUES (1)", "", ""},
		"Join":           {"", "SELECT 1 FROM orders JOIN missing ON true", "", ""},
		"Copy":           {"the server says no place here", "COPY missing TO STDOUT", "", ""},
	}
	for name, tc := range tests {
		_, err := conn.Exec(ctx, tc.text).ReadAll()
		var want *pgconn.PgError
		if !errors.As(err, &want) {
			t.Fatalf("%s: the server takes it: %v", name, err)
		}
		_, err = sql.Analyze(tc.text, shopCatalog(t), options())
		var got *sql.Error
		if !errors.As(err, &got) {
			t.Errorf("%s: %s: taken: %v", name, tc.reason, err)
			continue
		}
		message := strings.Replace(want.Message, `"`+tc.constant+`"`, `"`+tc.shown+`"`, 1)
		if want.Position == 0 {
			got.Position = 0
		}
		if diff := cmp.Diff([]any{want.Code, message, int(want.Position)}, []any{got.SQLSTATE, got.Message, got.Position}); diff != "" {
			t.Errorf("%s: %s: %q (-server +proxy):\n%s", name, tc.reason, tc.text, diff)
		}
	}
}
