// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// generator makes random queries over the shop, most of them valid, many of
// them after masked columns.
type generator struct {
	r     *rand.Rand
	alias int
	ctes  []string
}

func (g *generator) pick(of ...string) string { return of[g.r.IntN(len(of))] }
func (g *generator) chance(n int) bool        { return g.r.IntN(n) == 0 }

var shopColumns = map[string][]string{
	"customers":  {"id", "name", "email", "card", "phone", "email_lower"},
	"orders":     {"id", "customer_id", "total", "status"},
	"newsletter": {"id", "email", "topic"},
	"people":     {"id", "email", "region"},
	"people_eu":  {"id", "email", "region"},
}

// member is something in FROM: its name and its columns.
type member struct {
	name    string
	columns []string
}

func (g *generator) from(depth int, outer []member) (string, []member) {
	g.alias++
	name := g.pick("c", "o", "x", "email", "customers") + strconv.Itoa(g.alias)
	if g.chance(6) {
		name = g.pick("c", "email", "customers")
	}
	switch {
	case depth > 0 && g.chance(4):
		query, columns := g.query(depth-1, outer)
		return g.pick("", "LATERAL ") + "(" + query + ") AS " + name, []member{{name, columns}}
	case depth > 0 && g.chance(3):
		left, a := g.from(depth-1, outer)
		right, b := g.from(depth-1, append(slices.Clone(outer), a...))
		all := slices.Concat(a, b)
		join := g.pick("JOIN", "LEFT JOIN", "FULL JOIN")
		switch g.r.IntN(8) {
		case 0:
			return left + " NATURAL " + join + " " + right, all
		case 1:
			return left + " " + join + " " + right + " USING (" + g.pick("id", "id", "email") + ")", all
		case 2:
			return "(" + left + " " + join + " " + right + " ON true) AS j", []member{{"j", []string{"id", "email", "name"}}}
		default:
			return left + " JOIN " + right + " ON " + g.condition(0, append(slices.Clone(outer), all...)), all
		}
	case len(g.ctes) > 0 && g.chance(4):
		return g.ctes[0] + " AS " + name, []member{{name, []string{"id", "email", "name"}}}
	}
	table := g.pick("customers", "customers", "customers", "orders", "newsletter", "people", "people_eu")
	columns := shopColumns[table]
	switch g.r.IntN(8) {
	case 0:
		return table, []member{{table, columns}}
	case 1:
		return table + " AS " + name + "(a, b)", []member{{name, []string{"a", "b"}}}
	}
	return table + " " + name, []member{{name, columns}}
}

func (g *generator) column(in []member) string {
	if len(in) == 0 {
		return "1"
	}
	m := in[g.r.IntN(len(in))]
	if len(m.columns) == 0 {
		return "1"
	}
	c := m.columns[g.r.IntN(len(m.columns))]
	switch g.r.IntN(12) {
	case 0, 1:
		return c
	case 2:
		return "(" + m.name + ")." + c
	}
	return m.name + "." + c
}

func (g *generator) expr(depth int, in []member) string {
	column := g.column(in)
	if depth <= 0 {
		return column
	}
	switch g.r.IntN(14) {
	case 0:
		return "lower(" + column + "::text)"
	case 1:
		return "count(" + g.expr(depth-1, in) + ")"
	case 2:
		return "CASE WHEN " + g.condition(depth-1, in) + " THEN 1 ELSE 2 END"
	case 3:
		query, _ := g.query(depth-1, in)
		return "(SELECT count(*) FROM (" + query + ") q)"
	case 4:
		return "EXISTS (SELECT 1 FROM customers k WHERE " + g.condition(depth-1, append(slices.Clone(in), member{"k", shopColumns["customers"]})) + ")"
	case 5:
		if len(in) > 0 {
			return fmt.Sprintf(g.pick("row_to_json(%s)::text", "%s::text", "length((%s)::text)"), in[0].name)
		}
	case 6:
		return "row_number() OVER (ORDER BY " + column + ")"
	case 7:
		return column + " IS NULL"
	case 8:
		return "coalesce(" + column + "::text, '')"
	}
	return column
}

func (g *generator) condition(depth int, in []member) string {
	switch g.r.IntN(5) {
	case 0:
		return g.expr(depth, in) + "::text LIKE '%a%'"
	case 1:
		return "true"
	default:
		if len(in) == 0 {
			return "true"
		}
		a, b := in[g.r.IntN(len(in))], in[g.r.IntN(len(in))]
		return a.name + ".id = " + b.name + ".id"
	}
}

