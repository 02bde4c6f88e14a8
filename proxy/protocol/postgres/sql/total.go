// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// A function, operator or cast is total when it cannot raise an error whatever
// its arguments hold, and does work in proportion to their size. Where a value
// that depends on a masked column goes through one that is not, the error, or
// the time it takes, tells something about the masked value. What is not
// listed is not total.
//
// Each line is name(arguments) result. The words for arguments are those of
// typeNames and of totalClasses; ... says that the last one may be repeated.
// Limits of size, such as the 1 GB of a text, are left out of account.
var totalFunctions = signatures(`
	lower(text) text
	upper(text) text
	initcap(text) text
	length(text) int4
	char_length(text) int4
	character_length(text) int4
	octet_length(text) int4
	length(bytea) int4
	octet_length(bytea) int4
	md5(text) text
	md5(bytea) text
	sha224(bytea) bytea
	sha256(bytea) bytea
	sha384(bytea) bytea
	sha512(bytea) bytea
	encode(bytea, encoding) text
	reverse(text) text
	left(text, int) text
	right(text, int) text
	lpad(text, small) text
	lpad(text, small, constant) text
	rpad(text, small) text
	rpad(text, small, constant) text
	btrim(text) text
	btrim(text, text) text
	ltrim(text) text
	ltrim(text, text) text
	rtrim(text) text
	rtrim(text, text) text
	replace(text, constant, constant) text
	translate(text, constant, constant) text
	split_part(text, constant, positive) text
	strpos(text, text) int4
	position(text, text) int4
	starts_with(text, text) bool
	substring(text, small) text
	substring(text, small, small) text
	substr(text, small) text
	substr(text, small, small) text
	concat(any...) text
	concat_ws(constant, any...) text
	format(pattern, any...) text
	quote_literal(text) text
	quote_nullable(text) text
	quote_ident(text) text
	hashtext(text) int4
	to_hex(int) text
	abs(float) float8
	sign(float) float8
	floor(float) float8
	ceil(float) float8
	ceiling(float) float8
	round(float) float8
	trunc(float) float8
	isfinite(date) bool
	isfinite(timestamp) bool
	isfinite(timestamptz) bool
	num_nulls(any...) int4
	num_nonnulls(any...) int4
	cardinality(array) int4
	array_length(array, int) int4
	array_to_string(array, constant) text
	array_to_string(array, constant, constant) text
	to_json(any) json
	to_json(row) json
	row_to_json(row) json
	json_build_array(any...) json
	json_build_object(pair...) json
	json_typeof(json) text
	to_jsonb(notjson) jsonb
	to_jsonb(rowb) jsonb
	jsonb_build_array(notjson...) jsonb
	jsonb_typeof(jsonb) text
	jsonb_strip_nulls(jsonb) jsonb
	jsonb_pretty(jsonb) text

	count(any) int8
	count(row) int8
	min(sortable) same
	max(sortable) same
	bool_and(bool) bool
	bool_or(bool) bool
	every(bool) bool
	sum(int) int8
	avg(int) numeric
	string_agg(text, constant) text
	array_agg(scalar) array
	json_agg(any) json
	json_agg(row) json
	jsonb_agg(notjson) jsonb
	jsonb_agg(rowb) jsonb

	lag(any) same
	lead(any) same
	first_value(any) same
	last_value(any) same
`)

// totalClasses are words for arguments that are no types. The node is the
// argument as it was written.
var totalClasses = map[string]func(v value, n ast.Node) bool{
	"any":      func(v value, _ ast.Node) bool { return printable(v.typ) },
	"notjson":  func(v value, _ ast.Node) bool { return printable(v.typ) && v.typ != typeJSON },
	"scalar":   func(v value, _ ast.Node) bool { return printable(v.typ) && v.typ != typeArray },
	"sortable": func(v value, _ ast.Node) bool { return sortable(v.typ) },
	"int": func(v value, _ ast.Node) bool {
		return v.typ == typeInt2 || v.typ == typeInt4 || v.typ == typeInt8 || v.typ == typeLiteral
	},
	"float": func(v value, _ ast.Node) bool { return v.typ == typeFloat4 || v.typ == typeFloat8 },
	"array": func(v value, _ ast.Node) bool { return v.typ == typeArray },
	"row":   func(v value, _ ast.Node) bool { return v.typ == typeRow || v.typ == typeRowJSON },
	"rowb":  func(v value, _ ast.Node) bool { return v.typ == typeRow },
	"constant": func(_ value, n ast.Node) bool {
		_, ok := literalText(n)
		return ok
	},
	"small":    func(_ value, n ast.Node) bool { i, ok := literalInt(n); return ok && i >= 0 && i <= 10_000 },
	"positive": func(_ value, n ast.Node) bool { i, ok := literalInt(n); return ok && i > 0 },
	"encoding": func(_ value, n ast.Node) bool {
		s, ok := literalText(n)
		return ok && slices.Contains([]string{"hex", "base64", "escape"}, s)
	},
}

