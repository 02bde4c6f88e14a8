// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// fromSource is what one member of FROM adds to its level: what may be named, and
// the columns that * stands for.
type fromSource struct {
	items   []*item
	columns []column
}

// from adds the members of FROM to a level, one after the other: LATERAL sees
// those before it.
func (l *lineage) from(list *ast.NodeList, at *level) {
	for _, n := range listOf(list) {
		at.items = append(at.items, l.source(n, at).items...)
		if len(at.items) > maxItems {
			l.refuse(refuse(StateTooComplex, "Split the statement.", "statement has too many members of FROM: more than %d", maxItems))
		}
		if l.err != nil {
			return
		}
	}
}

// source follows one member of FROM. at holds what LATERAL may refer to; what
// is not LATERAL sees only the levels around it.
func (l *lineage) source(n ast.Node, at *level) fromSource {
	if isNilNode(n) || !l.enter() {
		return fromSource{}
	}
	defer l.leave()
	outside := func(lateral bool) *level {
		if lateral {
			return at
		}
		return at.parent
	}
	switch n := n.(type) {
	case *ast.RangeVar:
		return one(l.relation(n, at), n.Alias)
	case *ast.ParenExpr:
		return l.source(n.Expr, at)
	case *ast.JoinExpr:
		return l.join(n, at)
	case *ast.RangeSubselect:
		return one(&item{columns: l.query(n.Subquery, outside(n.Lateral))}, n.Alias)
	case *ast.RangeTableSample:
		s := l.source(n.Relation, at)
		for _, x := range listOf(n.Args) {
			l.predicate(l.expr(x, at).taint, "TABLESAMPLE")
		}
		l.condition(n.Repeatable, at, "TABLESAMPLE")
		return s
	case *ast.RangeFunction:
		return one(l.functions(n, at), n.Alias)
	case *ast.RangeTableFunc:
		v := l.document(n, at, n.Alias)
		i := &item{}
		for _, c := range listOf(n.Columns) {
			if c, ok := c.(*ast.RangeTableFuncCol); ok {
				i.columns = append(i.columns, column{name: c.ColName, value: v})
			}
		}
		return one(i, n.Alias)
	case *ast.JsonTable:
		v := l.document(n, at, n.Alias)
		return one(&item{columns: jsonColumns(n.Columns, v)}, n.Alias)
	}
	l.refuse(notFollowed(n))
	return fromSource{}
}

// one finishes a member with its alias.
func one(i *item, alias *ast.Alias) fromSource {
	i.named, i.unqualified = true, true
	i.columns = settledColumns(i.columns)
	if alias != nil {
		if alias.AliasName != "" {
			i.alias, i.schema = alias.AliasName, ""
		}
		if len(listOf(alias.ColNames)) > 0 {
			i.columns = rename(i.columns, alias.ColNames)
			if len(i.maybe) > 0 { // which relation's columns these are is not known
				i.columns = rename([]column{{hole: true, value: partial(i.wholeRow())}}, alias.ColNames)
				i.maybe = nil
			}
		}
	}
	return fromSource{items: []*item{i}, columns: i.columns}
}

// settledColumns are the columns of a query as others see them.
func settledColumns(columns []column) []column {
	for k, c := range columns {
		if c.typ == typeLiteral {
			columns = slices.Clone(columns)
			for i := k; i < len(columns); i++ {
				columns[i].typ = settledType(columns[i].typ)
			}
			return columns
		}
	}
	return columns
}

// relation is a query of WITH, or a relation of the catalog or the session.
func (l *lineage) relation(v *ast.RangeVar, at *level) *item {
	l.seen[v] = true
	if v.SchemaName == "" && v.CatalogName == "" {
		if c := at.cte(v.RelName); c != nil {
			l.evaluate(c)
			if c.state == cteRunning && c.columns == nil {
				// Not the form of a recursive query: the server refuses it.
				return &item{alias: v.RelName, columns: []column{{hole: true, value: l.unknown()}}}
			}
			return &item{alias: v.RelName, columns: c.columns}
		}
	}
	t, ok := l.resolve(v)
	if !ok {
		l.refuse(refuse(StateUndefinedTable, "Check the name and the schema.", "relation does not exist, or cannot be seen: %q", v.RelName))
		return &item{}
	}
	return l.named(v.RelName, t)
}

