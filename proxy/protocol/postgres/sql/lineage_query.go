// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// query follows a statement that yields rows and returns its columns.
func (l *lineage) query(n ast.Node, parent *level) []column {
	if isNilNode(n) || !l.enter() {
		return nil
	}
	defer l.leave()
	switch s := n.(type) {
	case *ast.SelectStmt:
		return l.selects(s, parent)
	case *ast.ParenExpr:
		return l.query(s.Expr, parent)
	case *ast.InsertStmt:
		return l.insert(s, parent)
	case *ast.UpdateStmt:
		return l.update(s, parent)
	case *ast.DeleteStmt:
		return l.delete(s, parent)
	case *ast.MergeStmt:
		return l.merge(s, parent)
	default:
		l.refuse(notFollowed(n))
		return nil
	}
}

func notFollowed(n ast.Node) *Error {
	return refuse(StateInsufficientPrivilege, "Write the statement in another way, or ask for access to the masked columns.",
		"masked columns cannot be followed through: %s", nodeName(n))
}

func (l *lineage) selects(s *ast.SelectStmt, parent *level) []column {
	outer := l.with(s.WithClause, parent)
	var columns []column
	at := &level{parent: outer}
	switch {
	case s.Op != ast.SETOP_NONE:
		columns = l.combine(s, l.query(s.Larg, outer), l.query(s.Rarg, outer))
		l.orderResult(s.SortClause, columns, at)
	case s.ValuesLists != nil && len(s.ValuesLists.Items) > 0:
		columns = l.values(s.ValuesLists, at)
		l.orderResult(s.SortClause, columns, at)
	default:
		columns = l.selectLevel(s, at)
	}
	for _, limit := range []ast.Node{s.LimitCount, s.LimitOffset} {
		if !isNilNode(limit) {
			l.predicate(l.expr(limit, at).taint, "LIMIT")
		}
	}
	if s.LockingClause != nil {
		l.lockedRelations(s.LockingClause)
	}
	if s.IntoClause != nil {
		l.stored(columns, "SELECT INTO")
		l.created(s.IntoClause)
	}
	return columns
}

// stored refuses columns that a relation is made of, or rows are inserted from.
func (l *lineage) stored(columns []column, where string) {
	for _, c := range columns {
		l.write(c.taint, where)
	}
}

// created marks the name of a relation that is made: nothing is read from it.
func (l *lineage) created(c *ast.IntoClause) {
	if c != nil && c.Rel != nil {
		l.seen[c.Rel] = true
	}
}

// lockedRelations marks the names in FOR UPDATE OF, which are members of FROM.
func (l *lineage) lockedRelations(list *ast.NodeList) {
	for _, n := range list.Items {
		if c, ok := n.(*ast.LockingClause); ok && c.LockedRels != nil {
			for _, r := range c.LockedRels.Items {
				l.seen[r] = true
			}
		}
	}
}

func (l *lineage) selectLevel(s *ast.SelectStmt, at *level) []column {
	l.nesting++
	defer func() { l.nesting-- }()
	l.from(s.FromClause, at)
	columns := l.targets(s.TargetList, at)
	l.condition(s.WhereClause, at, "WHERE")
	l.group(s.GroupClause, columns, at)
	l.condition(s.HavingClause, at, "HAVING")
	if s.WindowClause != nil {
		for _, n := range s.WindowClause.Items {
			if w, ok := n.(*ast.WindowDef); ok {
				l.window(w, at)
			}
		}
	}
	if s.DistinctClause != nil {
		if len(s.DistinctClause.Items) == 0 {
			for _, c := range columns {
				l.predicate(c.taint, "DISTINCT")
			}
		}
		l.order(s.DistinctClause, columns, at, "DISTINCT ON")
	}
	l.order(s.SortClause, columns, at, "ORDER BY")
	return columns
}

func (l *lineage) condition(n ast.Node, at *level, where string) {
	if !isNilNode(n) {
		l.predicate(l.expr(n, at).taint, where)
	}
}

