// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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

// TestChecklist18Refusals: with masks that allow nothing, a masked value may
// reach the caller through plain output columns only.
func TestChecklist18Refusals(t *testing.T) {
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
		err = undisclosed(s, m)
		var refusal *sql.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%q: got %v, want a refusal", text, err)
			continue
		}
		if refusal.Hint == "" || refusal.SQLSTATE != sql.StateInsufficientPrivilege && refusal.SQLSTATE != sql.StateUndefinedColumn {
			t.Errorf("%q: refusal without remedy or with another state: %+v", text, refusal)
		}
		if strings.Contains(text, "customers") && undisclosed(s, sql.NewMaskSet(shopCatalog(t), nil)) != nil {
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
		if err := undisclosed(s, m); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// stances are what masks may allow.
var stances = map[string]struct{ derived, predicates bool }{
	"Neither": {}, "Derived": {derived: true}, "Predicates": {predicates: true}, "Both": {true, true},
}

// TestChecklist18Evasions runs on the real server whatever is accepted, under
// masks of every stance, and looks for masked values in columns that are clear.
func TestChecklist18Evasions(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	all := slices.Concat(honest, masked, evasions)
	for stance, allow := range stances {
		m := sql.NewMaskSet(shopCatalog(t), masksOf(t, allow.derived, allow.predicates))
		ran := 0
		for _, text := range all {
			s, err := one(t, text, options())
			if err != nil || s.Effects.CopyIn {
				continue
			}
			d, err := s.Disclose(m)
			if err != nil {
				continue
			}
			rows, err := shownBy(ctx, conn, d, s, text)
			if err != nil {
				t.Errorf("%s: %q: %v", stance, text, err)
			}
			if rows >= 0 {
				ran++
			}
		}
		if ran < 100 {
			t.Errorf("%s: only %d statements ran", stance, ran)
		}
	}
}

// shownBy runs a statement in a transaction that is undone, and says how many
// rows came, -1 where the server refuses it. The error names a masked value in
// a column that should hold none.
func shownBy(ctx context.Context, conn *pgconn.PgConn, d *sql.Disclosure, s *sql.Statement, text string) (int, error) {
	if _, err := conn.Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return 0, err
	}
	defer func() { _, _ = conn.Exec(ctx, "ROLLBACK; DEALLOCATE ALL").ReadAll() }()
	if s.Effects.CopyOut {
		var b strings.Builder
		if _, err := conn.CopyTo(ctx, &b, text); err != nil {
			return -1, nil // the server's own refusal
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		for _, line := range lines {
			fields := strings.Split(line, s.Effects.Copy.Delimiter)
			if err := clearFields(d, len(fields), func(i int) string { return fields[i] }); err != nil {
				return 0, err
			}
		}
		return len(lines), nil
	}
	results, err := conn.Exec(ctx, text).ReadAll()
	if err != nil {
		return -1, nil // the server's own refusal
	}
	rows := 0
	for _, r := range results {
		if n := len(r.FieldDescriptions); n > 0 {
			if _, err := d.Columns(n); err != nil {
				return 0, err
			}
		}
		for _, row := range r.Rows {
			rows++
			if err := clearFields(d, len(row), func(i int) string { return string(row[i]) }); err != nil {
				return 0, err
			}
		}
	}
	return rows, nil
}

func clearFields(d *sql.Disclosure, n int, field func(int) string) error {
	outputs, err := d.Columns(n)
	if err != nil {
		return err
	}
	for i, o := range outputs {
		if o.Kind == sql.Clear && strings.Contains(field(i), canary) {
			return fmt.Errorf("column %d shows a masked value: %q", i, field(i))
		}
	}
	return nil
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
		"SELECT ARRAY[1, length(%s)] FROM customers c",
		"SELECT (ARRAY[1])[length(%s)] FROM customers c", "SELECT (ARRAY[1])[1:length(%s)] FROM customers c",
		"SELECT CASE %s WHEN '' THEN 1 END FROM customers c", "SELECT CASE WHEN true THEN %s END FROM customers c",
		"SELECT * FROM orders o WHERE o.status = (SELECT %s FROM customers c)", "UPDATE customers c SET name = %s",
		"DELETE FROM customers c WHERE %s = ''", "UPDATE orders SET status = %s FROM customers c",
		"SELECT xmlelement(name a, xmlattributes(%s AS z)) FROM customers c", "SELECT xmlparse(document %s) FROM customers c",
		"SELECT c.id FROM customers c WHERE %s IN ('a')",
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
			if undisclosed(s, m) == nil {
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
		if err := undisclosed(s, m); (err == nil) != accepted {
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
