// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// alwaysTrue says whether a condition does not bound the rows: there is none,
// it reads no column, or it is true whatever the row holds. It errs towards
// true for conditions without columns and towards false for the rest.
//
// alias is the name of the row that the condition is about: inside a subquery
// only references to that name bound the rows.
func alwaysTrue(n ast.Node, alias string) bool {
	if isNilNode(n) {
		return true
	}
	switch n := n.(type) {
	case *ast.ParenExpr:
		return alwaysTrue(n.Expr, alias)
	case *ast.BoolExpr:
		switch {
		case n.Args == nil:
			return true
		case n.Boolop == ast.OR_EXPR:
			return slices.ContainsFunc(n.Args.Items, func(x ast.Node) bool { return alwaysTrue(x, alias) })
		case n.Boolop == ast.AND_EXPR:
			return !slices.ContainsFunc(n.Args.Items, func(x ast.Node) bool { return !alwaysTrue(x, alias) })
		}
	case *ast.A_Expr:
		if sameColumn(n.Lexpr, n.Rexpr) {
			return true
		}
	case *ast.CurrentOfExpr:
		return false
	}
	return !readsColumn(n, alias, false, 0)
}

// sameColumn is true for both sides of id = id, id <= id and the like; such a
// condition tells nothing about a row but that the column is not null.
func sameColumn(x, y ast.Node) bool {
	left, ok := x.(*ast.ColumnRef)
	if !ok {
		return false
	}
	right, ok := y.(*ast.ColumnRef)
	return ok && left.SqlString() == right.SqlString()
}

func readsColumn(n ast.Node, alias string, nested bool, depth int) bool {
	if isNilNode(n) || depth > maxDepth {
		return false
	}
	switch n := n.(type) {
	case *ast.ColumnRef:
		if !nested {
			return true
		}
		first, ok := n.Fields.Items[0].(*ast.String)
		return ok && len(n.Fields.Items) > 1 && first.SVal == alias
	case *ast.CurrentOfExpr:
		return true
	case *ast.SelectStmt:
		nested = true
	}
	found := false
	children(n, func(c ast.Node) { found = found || readsColumn(c, alias, nested, depth+1) })
	return found
}