// targets lists the columns of a SELECT or RETURNING list.
func (l *lineage) targets(list *ast.NodeList, at *level) []column {
	if list == nil {
		return nil
	}
	var out []column
	for _, n := range list.Items {
		t, ok := n.(*ast.ResTarget)
		if !ok {
			l.refuse(notFollowed(n))
			return nil
		}
		if spread, ok := l.starTarget(t.Val, at); ok {
			for _, c := range spread {
				l.settle(c.value)
			}
			out = append(out, spread...)
		} else {
			name := t.Name
			if name == "" {
				name = label(t.Val)
			}
			v := l.settle(l.expr(t.Val, at))
			v.row = nil
			out = append(out, column{name: name, value: v})
		}
		if len(out) > maxColumns {
			l.refuse(refuse(StateTooComplex, "Select fewer columns.", "query has more than %d columns", maxColumns))
		}
		if l.err != nil {
			return nil
		}
	}
	return out
}

// starTarget expands *, t.* and (row).*.
func (l *lineage) starTarget(n ast.Node, at *level) ([]column, bool) {
	switch n := n.(type) {
	case *ast.ColumnRef:
		if _, subscripts, star := refParts(n); star && len(subscripts) == 0 {
			return l.expand(n, at), true
		}
	case *ast.A_Indirection:
		if n.Indirection == nil || len(n.Indirection.Items) == 0 {
			return nil, false
		}
		if _, star := n.Indirection.Items[len(n.Indirection.Items)-1].(*ast.A_Star); !star {
			return nil, false
		}
		v := l.expr(n.Arg, at)
		if len(n.Indirection.Items) == 1 && v.row != nil {
			return l.spread(v.row), true
		}
		for _, f := range n.Indirection.Items {
			if _, name := f.(*ast.String); !name {
				v = partial(v, l.expr(f, at))
			}
		}
		return []column{{hole: true, value: l.settle(partial(v))}}, true
	}
	return nil, false
}

// values is VALUES: each column is what it is in every row.
func (l *lineage) values(rows *ast.NodeList, at *level) []column {
	var out []column
	for n, r := range rows.Items {
		list, ok := r.(*ast.NodeList)
		if !ok {
			l.refuse(notFollowed(r))
			return nil
		}
		for i, x := range list.Items {
			v := l.settle(l.expr(x, at))
			v.row = nil
			switch {
			case n == 0:
				out = append(out, column{name: "column" + itoa(i+1), value: v})
			case i < len(out):
				out[i].value = l.settle(merged(out[i].value, v))
			}
		}
	}
	return out
}

// combine is a set operation. All but UNION ALL compare the rows.
func (l *lineage) combine(s *ast.SelectStmt, left, right []column) []column {
	if s.Op != ast.SETOP_UNION || !s.All {
		for _, c := range slices.Concat(left, right) {
			l.predicate(c.taint, "UNION, INTERSECT or EXCEPT")
		}
	}
	return l.united(left, right)
}

// united merges the columns of two arms, by position.
func (l *lineage) united(left, right []column) []column {
	hole := func(c column) bool { return c.hole }
	if !slices.ContainsFunc(left, hole) && !slices.ContainsFunc(right, hole) {
		out := slices.Clone(left)
		for i := range out {
			if i < len(right) {
				out[i].value = l.settle(merged(left[i].value, right[i].value))
			}
		}
		return out
	}
	all := derived(typeOther, valuesOf(slices.Concat(left, right))...)
	if !all.on() {
		return left
	}
	all.total = false
	l.settle(all)
	out := slices.Clone(left)
	for i := range out {
		out[i].value = all
	}
	return out
}

