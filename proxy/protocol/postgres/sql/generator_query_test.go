// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// from is one member of FROM. outer is what LATERAL may see.
func (g *deep) from(depth int, outer []deepMember) (string, []deepMember) {
	name := g.name()
	switch g.n(12) {
	case 0, 1:
		if depth > 0 {
			lateral := g.pick("", "LATERAL ")
			seen := outer
			if lateral == "" {
				seen = nil
			}
			q, columns := g.query(depth-1, seen, nil)
			if g.chance(3) {
				columns = slices.Clone(columns)
				for i := range columns {
					columns[i].name = fmt.Sprintf("c%d", i)
				}
				return lateral + "(" + q + ") AS " + name + "(" + columnNames(len(columns)) + ")", []deepMember{{name, columns}}
			}
			return lateral + "(" + q + ") AS " + name, []deepMember{{name, columns}}
		}
	case 2, 3, 4:
		if depth > 0 {
			return g.join(depth, outer)
		}
	case 5:
		if len(g.ctes) > 0 {
			c := g.ctes[g.n(len(g.ctes))]
			return c.name + " AS " + name, []deepMember{{name, c.columns}}
		}
	case 6:
		return "(VALUES (" + g.expr("int", 1, outer, false) + ", " + g.expr("text", 1, outer, false) + "), (2, 'v')) AS " + name + "(k, s)",
			[]deepMember{{name, []deepColumn{{name: "k", typ: "int"}, {name: "s", typ: "text"}}}}
	case 7:
		switch g.n(4) {
		case 0:
			return "generate_series(1, " + g.expr("int", 1, outer, true) + ") AS " + name + "(g)", []deepMember{{name, []deepColumn{{name: "g", typ: "int"}}}}
		case 1:
			return "unnest(ARRAY[" + g.expr("text", 1, outer, true) + ", 'u']) AS " + name + "(u)", []deepMember{{name, []deepColumn{{name: "u", typ: "text"}}}}
		case 2:
			return "jsonb_each_text(" + g.expr("json", 0, outer, true) + ") AS " + name, []deepMember{{name, []deepColumn{{name: "key", typ: "text"}, {name: "value", typ: "text"}}}}
		}
		return "lower(" + g.expr("text", 1, outer, true) + ") AS " + name + "(f)", []deepMember{{name, []deepColumn{{name: "f", typ: "text"}}}}
	}
	tables := slices.Sorted(maps.Keys(deepTables))
	table := g.pick("a", "a", "a", "b", "v", tables[g.n(len(tables))])
	columns := deepTables[table]
	switch g.n(6) {
	case 0:
		return table, []deepMember{{table, columns}}
	case 1:
		renamed := slices.Clone(columns)
		renamed[0].name, renamed[min(1, len(renamed)-1)].name = "q", g.pick("r", "email", "id")
		if len(columns) > 1 {
			return table + " AS " + name + "(q, " + renamed[1].name + ")", []deepMember{{name, renamed}}
		}
	}
	return table + " AS " + name, []deepMember{{name, columns}}
}

func (g *deep) join(depth int, outer []deepMember) (string, []deepMember) {
	left, x := g.from(depth-1, outer)
	right, y := g.from(depth-1, slices.Concat(outer, x))
	all := slices.Concat(x, y)
	kind := g.pick("JOIN", "LEFT JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN")
	switch g.n(8) {
	case 0:
		return left + " NATURAL " + kind + " " + right, all
	case 1:
		return left + " " + kind + " " + right + " USING (" + g.pick("id", "id", "id", "email", "level") + ")", all
	case 2:
		return left + " JOIN " + right + " USING (id) AS u", append(all, deepMember{"u", []deepColumn{{name: "id", typ: "int"}}})
	case 3:
		return "(" + left + " JOIN " + right + " ON true) AS j", []deepMember{{"j", slices.Concat(x[0].columns, y[0].columns)}}
	}
	if kind == "FULL JOIN" {
		kind = "JOIN"
	}
	return left + " " + kind + " " + right + " ON " + g.expr("bool", 1, slices.Concat(outer, all), true), all
}

