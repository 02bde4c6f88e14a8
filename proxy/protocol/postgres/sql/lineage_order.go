// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strconv"

	"github.com/multigres/multigres/go/common/parser/ast"
)

func itoa(n int) string { return strconv.Itoa(n) }

// order follows ORDER BY and DISTINCT ON: a bare name is an output column
// before it is an input column, a bare integer is an output column.
func (l *lineage) order(list *ast.NodeList, columns []column, at *level, where string) {
	for _, n := range listOf(list) {
		if s, ok := n.(*ast.SortBy); ok {
			n = s.Node
		}
		if l.position(n, columns, where) {
			continue
		}
		name, ref := bareName(n)
		if ref == nil {
			l.predicate(l.expr(n, at).taint, where)
			continue
		}
		l.seen[ref] = true
		t, found, open := outputs(columns, name)
		l.predicate(t, where)
		if !found {
			if _, local, maybe, _ := at.find(name); !open || local || maybe {
				l.predicate(l.unqualified(name, at).taint, where)
			}
		}
	}
}

// orderResult follows ORDER BY of a set operation or VALUES, where only output
// columns can be named.
func (l *lineage) orderResult(list *ast.NodeList, columns []column, at *level) {
	for _, n := range listOf(list) {
		if s, ok := n.(*ast.SortBy); ok {
			n = s.Node
		}
		if l.position(n, columns, "ORDER BY") {
			continue
		}
		if name, ref := bareName(n); ref != nil {
			l.seen[ref] = true
			t, _, _ := outputs(columns, name)
			l.predicate(t, "ORDER BY")
			continue
		}
		// The server takes nothing else; whatever it is, it may use any column.
		result := &item{columns: columns, unqualified: true}
		l.predicate(l.expr(n, &level{parent: at, items: []*item{result}}).taint, "ORDER BY")
	}
}

// group follows GROUP BY: a bare name is an input column before it is an output
// column.
func (l *lineage) group(list *ast.NodeList, columns []column, at *level) {
	const where = "GROUP BY"
	for _, n := range listOf(list) {
		if !l.enter() {
			return
		}
		l.groupItem(n, columns, at, where)
		l.leave()
	}
}

func (l *lineage) groupItem(n ast.Node, columns []column, at *level, where string) {
	switch n := n.(type) {
	case *ast.GroupingSet:
		l.group(n.Content, columns, at)
		return
	case *ast.NodeList:
		l.group(n, columns, at)
		return
	case *ast.ParenExpr:
		l.groupItem(n.Expr, columns, at, where)
		return
	case *ast.RowExpr:
		l.group(n.Args, columns, at)
		return
	}
	if l.position(n, columns, where) {
		return
	}
	name, ref := bareName(n)
	if ref == nil {
		l.predicate(l.expr(n, at).taint, where)
		return
	}
	l.seen[ref] = true
	v, found, open, rest := at.find(name)
	if found {
		l.predicate(v.taint, where)
		return
	}
	l.predicate(rest, where)
	t, output, hole := outputs(columns, name)
	l.predicate(t, where)
	if !output && !hole && !open {
		l.predicate(l.unqualified(name, at).taint, where)
	}
}

// position handles an output column given by its number.
func (l *lineage) position(n ast.Node, columns []column, where string) bool {
	for {
		p, ok := n.(*ast.ParenExpr)
		if !ok {
			break
		}
		n = p.Expr
	}
	c, ok := n.(*ast.A_Const)
	if !ok {
		return false
	}
	i, ok := c.Val.(*ast.Integer)
	if !ok {
		return false
	}
	for k, col := range columns {
		if col.hole { // from here on the position may be any column
			for _, later := range columns[k:] {
				l.predicate(later.taint, where)
			}
			return true
		}
		if k+1 == i.IVal {
			l.predicate(col.taint, where)
			return true
		}
	}
	return true
}

// bareName is the name of a column reference of one part.
func bareName(n ast.Node) (string, *ast.ColumnRef) {
	for {
		p, ok := n.(*ast.ParenExpr)
		if !ok {
			break
		}
		n = p.Expr
	}
	ref, ok := n.(*ast.ColumnRef)
	if !ok {
		return "", nil
	}
	fields, subscripts, star := refParts(ref)
	if len(fields) != 1 || star || len(subscripts) > 0 {
		return "", nil
	}
	return fields[0], ref
}

// outputs finds the output columns of a name, and whether there may be others
// of that name that are not known.
func outputs(columns []column, name string) (t taint, found, open bool) {
	for _, c := range columns {
		switch {
		case c.hole:
			t, open = t.with(c.taint), true
		case c.name == name:
			t, found = t.with(c.taint), true
		}
	}
	return t, found, open
}

// window follows a window definition: it decides about the order in which rows
// leave it.
func (l *lineage) window(w *ast.WindowDef, at *level) {
	if w == nil || !l.enter() {
		return
	}
	defer l.leave()
	for _, n := range listOf(w.PartitionClause) {
		l.predicate(l.expr(n, at).taint, "PARTITION BY")
	}
	l.sorted(w.OrderClause, at, "ORDER BY of a window")
	for _, n := range []ast.Node{w.StartOffset, w.EndOffset} {
		l.condition(n, at, "frame of a window")
	}
}

// sorted follows ORDER BY where names are input columns only. It returns the
// values.
func (l *lineage) sorted(list *ast.NodeList, at *level, where string) (values []value, nodes []ast.Node) {
	for _, n := range listOf(list) {
		if s, ok := n.(*ast.SortBy); ok {
			n = s.Node
		}
		v := l.expr(n, at)
		l.predicate(v.taint, where)
		values, nodes = append(values, v), append(nodes, n)
	}
	return values, nodes
}
