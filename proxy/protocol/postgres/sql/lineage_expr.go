// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// expr follows an expression.
func (l *lineage) expr(n ast.Node, at *level) value {
	if isNilNode(n) || !l.enter() {
		return unmasked(typeOther)
	}
	defer l.leave()
	switch n := n.(type) {
	case *ast.ColumnRef:
		return l.reference(n, at)
	case *ast.A_Const:
		return constant(n)
	case *ast.ParamRef:
		// Of whatever type the caller gives it, which decides about the operators.
		return unmasked(typeOther)
	case *ast.ParenExpr:
		return l.expr(n.Expr, at)
	case *ast.A_Indirection:
		return l.indirection(n, at)
	case *ast.FuncCall:
		return l.function(n, at)
	case *ast.TypeCast:
		return l.cast(n, at)
	case *ast.A_Expr:
		return l.operation(n, at)
	case *ast.SubLink:
		return l.subquery(n, at)
	case *ast.CollateClause:
		v := derived(typeOther, l.expr(n.Arg, at))
		return v
	case *ast.NamedArgExpr:
		return l.expr(n.Arg, at)
	case *ast.NullTest:
		return derived(typeBool, l.expr(n.Arg, at))
	case *ast.BooleanTest:
		return derived(typeBool, l.expr(n.Arg, at))
	case *ast.BoolExpr:
		args, _ := l.list(n.Args, at)
		return lazy(derived(typeBool, args...), args)
	case *ast.CaseExpr:
		return l.caseExpr(n, at)
	case *ast.CoalesceExpr:
		args, _ := l.list(n.Args, at)
		return lazy(computed(mergeAll(args)), args)
	case *ast.MinMaxExpr:
		args, _ := l.list(n.Args, at)
		out := computed(mergeAll(args))
		out.total = out.total && sortable(out.typ)
		return out
	case *ast.RowExpr:
		return l.row(n.Args, at)
	case *ast.ArrayExpr:
		return l.array(n.Elements, at)
	case *ast.A_ArrayExpr:
		return l.array(n.Elements, at)
	case *ast.SQLValueFunction:
		return unmasked(typeOther)
	case *ast.GroupingFunc:
		args, _ := l.list(n.Args, at)
		return unmasked(derivedFrom(args))
	case *ast.CurrentOfExpr, *ast.SetToDefault, *ast.MergeSupportFunc, *ast.String, *ast.A_Star, *ast.TypeName, *ast.Alias:
		return unmasked(typeOther)
	case *ast.SelectStmt:
		return partial(valuesOf(l.query(n, at))...)
	}
	// Whatever else there is: it may fail on any of its parts.
	out := partial()
	children(n, func(c ast.Node) { out = partial(out, l.expr(c, at)) })
	return out
}

// derivedFrom is the type of GROUPING, which looks at no value.
func derivedFrom([]value) typ { return typeInt4 }

func (l *lineage) list(n *ast.NodeList, at *level) (values []value, nodes []ast.Node) {
	for _, x := range listOf(n) {
		values, nodes = append(values, l.expr(x, at)), append(nodes, x)
	}
	return values, nodes
}

// computed is a value that is no longer a column's own.
func computed(v value) value {
	v.plain, v.row, v.null = false, nil, false
	v.typ = settledType(v.typ)
	return v
}

// settledType is the type of a value that was computed from constants only: they
// no longer take the type that they are used as.
func settledType(t typ) typ {
	if t == typeLiteral {
		return typeText
	}
	return t
}

// lazy is the value of an expression that may leave parts of it out, as CASE
// does: whether a subquery in it runs can be told by the time it takes, and by
// its errors.
func lazy(out value, parts []value) value {
	if out.on() && slices.ContainsFunc(parts, func(v value) bool { return v.nested }) {
		out.total = false
	}
	return out
}

func mergeAll(values []value) value {
	if len(values) == 0 {
		return unmasked(typeLiteral)
	}
	out := values[0]
	for _, v := range values[1:] {
		out = merged(out, v)
	}
	return out
}

func constant(n *ast.A_Const) value {
	switch v := n.Val.(type) {
	case *ast.Integer:
		if v.IVal != int(int32(v.IVal)) { //nolint:gosec // that is the question
			return unmasked(typeInt8)
		}
		return unmasked(typeInt4)
	case *ast.Float:
		return unmasked(typeNumeric)
	case *ast.Boolean:
		return unmasked(typeBool)
	case *ast.String:
		return unmasked(typeLiteral)
	}
	if n.Isnull {
		return value{total: true, null: true, typ: typeLiteral}
	}
	if _, ok := n.Val.(*ast.Null); ok {
		return value{total: true, null: true, typ: typeLiteral}
	}
	return unmasked(typeOther)
}

func (l *lineage) caseExpr(n *ast.CaseExpr, at *level) value {
	var parts, results []value
	arg, simple := value{}, !isNilNode(n.Arg)
	if simple {
		arg = l.expr(n.Arg, at)
		parts = append(parts, arg)
	}
	fails := false
	for _, w := range listOf(n.Args) {
		w, ok := w.(*ast.CaseWhen)
		if !ok {
			return l.unknown()
		}
		when := l.expr(w.Expr, at)
		fails = fails || simple && !compares(arg, when)
		then := l.expr(w.Result, at)
		parts, results = append(parts, when, then), append(results, then)
	}
	if !isNilNode(n.Defresult) {
		v := l.expr(n.Defresult, at)
		parts, results = append(parts, v), append(results, v)
	}
	result := mergeAll(results)
	out := lazy(derived(settledType(result.typ), append(parts, result)...), parts)
	out.total = out.total && !fails
	return out
}

