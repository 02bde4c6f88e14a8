// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// deepSchema is made twice, with other values in the masked columns. Every
// masked column is of another type.
const deepSchema = `
CREATE TABLE a (id int PRIMARY KEY, name text, email text, salary numeric(10,2), born date, data jsonb, vip bool, level int,
  low text GENERATED ALWAYS AS (lower(email)) STORED, grp int);
CREATE TABLE b (id int PRIMARY KEY, a_id int, email text, note text, amount numeric, at timestamp, level int);
CREATE TABLE p (id int, email text, region text) PARTITION BY LIST (region);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('eu');
CREATE TABLE p2 PARTITION OF p FOR VALUES IN ('us');
CREATE VIEW v AS SELECT a.id, a.email AS mail, a.name, a.level + 1 AS next, b.note FROM a LEFT JOIN b ON b.a_id = a.id;
CREATE VIEW w AS SELECT v.id, lower(v.mail) AS mail, v.note FROM v UNION ALL SELECT p.id, p.email, p.region FROM p;
CREATE VIEW x AS SELECT id, grp, count(*) AS n FROM a GROUP BY id, grp;
CREATE VIEW y AS SELECT id FROM a WHERE email LIKE 'a%';
INSERT INTO b SELECT g, g % 4 + 1, 'b' || g, 'note' || g, g * 1.5, '2026-01-01', g % 3 FROM generate_series(1, 6) g;
`

// The two contents differ in values, order, equality, length, NULLs and
// validity as other types.
const (
	deepRows = `
INSERT INTO a (id, name, email, salary, born, data, vip, level, grp) VALUES
  (1, 'n1', 'a1@x', 10, '2000-01-01', '{"a":1}', true, 1, 1), (2, 'n2', 'b2@x', 20, '1990-05-05', '[1,2]', false, 2, 1),
  (3, 'n3', NULL, NULL, NULL, NULL, NULL, NULL, 2), (4, 'n4', '7', 0, 'infinity', '"s"', true, 0, 2);
INSERT INTO p VALUES (1, 'a1@x', 'eu'), (2, 'z', 'us'), (3, NULL, 'us');`
	deepTwinRows = `
INSERT INTO a (id, name, email, salary, born, data, vip, level, grp) VALUES
  (1, 'n1', NULL, 99.5, NULL, 'null', NULL, 0, 1), (2, 'n2', 'a1@x', -3, '1999-01-01', NULL, true, 2147483647, 1),
  (3, 'n3', 'zzzzzzzzzzzz', 10, '2000-01-01', '{"a":{"b":2}}', false, -5, 2), (4, 'n4', E'a\\', 12345.67, '-infinity', '[]', false, NULL, 2);
INSERT INTO p VALUES (1, '9', 'eu'), (2, NULL, 'us'), (3, 'a1@x', 'us');`
)

// deepMasks are the masked columns by relation.
var deepMasks = map[string][]string{
	"a": {"email", "salary", "born", "data", "vip", "level"}, "p": {"email"},
}

// deepColumn is a column; masked says that it may depend on masked ones.
type deepColumn struct {
	name, typ string
	masked    bool
}

func plainColumns(pairs ...string) (out []deepColumn) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, deepColumn{name: pairs[i], typ: pairs[i+1]})
	}
	return out
}

func maskedOnes(columns []deepColumn, names ...string) []deepColumn {
	for i := range columns {
		columns[i].masked = slices.Contains(names, columns[i].name)
	}
	return columns
}

var deepTables = map[string][]deepColumn{
	"a": maskedOnes(plainColumns("id", "int", "name", "text", "email", "text", "salary", "num", "born", "date", "data", "json", "vip", "bool",
		"level", "int", "low", "text", "grp", "int"), "email", "salary", "born", "data", "vip", "level", "low"),
	"b":  plainColumns("id", "int", "a_id", "int", "email", "text", "note", "text", "amount", "num", "level", "int"),
	"p":  maskedOnes(plainColumns("id", "int", "email", "text", "region", "text"), "email"),
	"p1": maskedOnes(plainColumns("id", "int", "email", "text", "region", "text"), "email"),
	"v":  maskedOnes(plainColumns("id", "int", "mail", "text", "name", "text", "next", "int", "note", "text"), "mail", "next"),
	"w":  maskedOnes(plainColumns("id", "int", "mail", "text", "note", "text"), "mail"),
	"x":  plainColumns("id", "int", "grp", "int", "n", "int"),
	"y":  plainColumns("id", "int"),
}

