// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// compares says whether two values can be compared, whatever they are.
func compares(x, y value) bool {
	t, ok := common(x.typ, y.typ)
	return ok && sortable(t)
}

// operation follows operators and what is written like them.
func (l *lineage) operation(e *ast.A_Expr, at *level) value {
	_, op, _ := names(e.Name)
	switch e.Kind { //nolint:exhaustive // the others may fail
	case ast.AEXPR_OP, ast.AEXPR_LIKE, ast.AEXPR_ILIKE:
		return l.binary(op, e, at)
	case ast.AEXPR_IN, ast.AEXPR_BETWEEN, ast.AEXPR_NOT_BETWEEN, ast.AEXPR_BETWEEN_SYM, ast.AEXPR_NOT_BETWEEN_SYM:
		x := l.expr(e.Lexpr, at)
		parts := []value{x}
		total := true
		for _, n := range listOf(nodeList(e.Rexpr)) {
			y := l.expr(n, at)
			total = total && compares(x, y)
			parts = append(parts, y)
		}
		out := lazy(derived(typeBool, parts...), parts)
		out.total = out.total && total
		return out
	case ast.AEXPR_DISTINCT, ast.AEXPR_NOT_DISTINCT, ast.AEXPR_NULLIF:
		x, y := l.expr(e.Lexpr, at), l.expr(e.Rexpr, at)
		t := typeBool
		if e.Kind == ast.AEXPR_NULLIF {
			t = x.typ
			if t == typeLiteral {
				t, _ = common(x.typ, y.typ)
			}
		}
		out := derived(settledType(t), x, y)
		out.total = out.total && compares(x, y)
		return out
	}
	return partial(l.expr(e.Lexpr, at), l.expr(e.Rexpr, at))
}

func (l *lineage) binary(op string, e *ast.A_Expr, at *level) value {
	if isNilNode(e.Lexpr) {
		v := l.expr(e.Rexpr, at)
		switch {
		case op == "-" && (v.typ == typeNumeric || v.typ == typeFloat4 || v.typ == typeFloat8), op == "+" && rank(v.typ) >= 0:
			return derived(v.typ, v)
		case op == "-" && isNumber(e.Rexpr):
			return computed(v) // a negative constant
		}
		return partial(v)
	}
	x, y := l.expr(e.Lexpr, at), l.expr(e.Rexpr, at)
	if slices.Contains(comparisons, op) {
		out := derived(typeBool, x, y)
		out.total = out.total && compares(x, y)
		return out
	}
	args := []value{x, y}
	t, ok := apply(totalOperators[op], args, []ast.Node{e.Lexpr, e.Rexpr})
	if !ok {
		return partial(args...)
	}
	return derived(t, args...)
}

func isNumber(n ast.Node) bool {
	c, ok := n.(*ast.A_Const)
	if !ok {
		return false
	}
	switch c.Val.(type) {
	case *ast.Integer, *ast.Float:
		return true
	}
	return false
}
