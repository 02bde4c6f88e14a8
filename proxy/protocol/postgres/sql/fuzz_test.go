// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// smallCatalog needs no server, so that fuzzing workers start at once. The extra
// tables are of public where their names are not qualified.
func smallCatalog(tb testing.TB, extra ...string) *catalog.Catalog {
	tb.Helper()
	var relations, columns, functions [][]string
	for i, table := range append([]string{"customers", "orders", "newsletter", "people", "notes", "users", "contact"}, extra...) {
		id := strconv.Itoa(20000 + i)
		schema := "public"
		if before, after, qualified := strings.Cut(table, "."); qualified {
			schema, table = before, after
		}
		kind := "r"
		if table == "contact" {
			kind = "v"
		}
		relations = append(relations, []string{id, schema, table, kind, "f"})
		for n, column := range []string{"id", "name", "email", "card", "phone", "total", "body", "at"} {
			columns = append(columns, []string{id, strconv.Itoa(n + 1), column, "25", "100", "f"})
		}
	}
	for i, name := range []string{"lower", "upper", "length", "count", "max", "sum", "now", "row_to_json", "set_config", "query_to_xml"} {
		functions = append(functions, []string{strconv.Itoa(100 + i), "pg_catalog", name, "0", "5", "t", "i", "f", "t", "t", "f"})
	}
	for _, name := range []string{"substring", "overlay"} { // in the path, beside the built-in ones
		functions = append(functions, []string{"22000", "public", name, "3", "3", "f", "v", "t", "t", "f", "f"})
	}
	functions = append(functions, []string{"21000", "public", "leak", "1", "1", "f", "v", "t", "t", "f", "f"})
	answers := [][][]string{
		nil, nil,
		{{"shop"}},
		relations, columns, nil,
		{{"20006", "20000", "0"}},
		nil, nil, functions,
		{{"pg_catalog", "text"}},
		nil, nil, nil, nil,
		nil, nil, nil, nil, nil, nil, nil, nil, nil,
	}
	call := 0
	c, err := catalog.Load(context.Background(), catalog.QuerierFunc(func(context.Context, string) ([][]string, error) {
		call++
		if call > len(answers) {
			return nil, nil // what else is asked for, there is none of
		}
		return answers[call-1], nil
	}))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func FuzzAnalyze(f *testing.F) {
	for _, list := range [][]string{honest, evasions} {
		for _, text := range list {
			f.Add(text)
		}
	}
	cat := smallCatalog(f)
	m := sql.NewMaskSet(cat, func(oid uint32) []sql.MaskedColumn {
		if oid == 20000 {
			return maskedColumns("email", "card", "phone")
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, text string) {
		opt := options()
		opt.MaxBytes = 4096
		all, err := sql.Analyze(text, cat, opt)
		if err != nil {
			var refusal *sql.Error
			if !errors.As(err, &refusal) || refusal.SQLSTATE == "" || refusal.Message == "" {
				t.Fatalf("%q: not a refusal: %v", text, err)
			}
			if refusal.SQLSTATE == sql.StateInternal {
				t.Fatalf("%q: panicked", text)
			}
			return
		}
		for i := range all {
			s := &all[i]
			if len(s.Accesses) == 0 || s.Kind == "" || s.Text == "" || s.Fingerprint == "" {
				t.Fatalf("%q: incomplete: %+v", text, s)
			}
			_, _ = s.Disclose(m)
		}
	})
}

var benchmarks = map[string]string{
	"Small": "SELECT abalance FROM orders AS pgbench_accounts(aid, abalance) WHERE aid = $1",
	"Mid": `WITH big AS (SELECT customer_id, sum(total) AS s FROM orders GROUP BY customer_id HAVING sum(total) > 10)
SELECT c.id, c.name, c.email, b.s, n.topic, CASE WHEN b.s > 100 THEN 'gold' ELSE 'tin' END AS tier
FROM customers c JOIN big b ON b.customer_id = c.id LEFT JOIN newsletter n ON n.id = c.id
JOIN orders o ON o.customer_id = c.id, LATERAL (SELECT max(x.at) AS last FROM orders x WHERE x.customer_id = c.id) l
WHERE c.name LIKE 'a%' AND o.status IN ('open', 'paid', 'sent') AND l.last > now() - interval '30 days'
AND EXISTS (SELECT 1 FROM notes t WHERE t.id = o.id) ORDER BY c.id LIMIT 50`,
	"Write": "UPDATE orders SET total = total + 1, status = 'x' WHERE id = 5 AND customer_id IN (SELECT id FROM users)",
}

func BenchmarkAnalyze(b *testing.B) {
	cat, opt := shopCatalog(b), options()
	for name, text := range benchmarks {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := sql.Analyze(text, cat, opt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDisclose(b *testing.B) {
	m := sql.NewMaskSet(shopCatalog(b), masks(b))
	for name, text := range benchmarks {
		s, err := one(b, text, options())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Disclose(m)
			}
		})
	}
}