// query makes a SELECT and names its output columns.
func (g *generator) query(depth int, outer []member) (string, []string) {
	text, in := g.from(depth, outer)
	if g.chance(4) {
		more, b := g.from(depth-1, append(slices.Clone(outer), in...))
		text, in = text+", "+more, append(in, b...)
	}
	visible := append(slices.Clone(in), outer...)
	var targets, columns []string
	for range 1 + g.r.IntN(3) {
		switch g.r.IntN(6) {
		case 0:
			targets = append(targets, g.pick("*", in[0].name+".*"))
			columns = append(columns, in[0].columns...)
			continue
		case 1:
			targets = append(targets, g.expr(depth, visible)+" AS "+g.pick("id", "email", "z"))
			columns = append(columns, "id")
		default:
			c := g.column(in)
			targets = append(targets, c)
			columns = append(columns, c[strings.LastIndexByte(c, '.')+1:])
		}
	}
	q := "SELECT " + g.pick("", "", "", "", "DISTINCT ") + strings.Join(targets, ", ") + " FROM " + text
	if g.chance(2) {
		q += " WHERE " + g.condition(depth, visible)
	}
	if g.chance(8) {
		q += " GROUP BY " + g.pick("1", "2", "email", "id", g.column(in))
	}
	if g.chance(5) {
		q += " ORDER BY " + g.pick("1", "2", "3", "email", "id", "z", g.expr(0, in))
	}
	if g.chance(10) {
		second, _ := g.query(0, outer)
		q += g.pick(" UNION ", " UNION ALL ", " EXCEPT ") + second
	}
	return q, columns
}

func (g *generator) statement() string {
	g.alias, g.ctes = 0, nil
	with := ""
	if g.chance(4) {
		inner, _ := g.query(1, nil)
		g.ctes = []string{g.pick("w", "newsletter", "customers")}
		with = "WITH " + g.ctes[0] + g.pick("", "(id, email)") + " AS (" + inner + ") "
	}
	q, _ := g.query(2, nil)
	return with + q
}

// otherRows differ from canaryRows in masked columns only: values, order,
// equality, length and NULLs.
const otherRows = `
INSERT INTO customers (id, name, email, card, phone) SELECT g, 'n' || g, CASE g WHEN 2 THEN NULL WHEN 1 THEN 'zzcanary' ELSE 'public' || g END, 'canary', NULL FROM generate_series(1, 3) g;
INSERT INTO orders SELECT g, g, 10 * g, 'open', '2026-01-02' FROM generate_series(1, 3) g;
INSERT INTO newsletter SELECT g, 'public' || g, 't' FROM generate_series(1, 3) g;
INSERT INTO notes SELECT g, 'b' || g FROM generate_series(1, 3) g;
INSERT INTO people SELECT g, 'canary' || (9 - g), 'eu' FROM generate_series(1, 3) g;
`

// TestMaskedValuesDoNotInterfere runs random accepted queries over two states
// that differ in masked values only: what a caller sees must be the same, in
// rows, their number and order, and error codes (checklist 18: WHERE, ORDER BY
// and GROUP BY oracles).
func TestMaskedValuesDoNotInterfere(t *testing.T) {
	m := maskSet(t)
	here, there := connect(t), connectTwin(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	g := &generator{r: rand.New(rand.NewPCG(1, 2))}
	accepted, valid := 0, 0
	for range 4000 {
		text := g.statement()
		s, err := one(t, text, options())
		if err != nil || !s.TouchesMasked(m) {
			continue
		}
		d, err := s.Disclose(m)
		if err != nil {
			continue
		}
		accepted++
		if accepted > 400 {
			break
		}
		seen := func(conn *pgconn.PgConn) string {
			results, err := conn.Exec(ctx, text).ReadAll()
			var refused *pgconn.PgError
			if errors.As(err, &refused) {
				return refused.Code
			}
			if err != nil {
				t.Fatal(err)
			}
			valid++
			var b strings.Builder
			for _, r := range results {
				if len(r.FieldDescriptions) == 0 {
					continue
				}
				outputs, err := d.Columns(len(r.FieldDescriptions))
				if err != nil {
					t.Errorf("%q: %v", text, err)
				}
				for _, row := range r.Rows {
					for i, o := range outputs {
						if o.Kind != sql.Clear {
							continue
						}
						if strings.Contains(string(row[i]), canary) {
							t.Errorf("%q: column %d shows a masked value: %q", text, i, row[i])
						}
						b.WriteString(strconv.Quote(string(row[i])))
					}
					b.WriteByte('\n')
				}
			}
			return b.String()
		}
		if x, y := seen(here), seen(there); x != y {
			t.Errorf("%q: masked values make a difference:\n%s---\n%s", text, x, y)
		}
	}
	if accepted < 100 || valid < 100 {
		t.Errorf("only %d accepted, %d runs valid: the generator tests nothing", accepted, valid)
	}
	t.Logf("%d accepted, %d valid runs", accepted, valid)
}