// query makes a SELECT. types are those of its columns, nil for any.
func (g *deep) query(depth int, outer []deepMember, types []string) (string, []deepColumn) {
	text, in := g.from(depth, outer)
	if g.chance(5) {
		more, b := g.from(depth-1, slices.Concat(outer, in))
		text, in = text+", "+more, append(slices.Clone(in), b...)
	}
	visible := slices.Concat(in, outer)
	if types == nil {
		for range 1 + g.n(3) {
			types = append(types, deepTypes[g.n(len(deepTypes))])
		}
		if g.chance(5) {
			types = nil // a star
		}
	}
	var targets []string
	var columns []deepColumn
	tail, group := "", false
	if types != nil && g.chance(5) {
		group = true
		key := g.column("int", in, true)
		tail = " GROUP BY " + g.pick(key, key, "GROUPING SETS (("+key+"), ())", "ROLLUP ("+key+")")
	}
	for i, t := range types {
		e, before := "", g.used
		g.used = false
		switch {
		case group:
			e = g.aggregate(t, depth, visible)
		case g.chance(8):
			e = g.windowed(t, depth, visible)
		default:
			e = g.expr(t, depth, visible, false)
		}
		name := fmt.Sprintf("o%d", i)
		if g.chance(6) {
			name = g.pick("id", "email", "level")
		}
		targets, columns = append(targets, e+" AS "+name), append(columns, deepColumn{name, t, g.used})
		g.used = g.used || before
	}
	if types == nil {
		m := in[g.n(len(in))]
		targets, columns = []string{g.pick("*", m.name+".*", "("+m.name+").*")}, m.columns
	}
	q := "SELECT " + g.pick("", "", "", "", "", "", "DISTINCT ", "DISTINCT ON ("+g.column("int", in, true)+") ") + strings.Join(targets, ", ") + " FROM " + text
	if g.chance(2) {
		q += " WHERE " + g.expr("bool", min(depth, 1), visible, true)
	}
	q += tail
	if group && g.chance(3) {
		q += " HAVING " + g.pick("count(*) > 0", "max("+g.column("text", in, true)+") > 'a'")
	}
	return g.finish(q, depth, outer, in, types, columns)
}

func (g *deep) finish(q string, depth int, outer, in []deepMember, types []string, columns []deepColumn) (string, []deepColumn) {
	if types != nil && depth > 0 && g.chance(8) {
		second, _ := g.query(depth-1, outer, types)
		q = "(" + q + ") " + g.pick("UNION ALL", "UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT") + " (" + second + ")"
		if g.chance(3) {
			q += " ORDER BY " + g.pick("1", columns[0].name)
		}
		return "SELECT * FROM (" + q + ") s", columns
	}
	if g.chance(5) {
		q += " ORDER BY " + g.pick("1", "2", columns[0].name, g.column("int", in, true), g.column("text", in, true))
	}
	if g.chance(10) {
		q += " LIMIT " + g.pick("1", "2", "("+"SELECT "+g.column("int", outer, true)+")")
	}
	return q, columns
}

func (g *deep) aggregate(t string, depth int, in []deepMember) string {
	e := func(t string) string { return g.expr(t, depth-1, in, false) }
	filter := ""
	if g.chance(6) {
		filter = " FILTER (WHERE " + g.expr("bool", 1, in, true) + ")"
	}
	distinct := g.pick("", "", "", "DISTINCT ")
	switch t {
	case "int":
		return g.pick("count("+distinct+e("text")+")", "max("+e("int")+")", "count(*)", "min("+e("int")+")") + filter
	case "text":
		return g.pick("max("+e("text")+")", "string_agg("+e("text")+", ',')", "string_agg("+e("text")+", ',' ORDER BY "+g.column("int", in, true)+")",
			"array_agg("+distinct+e("text")+")", "json_agg("+e("num")+")", "array_agg("+e("int")+")") + filter + "::text"
	case "num":
		return g.pick("sum("+e("num")+")", "avg("+e("int")+")", "sum("+e("int")+")::numeric", "stddev("+e("num")+")", "percentile_disc(0.5) WITHIN GROUP (ORDER BY "+g.column("num", in, true)+")")
	case "bool":
		return g.pick("bool_and("+e("bool")+")", "every("+e("bool")+")", "bool_or("+e("bool")+")") + filter
	case "date":
		return g.pick("max", "min") + "(" + e("date") + ")" + filter
	}
	return g.pick("jsonb_agg("+e("text")+")", "jsonb_object_agg("+e("text")+", "+e("int")+")", "to_jsonb(array_agg("+e("text")+"))")
}

