// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package evasion

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/policy"
)

// alphabet is what addresses are made of, in the order of the database (C).
const alphabet = ".0123456789@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// attacks find one character of customers.email, or none, from nothing but
// unmasked columns of answers.
var attacks = map[string]func(ctx context.Context, conn *pgconn.PgConn, id, at int) (byte, bool){
	"GROUP BY": func(ctx context.Context, conn *pgconn.PgConn, id, at int) (byte, bool) {
		rows := ask(ctx, conn, fmt.Sprintf(`SELECT a.letter FROM customers c, regexp_split_to_table('%s', '') a (letter) WHERE c.id = %d
			GROUP BY a.letter, substr(c.email, %d, 1) HAVING a.letter = substr(c.email, %d, 1)`, alphabet, id, at, at))
		return first(rows)
	},
	"WHERE": func(ctx context.Context, conn *pgconn.PgConn, id, at int) (byte, bool) {
		return search(func(letter byte) (less, ok bool) {
			rows := ask(ctx, conn, fmt.Sprintf("SELECT 'y' FROM customers WHERE id = %d AND substr(email, %d, 1) < '%c' AND length(email) >= %d", id, at, letter, at))
			return len(rows) > 0, rows != nil
		}, func() bool {
			return len(ask(ctx, conn, fmt.Sprintf("SELECT 'y' FROM customers WHERE id = %d AND length(email) >= %d", id, at))) > 0
		})
	},
	"ORDER BY": func(ctx context.Context, conn *pgconn.PgConn, id, at int) (byte, bool) {
		return search(func(letter byte) (less, ok bool) {
			rows := ask(ctx, conn, fmt.Sprintf(`SELECT who FROM (SELECT 'guess' AS who, '%c' AS v, 0 AS tie UNION ALL
				SELECT 'row', substr(email, %d, 1), 1 FROM customers WHERE id = %d) x ORDER BY v, tie LIMIT 1`, letter, at, id))
			return len(rows) > 0 && rows[0] == "row", rows != nil
		}, func() bool {
			rows := ask(ctx, conn, fmt.Sprintf(`SELECT who FROM (SELECT 'guess' AS who, ' ' AS v UNION ALL
				SELECT 'row', substr(email, %d, 1) FROM customers WHERE id = %d) x ORDER BY v LIMIT 1`, at, id))
			return len(rows) > 0 && rows[0] == "guess"
		})
	},
}

// search looks for the letter in halves; there says whether there is one at all.
func search(below func(letter byte) (less, ok bool), there func() bool) (byte, bool) {
	if !there() {
		return 0, false
	}
	low, high := 0, len(alphabet)
	for high-low > 1 {
		middle := (low + high) / 2
		less, ok := below(alphabet[middle])
		if !ok {
			return 0, false
		}
		if less {
			high = middle
		} else {
			low = middle
		}
	}
	return alphabet[low], true
}

// ask returns the first column; nil where the statement is refused.
func ask(ctx context.Context, conn *pgconn.PgConn, query string) []string {
	results, err := conn.Exec(ctx, query).ReadAll()
	if err != nil || len(results) != 1 {
		return nil
	}
	out := []string{}
	for _, row := range results[0].Rows {
		out = append(out, string(row[0]))
	}
	return out
}

func first(rows []string) (byte, bool) {
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, false
	}
	return rows[0][0], true
}

// TestReconstruction: the attacks recover whole addresses where nothing is masked,
// none of it where masks deny predicates, and all again where they allow them,
// which is what the documentation says of that setting (checklist 18).
func TestReconstruction(t *testing.T) {
	w := twins[0]
	v := w.values
	var want strings.Builder
	for id := 1; id <= 2; id++ {
		fmt.Fprintf(&want, "zq%s%dvault@x%s.test\n", v.tag, id, v.tag)
	}
	for name, tc := range map[string]struct {
		policies []policy.Policy
		recovers bool
	}{
		"no mask":           {policies: everything(), recovers: true},
		"predicates: Deny":  {policies: everything(masks(policy.MaskDerived, "")...)},
		"unset":             {policies: everything(masks("", "")...)},
		"predicates: Allow": {policies: everything(masks(policy.MaskDerived, policy.AllowPredicates)...), recovers: true},
	} {
		dsn := w.gate(t, tc.policies).DSN(plain)
		for attack, letter := range attacks {
			t.Run(name+"/"+attack, func(t *testing.T) {
				conn, err := pgconn.Connect(t.Context(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close(context.Background()) }()
				var got strings.Builder
				for id := 1; id <= 2; id++ {
					for at := 1; at < 40; at++ {
						b, found := letter(t.Context(), conn, id, at)
						if !found {
							break
						}
						got.WriteByte(b)
					}
					got.WriteByte('\n')
				}
				recovered := strings.Trim(got.String(), "\n")
				if tc.recovers && got.String() != want.String() || !tc.recovers && recovered != "" {
					t.Errorf("recovered %q", got.String())
				}
			})
		}
	}
}
