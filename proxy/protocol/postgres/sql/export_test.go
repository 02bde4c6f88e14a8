// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"maps"
	"slices"
	"strings"
)

// nasty are values at the edges of each type, as constants of that type.
var nasty = map[string][]string{
	"text": {
		`NULL`, `''`, `' '`, `'a'`, `E'\\'`, `E'%\\'`, `'%'`, `'é€𝔘'`, `'(['`, `'1'`, `'NaN'`, `'{"a":1}'`, `E'\n\t'`, `E'\u0001'`, `'$1'`, `'"'`, `''''`,
		`repeat('x', 4000)`, `repeat('€', 3000)`, `'İıßẞΣς'`, `E'a\u0301'`,
	},
	"bool":        {`NULL`, `true`, `false`},
	"int2":        {`NULL`, `0`, `(-32768)`, `32767`},
	"int4":        {`NULL`, `0`, `(-1)`, `(-2147483648)`, `2147483647`},
	"int8":        {`NULL`, `0`, `(-9223372036854775808)`, `9223372036854775807`},
	"numeric":     {`NULL`, `0`, `'NaN'`, `'Infinity'`, `'-Infinity'`, `9e131071`, `(-9e131071)`, `1e-16383`, `0.1`},
	"float4":      {`NULL`, `0`, `'NaN'`, `'Infinity'`, `'-Infinity'`, `3.4e38`, `1e-45`, `'-0'`},
	"float8":      {`NULL`, `0`, `'NaN'`, `'Infinity'`, `'-Infinity'`, `1.7e308`, `(-1.7e308)`, `5e-324`, `'-0'`, `0.5`},
	"date":        {`NULL`, `'infinity'`, `'-infinity'`, `'4713-01-01 BC'`, `'5874897-12-31'`, `'2024-02-29'`},
	"time":        {`NULL`, `'00:00'`, `'24:00'`, `'23:59:59.999999'`},
	"timestamp":   {`NULL`, `'infinity'`, `'-infinity'`, `'4713-01-01 00:00 BC'`, `'294276-12-31 23:59:59.999999'`, `'2024-02-29 12:00'`},
	"timestamptz": {`NULL`, `'infinity'`, `'-infinity'`, `'4713-01-01 00:00 BC UTC'`, `'294276-12-31 23:59:59.999999 UTC'`, `'2024-02-29 12:00'`},
	"interval":    {`NULL`, `'0'`, `'178000000 years'`, `'-178000000 years'`, `'1 mon -1 day'`},
	"uuid":        {`NULL`, `'00000000-0000-0000-0000-000000000000'`, `'ffffffff-ffff-ffff-ffff-ffffffffffff'`},
	"bytea":       {`NULL`, `''`, `'\x00ff'`, `E'\\\\'`},
	"json": {
		`NULL`, `'null'`, `'1'`, `'"a"'`, `'[]'`, `'{}'`, `'{"a":1,"a":2}'`, `'"\u0000"'`, `'{"a":"\u0000"}'`, `'[1,[2,{"a":null}]]'`, `'"\ud800"'`,
		`'1e999999'`, `(repeat('[', 2000) || repeat(']', 2000))`,
	},
	"jsonb": {
		`NULL`, `'null'`, `'1'`, `'"a"'`, `'[]'`, `'{}'`, `'{"a":1,"b":[1,2]}'`, `'[1,[2,{"a":null}]]'`, `'"é"'`, `'1e99999'`, `(repeat('[', 2000) || repeat(']', 2000))`,
	},
}

// classes are what stands for the words of totalClasses: types, or constants.
var classes = map[string]struct {
	types     []string
	constants []string
}{
	"any":      {types: append(slices.Sorted(maps.Keys(nasty)), "text[]")},
	"notjson":  {types: append(slices.DeleteFunc(slices.Sorted(maps.Keys(nasty)), func(t string) bool { return t == "json" }), "int4[]")},
	"scalar":   {types: slices.Sorted(maps.Keys(nasty))},
	"sortable": {types: []string{"text", "bool", "int2", "int4", "int8", "numeric", "float4", "float8", "date", "time", "timestamp", "timestamptz", "interval", "uuid", "bytea", "jsonb"}},
	"int":      {types: []string{"int2", "int4", "int8"}},
	"float":    {types: []string{"float4", "float8"}},
	"array":    {types: []string{"text[]", "int4[]", "numeric[]"}},
	"row":      {types: []string{"row"}},
	"rowb":     {types: []string{"rowb"}},
	"constant": {constants: []string{`''`, `'a'`, `E'\\'`, `'é€'`, `'{"'`}},
	"small":    {constants: []string{`0`, `1`, `10000`}},
	"positive": {constants: []string{`1`, `2147483647`}},
	"encoding": {constants: []string{`'hex'`, `'base64'`, `'escape'`}},
	"pattern":  {constants: []string{`''`, `'%%'`, `'x%%'`, `'%s'`, `'%L-%s%%'`}},
	"like":     {constants: []string{`''`, `'%'`, `'_%a%_'`, `E'\\\\%'`, `E'\\%'`}},
}

// TotalCall is one expression that the list says cannot fail, over columns of a
// table of nasty values.
type TotalCall struct{ Line, Expression string }

