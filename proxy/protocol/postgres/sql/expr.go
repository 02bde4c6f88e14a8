// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"
)

// expr walks an expression, or any node without a rule of its own.
func (a *analysis) expr(n ast.Node, level *scope) {
	if isNilNode(n) || !a.enter() {
		return
	}
	defer a.leave()
	switch n := n.(type) {
	case *ast.SelectStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.MergeStmt:
		a.statement(n, level, false)
		return
	case *ast.ColumnRef:
		a.columnRef(n, level)
		return
	case *ast.RangeVar:
		if t, ok := a.relation(n); ok && !a.makes(t) {
			a.eachAccess(ActionSelect, t, nil)
		}
		return
	case *ast.FuncCall:
		a.funcCall(n)
		a.makesValues(n)
	case *ast.TypeCast:
		a.cast(n.TypeName)
	case *ast.TypeName:
		a.checkedType(n)
	case *ast.A_Expr:
		a.operatorExpr(n)
	case *ast.SubLink:
		a.operator(n.OperName)
		if !isNilNode(n.Testexpr) && (n.OperName == nil || len(n.OperName.Items) == 0) {
			a.operatorName("", "=") // IN
		}
	case *ast.SortBy:
		a.operator(n.UseOp)
	case *ast.CaseExpr:
		if !isNilNode(n.Arg) {
			a.operatorName("", "=")
		}
	case *ast.A_Indirection:
		a.attributes(n.Indirection)
	case *ast.MultiAssignRef:
		if n.Colno > 1 {
			return // the source is shared by all columns of the assignment
		}
	case *ast.Alias:
		return
	default:
		if !knownNode(n) {
			a.unknownNode(n)
		}
	}
	children(n, func(c ast.Node) { a.expr(c, level) })
}

func (a *analysis) list(l *ast.NodeList, level *scope) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		a.expr(n, level)
	}
}

// columnRef notes a reference to a column, a row or a star.
func (a *analysis) columnRef(n *ast.ColumnRef, level *scope) {
	if a.seen[n] {
		return
	}
	a.seen[n] = true
	c := &columnUse{scope: level}
	if n.Fields != nil {
		a.fields(n.Fields.Items, c, level)
	}
	if parts := len(c.fields); parts > 3 || parts == 3 && c.star {
		a.fail(refuse(StateFeatureNotSupported, "Write schema.relation.column, or use an alias.",
			"cross-database references are not forwarded: %q", c.fields[0]))
		return
	}
	a.uses = append(a.uses, c)
}

// fields reads the parts of a reference. The parser keeps subscripts in the
// same list, and what follows one is an attribute of the element.
func (a *analysis) fields(items []ast.Node, c *columnUse, level *scope) {
	subscript := false
	for _, f := range items {
		switch f := f.(type) {
		case *ast.String:
			if subscript {
				a.rowCall(f.SVal)
				continue
			}
			c.fields = append(c.fields, f.SVal)
		case *ast.A_Star:
			c.star = !subscript
		case *ast.A_Indices:
			subscript = true
			a.expr(f, level)
		default:
			a.unknownNode(f)
		}
	}
}

// systemColumns exist in every table (PostgreSQL manual, 5.5).
var systemColumns = map[string]bool{
	"tableoid": true, "xmin": true, "cmin": true, "xmax": true, "cmax": true, "ctid": true,
}

// attributes handles (expression).name, which may call a function.
func (a *analysis) attributes(l *ast.NodeList) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		if s, ok := n.(*ast.String); ok {
			a.rowCall(s.SVal)
		}
	}
}

// candidates are the items that a qualified reference can mean: those of its
// own level and of all levels around it that bear the name.
func (u *columnUse) candidates() []*fromItem {
	qualifier := u.fields[0]
	schema := ""
	switch {
	case u.star && len(u.fields) == 2:
		schema, qualifier = u.fields[0], u.fields[1]
	case !u.star && len(u.fields) == 3:
		schema, qualifier = u.fields[0], u.fields[1]
	}
	var out []*fromItem
	for s := u.scope; s != nil; s = s.parent {
		for _, i := range s.items {
			if i.alias == qualifier && (schema == "" || i.rel != nil && i.rel.Schema == schema) {
				out = append(out, i)
			}
		}
	}
	return out
}