// with notes the queries of WITH and returns the level that sees them. Without
// RECURSIVE a query sees only those before it.
func (l *lineage) with(w *ast.WithClause, parent *level) *level {
	if w == nil || w.Ctes == nil {
		return parent
	}
	at := parent
	if w.Recursive {
		at = &level{parent: parent, ctes: map[string]*cte{}}
	}
	for _, n := range w.Ctes.Items {
		node, ok := n.(*ast.CommonTableExpr)
		if !ok {
			l.refuse(notFollowed(n))
			return parent
		}
		c := &cte{node: node, at: at, recursive: w.Recursive}
		if w.Recursive {
			at.ctes[node.Ctename] = c
			continue
		}
		l.evaluate(c)
		at = &level{parent: at, ctes: map[string]*cte{node.Ctename: c}}
	}
	if w.Recursive {
		for _, n := range w.Ctes.Items {
			if node, ok := n.(*ast.CommonTableExpr); ok {
				l.evaluate(at.ctes[node.Ctename])
			}
		}
	}
	return at
}

// evaluate follows the query of WITH, once.
func (l *lineage) evaluate(c *cte) {
	if c.state != cteNew {
		return
	}
	c.state = cteRunning
	l.nesting++ // its columns may be computed whether they are used or not
	defer func() { l.nesting-- }()
	s, union := c.node.Ctequery.(*ast.SelectStmt)
	if c.recursive && union && s.Op == ast.SETOP_UNION {
		l.fixpoint(c, s)
	} else {
		c.columns = rename(l.query(c.node.Ctequery, c.at), c.node.Aliascolnames)
	}
	c.columns = l.searched(c)
	c.state = cteKnown
}

// fixpoint follows a recursive query until nothing is added: each pass can only
// make the columns depend on more.
func (l *lineage) fixpoint(c *cte, s *ast.SelectStmt) {
	at := l.with(s.WithClause, c.at)
	c.columns = rename(l.query(s.Larg, at), c.node.Aliascolnames)
	for l.err == nil {
		next := rename(l.combine(s, c.columns, l.query(s.Rarg, at)), c.node.Aliascolnames)
		if slices.Equal(next, c.columns) {
			break
		}
		c.columns = next
	}
	inner := &level{parent: at}
	l.orderResult(s.SortClause, c.columns, inner)
	for _, limit := range []ast.Node{s.LimitCount, s.LimitOffset} {
		if !isNilNode(limit) {
			l.predicate(l.expr(limit, inner).taint, "LIMIT")
		}
	}
}

// searched adds the columns of SEARCH and CYCLE. A cycle ends the recursion.
func (l *lineage) searched(c *cte) []column {
	out := c.columns
	add := func(names *ast.NodeList, where string, more ...string) {
		var t value
		for _, n := range listOf(names) {
			for _, col := range out {
				if s, ok := n.(*ast.String); ok && (col.hole || col.name == s.SVal) {
					t = derived(typeOther, t, col.value)
				}
			}
		}
		l.predicate(t.taint, where)
		for _, name := range more {
			out = append(out[:len(out):len(out)], column{name: name, value: partial(t)})
		}
	}
	if s := c.node.SearchClause; s != nil {
		add(s.SearchColList, "SEARCH", s.SearchSeqColumn)
	}
	if s := c.node.CycleClause; s != nil {
		at := &level{parent: c.at}
		l.expr(s.CycleMarkValue, at)
		l.expr(s.CycleMarkDefault, at)
		add(s.CycleColList, "CYCLE", s.CycleMarkColumn, s.CyclePathColumn)
	}
	return out
}

func listOf(l *ast.NodeList) []ast.Node {
	if l == nil {
		return nil
	}
	return l.Items
}

// rename gives columns other names, from the left.
func rename(columns []column, names *ast.NodeList) []column {
	list := listOf(names)
	if len(list) == 0 {
		return columns
	}
	out := make([]column, 0, len(columns))
	for i, c := range columns {
		if c.hole {
			// Any number of columns: the names left may belong to these.
			for _, n := range list[min(i, len(list)):] {
				if s, ok := n.(*ast.String); ok {
					out = append(out, column{name: s.SVal, value: c.value})
				}
			}
			return append(out, columns[i:]...)
		}
		if i < len(list) {
			if s, ok := list[i].(*ast.String); ok {
				c.name = s.SVal
			}
		}
		out = append(out, c)
	}
	return out
}