// NastyTable makes a table with one column for each type and one row for each
// combination of one value by place; every value of every type is in it.
func NastyTable() []string {
	rows := 0
	for _, v := range nasty {
		rows = max(rows, len(v))
	}
	types := slices.Sorted(maps.Keys(nasty))
	var columns []string
	for _, t := range types {
		columns = append(columns, "c_"+t+" "+t)
	}
	columns = append(columns, `"c_text[]" text[]`, `"c_int4[]" int4[]`, `"c_numeric[]" numeric[]`)
	out := []string{"CREATE TEMP TABLE nasty (" + strings.Join(columns, ", ") + ")"}
	for i := range rows {
		var values []string
		for _, t := range types {
			values = append(values, nasty[t][i%len(nasty[t])]+"::"+t)
		}
		arrays := []string{`'{}'`, `NULL`, `'{NULL}'`, `'{{1,2},{3,4}}'`, `'[5:6]={1,2}'`}
		a := arrays[i%len(arrays)]
		out = append(out, "INSERT INTO nasty VALUES ("+strings.Join(append(values, a, a, a), ", ")+")")
	}
	var other []string
	for _, c := range columns {
		name, _, _ := strings.Cut(c, " ")
		other = append(other, name+" AS "+strings.Replace(name, "c_", "d_", 1))
	}
	return append(out, "CREATE TEMP TABLE other AS SELECT "+strings.Join(other, ", ")+" FROM nasty")
}

// TotalCalls lists the calls of every line of the lists.
func TotalCalls() (out []TotalCall) {
	for _, name := range slices.Sorted(maps.Keys(totalFunctions)) {
		for _, s := range totalFunctions[name] {
			for _, args := range arguments(s) {
				call := name + "(" + strings.Join(args, ", ") + ")"
				if slices.Contains([]string{"lag", "lead", "first_value", "last_value"}, name) {
					call += " OVER ()"
				}
				if name == "position" {
					call = "pg_catalog." + strings.Replace(call, "position", `"position"`, 1)
				}
				out = append(out, TotalCall{name + "(" + strings.Join(s.args, ", ") + ")", call})
			}
		}
	}
	for _, op := range slices.Sorted(maps.Keys(totalOperators)) {
		for _, s := range totalOperators[op] {
			for _, args := range arguments(s) {
				out = append(out, TotalCall{op + "(" + strings.Join(s.args, ", ") + ")", args[0] + " " + op + " " + args[1]})
			}
		}
	}
	byType := map[typ]string{}
	for _, name := range slices.Sorted(maps.Keys(nasty)) {
		byType[typeNames[name].typ] = name
	}
	for x, left := range byType {
		for y, right := range byType {
			if compares(unmasked(x), unmasked(y)) {
				for _, op := range comparisons {
					out = append(out, TotalCall{op, "c_" + left + " " + op + " d_" + right})
				}
				out = append(out, TotalCall{"distinct", "c_" + left + " IS DISTINCT FROM d_" + right})
			}
			if _, ok := common(x, y); ok {
				out = append(out, TotalCall{"common", "coalesce(c_" + left + ", d_" + right + ")"})
			}
		}
		if sortable(x) {
			out = append(out, TotalCall{"greatest", "greatest(c_" + left + ", d_" + left + ")"})
		}
		if printable(x) {
			out = append(out, TotalCall{"cast", "c_" + left + "::text"}, TotalCall{"cast", "c_" + left + "::varchar(3)"})
		}
	}
	for _, c := range totalCasts {
		if from, ok := byType[c[0]]; ok {
			out = append(out, TotalCall{"cast", "c_" + from + "::" + byType[c[1]]})
		}
	}
	for _, row := range []string{"nasty", "row(c_json, c_int4)"} {
		out = append(out, TotalCall{"cast", row + "::text"})
	}
	for _, t := range []string{"numeric", "float4", "float8"} {
		out = append(out, TotalCall{"-", "-c_" + t})
	}
	return out
}

// arguments lists what stands for each argument; a repeated one is given three
// times, in turn.
func arguments(s signature) [][]string {
	words := slices.Clone(s.args)
	if s.variadic {
		words = append(words, words[len(words)-1], words[len(words)-1])
		if words[0] == "pair" {
			words = []string{"pair", "pair", "pair", "pair"}
		}
	}
	var lists [][]string
	for i, w := range words {
		if w == "pair" {
			w = []string{"constant", "any"}[i%2]
		}
		list := choices(w)
		if i == 1 { // of another row, so that all meet all
			for k := range list {
				list[k] = strings.ReplaceAll(strings.Replace(list[k], "c_", "d_", 1), "nasty", "other")
			}
		}
		lists = append(lists, list)
	}
	product := 1
	for _, l := range lists {
		product *= len(l)
	}
	var out [][]string
	for i := range min(product, 400) {
		var args []string
		rest := i
		for _, l := range lists {
			args = append(args, l[rest%len(l)])
			rest /= len(l)
		}
		out = append(out, args)
	}
	return out
}

func choices(word string) []string {
	c, ok := classes[word]
	if !ok {
		c.types = []string{word}
	}
	out := slices.Clone(c.constants)
	for _, t := range c.types {
		switch t {
		case "row":
			out = append(out, "nasty", "row(c_json, c_text)")
		case "rowb":
			out = append(out, "row(c_text, c_numeric, c_jsonb)")
		default:
			out = append(out, `"c_`+t+`"`)
		}
	}
	return out
}

// WithTreeOf is a statement whose tree is that of another one, as if the parser
// had lost the rest of the text.
func WithTreeOf(s, other *Statement) *Statement {
	lossy := *s
	lossy.facts.tree, lossy.facts.resolved = other.facts.tree, other.facts.resolved
	return &lossy
}