// deepMember is a member of FROM.
type deepMember struct {
	name    string
	columns []deepColumn
}

// deep makes statements of real depth, most of them valid.
type deep struct {
	r    *rand.Rand
	next int
	// careful is how many in ten references avoid masked columns where rows
	// are decided.
	careful int
	// total is how many in ten functions cannot fail.
	total int
	ctes  []deepMember
	// used says that a masked column was chosen since it was last cleared.
	used bool
}

func (g *deep) n(n int) int              { return g.r.IntN(n) }
func (g *deep) pick(of ...string) string { return of[g.n(len(of))] }
func (g *deep) chance(n int) bool        { return g.n(n) == 0 }

func (g *deep) name() string {
	g.next++
	if g.chance(8) {
		return g.pick("email", "level", "a", "b", "id") // names that mean other things too
	}
	return fmt.Sprintf("t%d", g.next)
}

// column is a reference to a column of the type; decides says that rows depend
// on it.
func (g *deep) column(typ string, in []deepMember, decides bool) string {
	type choice struct {
		text   string
		masked bool
	}
	var found []choice
	for _, m := range in {
		for _, c := range m.columns {
			if c.typ != typ || decides && c.masked && g.n(10) < g.careful {
				continue
			}
			found = append(found, choice{m.name + "." + c.name, c.masked})
			if g.chance(6) {
				found = append(found, choice{c.name, true}, choice{"(" + m.name + ")." + c.name, c.masked})
			}
		}
	}
	if len(found) == 0 {
		return g.constant(typ)
	}
	c := found[g.n(len(found))]
	g.used = g.used || c.masked
	return c.text
}

// mostly picks one of those that cannot fail, or now and then of the rest.
func (g *deep) mostly(total []string, rest ...string) string {
	if g.n(10) < g.total {
		return g.pick(total...)
	}
	return g.pick(rest...)
}

func (g *deep) constant(typ string) string {
	switch typ {
	case "int":
		return g.pick("0", "1", "2", "3", "(-1)", "NULL::int")
	case "text":
		return g.pick("'a'", "''", "'a1@x'", "'7'", "NULL::text", "'%a'", `'\'`)
	case "num":
		return g.pick("0.0", "1.5", "10::numeric")
	case "bool":
		return g.pick("true", "false", "NULL::bool")
	case "date":
		return g.pick("'2000-01-01'::date", "current_date - 10000")
	}
	return g.pick(`'{"a":1}'::jsonb`, `'[]'::jsonb`)
}

var deepTypes = []string{"int", "text", "num", "bool", "date", "json"}

