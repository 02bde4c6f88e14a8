// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// canary is in every masked value of the real tables.
const canary = "canary"

const canaryRows = `
INSERT INTO customers (id, name, email, card, phone) SELECT g, 'n' || g, 'canary' || g || '@x', 'canary' || g, 'canary' || g FROM generate_series(1, 3) g;
INSERT INTO orders SELECT g, g, 10 * g, 'open', '2026-01-02' FROM generate_series(1, 3) g;
INSERT INTO newsletter SELECT g, 'public' || g, 't' FROM generate_series(1, 3) g;
INSERT INTO notes SELECT g, 'b' || g FROM generate_series(1, 3) g;
INSERT INTO people SELECT g, 'canary' || g, 'eu' FROM generate_series(1, 3) g;
`

func maskSet(tb testing.TB) *sql.MaskSet {
	tb.Helper()
	return sql.NewMaskSet(shopCatalog(tb), masks(tb))
}

func TestChecklist18Evasions(t *testing.T) {
	t.Parallel()
	if len(evasions) < 80 {
		t.Fatalf("only %d evasions", len(evasions))
	}
	m := maskSet(t)
	for _, text := range evasions {
		s, err := one(t, text, options())
		if err != nil {
			var refusal *sql.Error
			if !errors.As(err, &refusal) {
				t.Errorf("%q: error is no refusal: %v", text, err)
			}
			continue
		}
		err = s.CheckMaskSet(m)
		var refusal *sql.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%q: got %v, want a refusal", text, err)
			continue
		}
		if refusal.Hint == "" || refusal.SQLSTATE != sql.StateInsufficientPrivilege {
			t.Errorf("%q: refusal without remedy or with another state: %+v", text, refusal)
		}
		if strings.Contains(text, "customers") && s.CheckMasks(nil) != nil {
			t.Errorf("%q: refused without any mask", text)
		}
	}
}