func (l *lineage) row(list *ast.NodeList, at *level) value {
	out := unmasked(typeRow)
	args, _ := l.list(list, at)
	for _, v := range args {
		t := out.typ
		if v.typ == typeJSON || v.typ == typeRowJSON {
			t = typeRowJSON
		}
		out = derived(t, out, v)
	}
	return out
}

func (l *lineage) array(list *ast.NodeList, at *level) value {
	args, _ := l.list(list, at)
	element := mergeAll(args)
	out := computed(element)
	switch {
	case len(args) == 0:
		return unmasked(typeOther)
	case element.typ != typeArray && printable(element.typ):
		out.typ = typeArray
	default:
		out.typ = typeOther
	}
	return out
}

// indirection is (value).name or (value)[n]. The parser keeps no others here.
func (l *lineage) indirection(n *ast.A_Indirection, at *level) value {
	v := l.expr(n.Arg, at)
	for _, f := range listOf(n.Indirection) {
		name, ok := f.(*ast.String)
		switch {
		case ok && v.row != nil:
			v = l.qualified(v.row, name.SVal)
		case ok:
			v = l.rowFunction(name.SVal, v)
		default:
			v = partial(v, l.expr(f, at))
		}
	}
	return v
}

func (l *lineage) cast(n *ast.TypeCast, at *level) value {
	v := l.expr(n.Arg, at)
	to, bare := castType(n.TypeName)
	for _, t := range listOf(n.TypeName.Typmods) {
		v = derived(v.typ, v, l.expr(t, at))
	}
	switch {
	case v.typ == typeLiteral && given(n.Arg) && to != typeOther && (bare || to == typeText), to == typeText && parameter(n.Arg):
		return derived(to, v)
	case v.typ == to && to == typeText:
		v.plain = v.plain && bare
		v.row = nil
		return v
	case bare && v.typ == to && to != typeOther && to != typeArray:
		return v
	case to == typeText && printable(v.typ):
		return derived(to, v)
	case bare && rank(v.typ) >= 0 && rank(v.typ) < rank(to):
		if _, ok := common(v.typ, to); ok {
			return derived(to, v)
		}
	case bare && slices.Contains(totalCasts, [2]typ{v.typ, to}):
		return derived(to, v)
	}
	out := partial(v)
	out.typ = to
	return out
}

// given says that a value stands in the text.
func given(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ParenExpr:
		return given(n.Expr)
	case *ast.A_Const:
		return true
	}
	return false
}

func parameter(n ast.Node) bool {
	_, ok := n.(*ast.ParamRef)
	return ok
}

// subquery follows a query within an expression.
func (l *lineage) subquery(n *ast.SubLink, at *level) value {
	columns := l.query(n.Subselect, at)
	var out value
	switch n.SubLinkType {
	case ast.EXISTS_SUBLINK:
		out = unmasked(typeBool)
	case ast.EXPR_SUBLINK:
		if len(columns) == 1 && !columns[0].hole {
			out = columns[0].value
		} else {
			out = derived(typeOther, valuesOf(columns)...)
		}
	case ast.ARRAY_SUBLINK:
		out = derived(typeOther, valuesOf(columns)...)
		if len(columns) == 1 && columns[0].typ != typeArray && printable(columns[0].typ) {
			out.typ = typeArray
		}
	default:
		out = partial(append(valuesOf(columns), l.expr(n.Testexpr, at))...)
		out.typ = typeBool
		l.predicate(out.taint, "comparison with a subquery")
	}
	out.nested, out.row, out.null, out.typ = true, nil, false, settledType(out.typ)
	return out
}

// function follows a call.
func (l *lineage) function(f *ast.FuncCall, at *level) value {
	_, name, _ := names(f.Funcname)
	args, nodes := l.list(f.Args, at)
	sorted, more := l.sorted(f.AggOrder, at, "ORDER BY of an aggregate")
	if f.AggWithinGroup {
		args, nodes = append(args, sorted...), append(nodes, more...)
	}
	if f.AggDistinct {
		for _, v := range args {
			l.predicate(v.taint, "DISTINCT")
		}
	}
	l.condition(f.AggFilter, at, "FILTER")
	l.window(f.Over, at)
	if f.AggStar {
		return unmasked(typeInt8)
	}
	out := l.called(name, args, nodes)
	if f.FuncVariadic || slices.ContainsFunc(nodes, named) {
		out.total = false
	}
	return out
}

// named says that an argument is given by name, so that its place is not known.
func named(n ast.Node) bool {
	_, ok := n.(*ast.NamedArgExpr)
	return ok
}

// called is the value of a call of a built-in function: others are not called
// while anything is masked.
func (l *lineage) called(name string, args []value, nodes []ast.Node) value {
	out := derived(typeOther, args...)
	acts := false
	for _, f := range l.cat.Functions(catalog.SystemSchema, name) {
		acts = acts || f.Volatility == 'v' || writes(f)
	}
	if acts {
		l.write(out.taint, "an argument of "+name)
	}
	if len(args) == 0 {
		out.total = !acts
		return out
	}
	t, total := apply(totalFunctions[name], args, nodes)
	if total && l.cat.HasHiddenCalls() && (t == typeJSON || t == typeJSONB) {
		total = false // casts to JSON by functions of users
	}
	out.typ, out.total = t, out.total && total
	return out
}