// expr is an expression of a type.
func (g *deep) expr(typ string, depth int, in []deepMember, decides bool) string {
	if depth <= 0 || g.chance(4) {
		if g.chance(5) {
			return g.constant(typ)
		}
		return g.column(typ, in, decides)
	}
	e := func(t string) string { return g.expr(t, depth-1, in, decides) }
	switch g.n(9) {
	case 0:
		return "CASE WHEN " + e("bool") + " THEN " + e(typ) + " ELSE " + e(typ) + " END"
	case 1:
		return "coalesce(" + e(typ) + ", " + e(typ) + ")"
	case 2:
		return "nullif(" + e(typ) + ", " + e(typ) + ")"
	case 3:
		q, _ := g.query(depth-1, in, []string{typ})
		return "(SELECT * FROM (" + q + ") s LIMIT 1)"
	case 4:
		if typ != "json" && typ != "bool" {
			return g.pick("greatest", "least") + "(" + e(typ) + ", " + e(typ) + ")"
		}
	}
	switch typ {
	case "int":
		return g.mostly([]string{
			"length(" + e("text") + ")", "octet_length(" + e("text") + ")", "strpos(" + e("text") + ", " + e("text") + ")",
			"num_nulls(" + e("text") + ", " + e("int") + ")", e("bool") + "::int",
		}, e("int")+" + "+e("int"), e("int")+" / "+e("int"), e("int")+" % nullif("+e("int")+", 0)", e("text")+"::int", e("num")+"::int",
			"jsonb_array_length("+e("json")+")", "ascii("+e("text")+")", "(-"+e("int")+")", "extract(year FROM "+e("date")+")::int",
			"(SELECT g FROM generate_series(1, "+e("int")+") g LIMIT 1)", "pg_sleep(0)::text::int")
	case "text":
		return g.mostly([]string{
			"lower(" + e("text") + ")", "upper(" + e("text") + ")", e("text") + " || " + e("text"), e("int") + "::text", e("num") + "::text",
			e("json") + "::text", e("date") + "::text", e("bool") + "::text", "concat(" + e("text") + ", " + e("int") + ", " + e("num") + ")",
			"left(" + e("text") + ", " + e("int") + ")", "md5(" + e("text") + ")", "substring(" + e("text") + ", 1, 2)",
			"split_part(" + e("text") + ", '@', 1)", "replace(" + e("text") + ", 'a', 'b')", "(" + e("json") + " ->> 'a')", g.row(in),
			"concat_ws('-', " + e("text") + ", " + e("text") + ")", e("text") + "::varchar(2)", e("text") + "::varchar", "quote_literal(" + e("text") + ")",
		}, "substring("+e("text")+", 1, "+e("int")+")", "split_part("+e("text")+", '@', "+e("int")+")", "repeat("+e("text")+", 2)",
			"to_char("+e("num")+", '999.9')", "chr("+e("int")+")", "regexp_replace("+e("text")+", "+e("text")+", '')", "format('%s', "+e("text")+")",
			"("+e("text")+" COLLATE \"C\")", "convert_from("+e("text")+"::bytea, 'UTF8')", "set_config('x.y', "+e("text")+", false)", "lpad("+e("text")+", "+e("int")+")")
	case "num":
		return g.mostly([]string{e("int") + "::numeric", "(-" + e("num") + ")", e("num")}, e("num")+" + "+e("num"), e("num")+" / "+e("num"),
			e("num")+" * "+e("num"), e("text")+"::numeric", "round("+e("num")+")", "sqrt("+e("num")+")", "ln("+e("num")+")", "extract(epoch FROM "+e("date")+")")
	case "bool":
		return g.boolean(depth, in, decides)
	case "date":
		return g.mostly([]string{e("date")}, e("date")+" + "+e("int"), e("text")+"::date", "("+e("date")+"::timestamp)::date", "make_date(2000, "+e("int")+", 1)")
	}
	return g.mostly([]string{
		"to_jsonb(" + e("text") + ")", "jsonb_build_array(" + e("num") + ", " + e("date") + ")", "(" + e("json") + " -> 'a')", "to_jsonb(" + g.row(in) + ")",
		"jsonb_strip_nulls(" + e("json") + ")",
	}, "jsonb_build_object('a', "+e("text")+", 'b', "+e("int")+")", e("json")+" || "+e("json"), e("text")+"::jsonb",
		"jsonb_set("+e("json")+", '{a}', "+e("json")+")", "("+e("json")+" -> "+e("int")+")")
}

// row is a whole row as text.
func (g *deep) row(in []deepMember) string {
	if len(in) == 0 {
		return "''"
	}
	m := in[g.n(len(in))].name
	g.used = true
	return fmt.Sprintf(g.pick("%s::text", "row_to_json(%s)::text", "to_jsonb(%s)::text", "row(%s)::text", "(%s.*)::text", "row(%s.*)::text"), m)
}

func (g *deep) boolean(depth int, in []deepMember, decides bool) string {
	e := func(t string) string { return g.expr(t, depth-1, in, decides) }
	t := deepTypes[g.n(5)]
	switch g.n(9) {
	case 0:
		return "(" + e("bool") + g.pick(" AND ", " OR ") + e("bool") + ")"
	case 1:
		return "(NOT " + e("bool") + ")"
	case 2:
		return "(" + e(t) + " IS " + g.pick("", "NOT ") + "NULL)"
	case 3:
		return "(" + e("text") + g.mostly([]string{" LIKE 'a%'", " ILIKE '%x'", " NOT LIKE '7'"}, " ~ 'a'", " LIKE "+e("text"), ` LIKE 'a\'`) + ")"
	case 4:
		q, _ := g.query(depth-1, in, nil)
		return "EXISTS (" + q + ")"
	case 5:
		q, _ := g.query(depth-1, in, []string{t})
		return "(" + e(t) + g.pick(" IN ", " NOT IN ", " = ANY ", " > ALL ") + "(" + q + "))"
	case 6:
		return "(" + e(t) + " IN (" + e(t) + ", " + e(t) + "))"
	case 7:
		return "(" + e(t) + g.pick(" BETWEEN ", " NOT BETWEEN ") + e(t) + " AND " + e(t) + ")"
	}
	return "(" + e(t) + g.pick(" = ", " < ", " <> ", " >= ", " IS DISTINCT FROM ") + e(t) + ")"
}

// columnNames lists names for new columns.
func columnNames(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("c%d", i))
	}
	return strings.Join(out, ", ")
}