// named is a relation under its own name. One that the session has made holds
// no masked values, unless it is a view, of which the query is not known.
func (l *lineage) named(name string, t target) *item {
	i := &item{alias: name, system: true}
	session := column{hole: true, value: value{total: true}}
	for _, read := range t.behind {
		session.value = l.readBehind(session.value, read)
	}
	switch {
	case t.rel == nil:
		i.schema, i.columns = anySchema, []column{session}
	case len(t.session) == 0:
		i.schema, i.columns = t.rel.Schema, l.relationColumns(t.rel)
	default:
		i.schema, i.columns, i.maybe = anySchema, []column{session}, l.relationColumns(t.rel)
	}
	return i
}

// readBehind adds what a view of the session reads, as its definition named it.
func (l *lineage) readBehind(v value, read Access) value {
	schema, name, _ := strings.Cut(read.Resource, ".")
	rel, known := l.cat.Lookup(schema, name)
	switch {
	case known && l.reach(rel.OID).on():
		return l.unknown()
	case known, schema == catalog.TempSchema:
		return partial(v)
	}
	return l.unknown()
}

// join follows a join: how rows find each other is a predicate.
func (l *lineage) join(j *ast.JoinExpr, at *level) fromSource {
	left := l.source(j.Larg, at)
	beside := &level{parent: at.parent, items: slices.Concat(at.items, left.items)}
	right := l.source(j.Rarg, beside)
	items := slices.Concat(left.items, right.items)
	inside := &level{parent: at.parent, items: items}
	if l.err != nil {
		return fromSource{}
	}
	var using []string
	for _, n := range listOf(j.UsingClause) {
		if s, ok := n.(*ast.String); ok {
			using = append(using, s.SVal)
		}
	}
	if j.IsNatural {
		using = l.natural(left.columns, right.columns)
	}
	l.condition(j.Quals, inside, "JOIN ON")
	common := make([]column, 0, len(using))
	for _, name := range using {
		common = append(common, column{name: name, value: l.mergedColumn(j.Jointype, name, left.columns, right.columns)})
	}
	rest := func(c column) bool { return !c.hole && slices.Contains(using, c.name) }
	columns := slices.Concat(common, slices.DeleteFunc(slices.Clone(left.columns), rest), slices.DeleteFunc(slices.Clone(right.columns), rest))
	if j.Alias != nil {
		return one(&item{columns: columns}, j.Alias)
	}
	for k, i := range items {
		hidden := *i
		hidden.unqualified = false
		items[k] = &hidden
	}
	items = append(items, &item{columns: columns, maybe: maybes(left.items, right.items), unqualified: true, system: true})
	if j.JoinUsingAlias != nil {
		items = append(items, &item{alias: j.JoinUsingAlias.AliasName, columns: common, named: true})
	}
	return fromSource{items: items, columns: columns}
}

// maybes are the columns that members of a join only may have.
func maybes(lists ...[]*item) (out []column) {
	for _, list := range lists {
		for _, i := range list {
			if i.unqualified {
				out = append(out, i.maybe...)
			}
		}
	}
	return out
}

// natural lists the columns that both sides have.
func (l *lineage) natural(left, right []column) (out []string) {
	var all taint
	open := false
	for _, c := range slices.Concat(left, right) {
		all, open = all.with(c.taint), open || c.hole
	}
	if open && all.on() {
		l.refuse(refuse(StateInsufficientPrivilege, "Name the columns with ON or USING.",
			"NATURAL JOIN could use a masked column: %q", all.source.name))
	}
	for _, c := range left {
		same := func(d column) bool { return !d.hole && d.name == c.name }
		if !c.hole && slices.ContainsFunc(right, same) && !slices.Contains(out, c.name) {
			out = append(out, c.name)
		}
	}
	return out
}