// totalOperators are the binary operators of which more has to be known than
// that both sides compare.
var totalOperators = signatures(`
	||(text, scalar) text
	||(scalar, text) text
	||(bytea, bytea) bytea
	~~(text, like) bool
	!~~(text, like) bool
	~~*(text, like) bool
	!~~*(text, like) bool
	^@(text, text) bool
	->(jsonb, constant) jsonb
	->(jsonb, small) jsonb
	->>(jsonb, constant) text
	->>(jsonb, small) text
	@>(jsonb, jsonb) bool
	<@(jsonb, jsonb) bool
	?(jsonb, text) bool
`)

// totalCasts are the casts that always succeed, besides those of a type to
// itself, of numbers to larger ones, and of anything printable to text.
var totalCasts = [][2]typ{
	{typeBool, typeInt4},
	{typeInt4, typeBool},
	{typeJSONB, typeJSON},
	{typeTimestamp, typeDate},
	{typeTimestamp, typeTime},
	{typeTime, typeInterval},
	{typeFloat4, typeFloat8},
	{typeRow, typeText},
	{typeRowJSON, typeText},
}

var comparisons = []string{"=", "<>", "!=", "<", ">", "<=", ">="}

// signature is one line of a list.
type signature struct {
	args     []string
	variadic bool
	result   string
}

// signatures reads a list. It holds constants only, so a mistake in it is a
// programmer's; the tests run every line.
func signatures(list string) map[string][]signature {
	out := map[string][]signature{}
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
		s := signature{result: strings.TrimSpace(line[end+1:])}
		for arg := range strings.SplitSeq(line[open+1:end], ",") {
			name, more := strings.CutSuffix(strings.TrimSpace(arg), "...")
			s.args, s.variadic = append(s.args, name), more
		}
		out[line[:open]] = append(out[line[:open]], s)
	}
	return out
}

// apply finds the line that fits the arguments.
func apply(lines []signature, args []value, nodes []ast.Node) (typ, bool) {
	for _, s := range lines {
		if s.fits(args, nodes) {
			switch s.result {
			case "same":
				return args[0].typ, true
			case "array":
				return typeArray, true
			}
			return typeNames[s.result].typ, true
		}
	}
	return typeOther, false
}

func (s signature) fits(args []value, nodes []ast.Node) bool {
	if len(args) < len(s.args) || len(args) > len(s.args) && !s.variadic {
		return false
	}
	for i, v := range args {
		word := s.args[min(i, len(s.args)-1)]
		if word == "pair" { // a key, which must not be NULL, and a value
			word = []string{"constant", "any"}[i%2]
		}
		if word == "pattern" {
			if text, ok := literalText(nodes[i]); !ok || !plainFormat(text, len(args)-1) {
				return false
			}
			continue
		}
		if !fitsWord(word, v, nodes[i]) {
			return false
		}
	}
	return true
}

func fitsWord(word string, v value, n ast.Node) bool {
	if word == "like" {
		pattern, ok := literalText(n)
		return ok && plainPattern(pattern)
	}
	if is := totalClasses[word]; is != nil {
		return is(v, n)
	}
	return v.typ == typeNames[word].typ || v.typ == typeLiteral
}

// literalText is the text of a string constant.
func literalText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return literalText(n.Expr)
	case *ast.A_Const:
		s, ok := n.Val.(*ast.String)
		if ok {
			return s.SVal, true
		}
	}
	return "", false
}

func literalInt(n ast.Node) (int, bool) {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return literalInt(n.Expr)
	case *ast.A_Const:
		i, ok := n.Val.(*ast.Integer)
		if ok {
			return i.IVal, true
		}
	}
	return 0, false
}

// plainPattern says whether LIKE takes the pattern whatever it is held against:
// an escape character at the end of it is an error once a match gets there.
func plainPattern(pattern string) bool {
	escaped := false
	for i := range len(pattern) {
		escaped = !escaped && pattern[i] == '\\'
	}
	return !escaped
}

// plainFormat says whether format takes the text with so many arguments: it holds
// %s, %L and %% only, and not too many of them.
func plainFormat(pattern string, args int) bool {
	for {
		_, rest, found := strings.Cut(pattern, "%")
		switch {
		case !found:
			return args >= 0
		case rest == "":
			return false
		case rest[0] == 's' || rest[0] == 'L':
			args--
		case rest[0] != '%':
			return false
		}
		pattern = rest[1:]
	}
}