func (g *deep) windowed(t string, depth int, in []deepMember) string {
	over := " OVER (" + g.pick("", "PARTITION BY "+g.column("int", in, true)+" ") + g.pick("", "ORDER BY "+g.column("int", in, true)) + ")"
	if t == "int" && g.chance(2) {
		return g.pick("row_number()", "rank()", "count(*)", "ntile("+g.expr("int", 0, in, true)+")") + over
	}
	v := g.expr(t, depth-1, in, false)
	return g.pick("lag("+v+")", "first_value("+v+")", "lead("+v+", 1)", "nth_value("+v+", "+g.expr("int", 0, in, true)+")") + over
}

// statement makes a whole statement.
func (g *deep) statement() string {
	g.next, g.ctes, g.careful, g.total = 0, nil, 7+g.n(4), g.pickInt(6, 9, 10)
	with := ""
	if g.chance(3) {
		q, columns := g.query(1+g.n(2), nil, nil)
		g.ctes = []deepMember{{g.pick("cte", "cte", "b", "a"), columns}}
		with = "WITH " + g.ctes[0].name + " AS " + g.pick("", "MATERIALIZED ", "NOT MATERIALIZED ") + "(" + q + ") "
	}
	switch g.n(20) {
	case 0:
		step := g.column("text", []deepMember{{"r", []deepColumn{{name: "s", typ: "text"}}}, {"a", deepTables["a"]}}, false)
		return "WITH RECURSIVE r(n, s) AS (SELECT 1, " + g.pick("''::text", "(SELECT email FROM a WHERE id = 1)", "(SELECT name FROM a WHERE id = 1)") +
			g.pick(" UNION ALL ", " UNION ") + "SELECT r.n + 1, " + step + " FROM r JOIN a ON a.id = r.n" + g.pick("", " AND a.level > 0") + " WHERE r.n < " +
			g.pick("3", "length(r.s)") + ") SELECT " + g.pick("*", "n", "count(*)", "s", "max(s)") + " FROM r"
	case 1:
		return with + g.write()
	case 2:
		q, _ := g.query(2, nil, nil)
		return "EXPLAIN (COSTS off) " + with + q
	}
	q, _ := g.query(1+g.n(3), nil, nil)
	return with + q
}

func (g *deep) pickInt(of ...int) int { return of[g.n(len(of))] }

// write makes an INSERT, UPDATE, DELETE or MERGE with RETURNING.
func (g *deep) write() string {
	in := []deepMember{{"a", deepTables["a"]}, {"b", deepTables["b"]}}
	returning := ""
	if g.chance(2) {
		returning = " RETURNING " + g.pick("*", "a.*", g.expr("text", 1, in, false), g.expr("int", 1, in, false))
	}
	q, _ := g.query(1, nil, []string{"int", "text"})
	switch g.n(7) {
	case 0:
		return "UPDATE a SET name = " + g.expr("text", 1, in, g.chance(2)) + " FROM b WHERE b.a_id = a.id AND " + g.expr("bool", 1, in, true) + returning
	case 1:
		return "DELETE FROM b USING a WHERE b.a_id = a.id AND " + g.expr("bool", 1, in, true) + returning
	case 2:
		return "INSERT INTO b (id, note) SELECT 100 + o0, o1 FROM (" + q + ") z(o0, o1)"
	case 3:
		return "INSERT INTO a (id, name, email, level) VALUES (9, 'x', 'own', 1) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING " + g.pick("*", "id", "name", "email", "level + 1")
	case 4:
		return "UPDATE a SET email = 'mine', level = 5 WHERE " + g.expr("bool", 1, in[:1], true) + " RETURNING " + g.pick("*", "id", g.expr("text", 1, in[:1], false))
	case 5:
		return "WITH d AS (DELETE FROM b WHERE id > 3 RETURNING *), u AS (UPDATE a SET name = 'u' WHERE " + g.expr("bool", 1, in[:1], true) + " RETURNING *) SELECT " +
			g.pick("d.note, u.email", "count(*)", "u.*", "length(u.email)") + " FROM d, u"
	}
	return "MERGE INTO b USING a ON b.a_id = a.id" + g.pick("", " AND a.level > 1") + " WHEN MATCHED AND " + g.expr("bool", 1, in, true) + " THEN UPDATE SET note = " +
		g.expr("text", 1, in, g.chance(2)) + " WHEN NOT MATCHED THEN DO NOTHING"
}