// mergedColumn is a column of USING: which side it comes from is the join's
// kind.
func (l *lineage) mergedColumn(kind ast.JoinType, name string, left, right []column) value {
	x, y := l.side(name, left), l.side(name, right)
	l.predicate(x.with(y.taint), "JOIN USING")
	_, same := common(x.typ, y.typ)
	switch {
	case kind == ast.JOIN_INNER && same, kind == ast.JOIN_LEFT && same:
		return x
	case kind == ast.JOIN_RIGHT && same:
		return y
	}
	out := merged(x, y)
	out.plain = false
	return out
}

func (l *lineage) side(name string, columns []column) value {
	var v value
	found := false
	for _, c := range columns {
		switch {
		case !c.hole && c.name == name:
			return c.value
		case c.hole:
			v, found = derived(typeOther, v, c.value), true
		}
	}
	if !found {
		return l.missing(name)
	}
	return v
}

// document follows XMLTABLE and JSON_TABLE: the rows depend on all arguments.
func (l *lineage) document(n ast.Node, at *level, alias *ast.Alias) value {
	v := unmasked(typeOther)
	children(n, func(c ast.Node) {
		if a, ok := c.(*ast.Alias); !ok || a != alias {
			v = partial(v, l.expr(c, at))
		}
	})
	l.predicate(v.taint, "rows made from a document")
	return v
}

func jsonColumns(list *ast.NodeList, v value) (out []column) {
	for _, n := range listOf(list) {
		if c, ok := n.(*ast.JsonTableColumn); ok {
			if c.Name != "" {
				out = append(out, column{name: c.Name, value: v})
			}
			out = append(out, jsonColumns(c.Columns, v)...)
		}
	}
	return out
}

// functions follows functions in FROM: rows and columns depend on all arguments.
func (l *lineage) functions(n *ast.RangeFunction, at *level) *item {
	i := &item{}
	for _, f := range listOf(n.Functions) {
		parts := listOf(nodeList(f))
		if len(parts) == 0 {
			l.refuse(notFollowed(n))
			return i
		}
		v := l.expr(parts[0], at)
		if !v.total {
			l.predicate(v.taint, "rows made by a function")
		}
		v.plain, v.row = false, nil
		definitions := n.ColDefList
		if len(parts) > 1 {
			definitions = nodeList(parts[1])
		}
		name := label(parts[0])
		i.alias = name
		if n.Alias != nil && len(listOf(n.Functions)) == 1 {
			name = n.Alias.AliasName
		}
		i.columns = append(i.columns, functionColumns(parts[0], name, definitions, v)...)
	}
	if n.Ordinality {
		i.columns = append(i.columns, column{name: "ordinality", value: unmasked(typeInt8)})
	}
	return i
}

func nodeList(n ast.Node) *ast.NodeList {
	l, ok := n.(*ast.NodeList)
	if !ok && !isNilNode(n) {
		return ast.NewNodeList(n)
	}
	return l
}

// scalarFunctions are functions that yield one column, and the name of it
// where it is not the member's own ("").
var scalarFunctions = map[string]string{
	"generate_series": "", "generate_subscripts": "", "regexp_split_to_table": "", "regexp_matches": "", "string_to_table": "",
	"json_array_elements": "value", "json_array_elements_text": "value", "jsonb_array_elements": "value",
	"jsonb_array_elements_text": "value", "json_object_keys": "", "jsonb_object_keys": "", "jsonb_path_query": "",
}

// functionColumns are the columns of one function: a hole where they are not
// known.
func functionColumns(call ast.Node, name string, definitions *ast.NodeList, v value) (out []column) {
	for _, d := range listOf(definitions) {
		if c, ok := d.(*ast.ColumnDef); ok {
			out = append(out, column{name: c.Colname, value: v})
		}
	}
	if len(out) > 0 {
		return out
	}
	if f, ok := call.(*ast.FuncCall); ok {
		schema, function, _ := names(f.Funcname)
		column1, scalar := scalarFunctions[function]
		switch {
		case schema != "" && schema != "pg_catalog":
		case scalar && column1 != "":
			return []column{{name: column1, value: v}}
		case scalar:
			return []column{{name: name, value: v}}
		case slices.Contains([]string{"json_each", "jsonb_each", "json_each_text", "jsonb_each_text"}, function):
			return []column{{name: "key", value: v}, {name: "value", value: v}}
		}
	}
	return []column{{hole: true, value: v}}
}