func TestHonestQueriesRunUnderMasks(t *testing.T) {
	t.Parallel()
	if len(honest) < 40 {
		t.Fatalf("only %d honest queries", len(honest))
	}
	m := maskSet(t)
	for _, text := range honest {
		s, err := one(t, text, options())
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if err := s.CheckMaskSet(m); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAcceptedStatementsShowNoMaskedValue runs what is accepted on the real
// server, masks by the origin it reports, and looks for values that must not
// be seen.
func TestAcceptedStatementsShowNoMaskedValue(t *testing.T) {
	m := maskSet(t)
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unmasked := 0
	for _, text := range append(append([]string{}, honest...), evasions...) {
		s, err := one(t, text, options())
		if err != nil || s.Effects.CopyOut || s.Effects.CopyIn {
			continue
		}
		accepted := s.CheckMaskSet(m) == nil
		if _, err := conn.Exec(ctx, "BEGIN").ReadAll(); err != nil {
			t.Fatal(err)
		}
		results, err := conn.Exec(ctx, text).ReadAll()
		if _, end := conn.Exec(ctx, "ROLLBACK").ReadAll(); end != nil {
			t.Fatal(end)
		}
		if err != nil && accepted {
			t.Errorf("%q: accepted, but the server says: %v", text, err)
		}
		if err != nil || !accepted {
			if err == nil {
				unmasked++
			}
			continue
		}
		for _, r := range results {
			for i, f := range r.FieldDescriptions {
				if masked(t, m, f.TableOID, f.TableAttributeNumber) {
					continue
				}
				for _, row := range r.Rows {
					if strings.Contains(string(row[i]), canary) {
						t.Errorf("%q: column %d shows a masked value: %q", text, i, row[i])
					}
				}
			}
		}
	}
	if unmasked < 50 {
		t.Errorf("only %d of the evasions are valid SQL on the server", unmasked)
	}
}

func masked(tb testing.TB, m *sql.MaskSet, table uint32, number uint16) bool {
	tb.Helper()
	rel, ok := shopCatalog(tb).Relation(table)
	if !ok {
		return false
	}
	column, ok := rel.ColumnByNumber(int16(number))
	if !ok {
		return false
	}
	_, yes := m.Masked(table, column.Name)
	return yes
}

// TestMaskedContexts puts a masked column into every place of a statement that
// can hold an expression, so that no clause is forgotten.
func TestMaskedContexts(t *testing.T) {
	t.Parallel()
	m := maskSet(t)
	places := []string{
		"SELECT length(%s) FROM customers c", "SELECT c.id FROM customers c WHERE %s = ''",
		"SELECT c.id FROM customers c ORDER BY %s", "SELECT 1 FROM customers c GROUP BY %s",
		"SELECT 1 FROM customers c HAVING %s = ''", "SELECT c.id FROM customers c LIMIT length(%s)",
		"SELECT c.id FROM customers c JOIN orders o ON %s = ''", "SELECT sum(1) FILTER (WHERE %s = '') FROM customers c",
		"SELECT sum(1) OVER (PARTITION BY %s) FROM customers c", "SELECT sum(1) OVER (ORDER BY c.id RANGE length(%s) PRECEDING) FROM customers c",
		"SELECT string_agg('x', '' ORDER BY %s) FROM customers c", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY %s) FROM customers c",
		"SELECT c.id FROM customers c, LATERAL generate_series(1, length(%s)) g",
		"SELECT c.id FROM customers c, LATERAL (SELECT %s AS z) g", "SELECT ARRAY[1, length(%s)] FROM customers c",
		"SELECT (ARRAY[1])[length(%s)] FROM customers c", "SELECT (ARRAY[1])[1:length(%s)] FROM customers c",
		"SELECT CASE %s WHEN '' THEN 1 END FROM customers c", "SELECT CASE WHEN true THEN %s END FROM customers c",
		"SELECT * FROM orders o WHERE o.status = (SELECT %s FROM customers c)", "UPDATE customers c SET name = %s",
		"DELETE FROM customers c WHERE %s = ''", "UPDATE orders SET status = %s FROM customers c",
		"SELECT xmlelement(name a, xmlattributes(%s AS z)) FROM customers c", "SELECT xmlparse(document %s) FROM customers c",
		"SELECT grouping(%s) FROM customers c", "SELECT c.id FROM customers c WHERE %s IN ('a')",
		"SELECT c.id FROM customers c WHERE 'a' IN (%s)", "SELECT c.id FROM customers c WHERE %s SIMILAR TO 'a'",
		"SELECT overlay(%s placing 'a' from 1) FROM customers c", "SELECT collation for (%s) FROM customers c",
	}
	for _, place := range places {
		for _, ref := range []string{"c.email", "email", "(c).email", "c.card", "c.email_lower"} {
			text := fmt.Sprintf(place, ref)
			s, err := one(t, text, options())
			if err != nil {
				t.Errorf("%q: %v", text, err)
				continue
			}
			if s.CheckMaskSet(m) == nil {
				t.Errorf("%q: accepted", text)
			}
		}
	}
}

// TestMaskOnView: a mask may name a view's column; the server reports the view
// as the origin, not what it reads.
func TestMaskOnView(t *testing.T) {
	t.Parallel()
	c := shopCatalog(t)
	view, _ := c.Lookup("public", "open_orders")
	m := sql.NewMaskSet(c, func(oid uint32) []sql.MaskedColumn {
		if oid == view.OID {
			return maskedColumns("total")
		}
		return nil
	})
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for text, accepted := range map[string]bool{
		"SELECT * FROM open_orders": true, "SELECT total FROM open_orders": true, "SELECT total FROM orders": true,
		"SELECT total + 0 FROM open_orders": false, "SELECT id FROM open_orders WHERE total > 5": false,
	} {
		s, err := one(t, text, options())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckMaskSet(m); (err == nil) != accepted {
			t.Errorf("%q: got %v, want accepted %v", text, err, accepted)
		}
		results, err := conn.Exec(ctx, text).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range results[0].FieldDescriptions {
			if accepted && strings.Contains(text, "open_orders") && f.TableOID != view.OID {
				t.Errorf("%q: column %q is reported to come from %d, want the view %d", text, f.Name, f.TableOID, view.OID)
			}
		}
	}
}
