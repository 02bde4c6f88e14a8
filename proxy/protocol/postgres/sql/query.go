// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"
)

// with walks the CTEs of a level and returns the scope in which their names are
// visible. Without RECURSIVE a CTE sees only those before it, so that its own
// name inside it still means the real relation.
func (a *analysis) with(w *ast.WithClause, parent *scope) *scope {
	s := &scope{parent: parent, ctes: map[string]bool{}}
	if w == nil || w.Ctes == nil {
		return s
	}
	if w.Recursive {
		for _, n := range w.Ctes.Items {
			if c, ok := n.(*ast.CommonTableExpr); ok {
				s.ctes[c.Ctename] = true
			}
		}
	}
	for _, n := range w.Ctes.Items {
		c, ok := n.(*ast.CommonTableExpr)
		if !ok {
			a.unknownNode(n)
			continue
		}
		switch c.Ctequery.(type) {
		case *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.MergeStmt:
			a.property(PropertyWritableCTE)
		}
		a.statement(c.Ctequery, s, false)
		if c.SearchClause != nil {
			a.expr(c.SearchClause, s)
		}
		if c.CycleClause != nil {
			a.expr(c.CycleClause, s)
		}
		s.ctes[c.Ctename] = true
	}
	return s
}

// selectStmt walks one query level.
func (a *analysis) selectStmt(s *ast.SelectStmt, parent *scope) {
	if s == nil || !a.enter() {
		return
	}
	defer a.leave()
	first := len(a.accesses)
	outer := a.with(s.WithClause, parent)
	level := &scope{parent: outer}
	if s.Op != ast.SETOP_NONE {
		a.selectStmt(s.Larg, outer)
		a.selectStmt(s.Rarg, outer)
	}
	a.into(s.IntoClause, outer)
	a.fromList(s.FromClause, level)
	a.list(s.TargetList, level)
	a.list(s.DistinctClause, level)
	a.expr(s.WhereClause, level)
	a.list(s.GroupClause, level)
	a.expr(s.HavingClause, level)
	a.list(s.WindowClause, level)
	a.list(s.ValuesLists, level)
	a.list(s.SortClause, level)
	a.expr(s.LimitOffset, level)
	a.expr(s.LimitCount, level)
	a.locking(s.LockingClause, level, first)
}

// fromList walks FROM or USING.
func (a *analysis) fromList(l *ast.NodeList, level *scope) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		a.from(n, level)
	}
}

// from walks one member of FROM and returns what it adds to the level.
func (a *analysis) from(n ast.Node, level *scope) []*fromItem {
	if isNilNode(n) || !a.enter() {
		return nil
	}
	defer a.leave()
	switch n := n.(type) {
	case *ast.RangeVar:
		return a.fromRelation(n, level)
	case *ast.JoinExpr:
		return a.join(n, level)
	case *ast.RangeSubselect:
		a.statement(n.Subquery, level, false)
		return a.opaque(n.Alias, level)
	case *ast.RangeTableSample:
		items := a.from(n.Relation, level)
		a.sampleMethod(n.Method)
		a.list(n.Args, level)
		a.expr(n.Repeatable, level)
		return items
	case *ast.RangeFunction:
		a.list(n.Functions, level)
		a.list(n.ColDefList, level)
		return a.opaque(n.Alias, level)
	case *ast.RangeTableFunc:
		children(n, func(c ast.Node) {
			if _, alias := c.(*ast.Alias); !alias {
				a.expr(c, level)
			}
		})
		return a.opaque(n.Alias, level)
	case *ast.JsonTable:
		children(n, func(c ast.Node) {
			if _, alias := c.(*ast.Alias); !alias {
				a.expr(c, level)
			}
		})
		return a.opaque(n.Alias, level)
	case *ast.ParenExpr:
		return a.from(n.Expr, level)
	default:
		a.unknownNode(n)
		a.expr(n, level)
		return nil
	}
}

func (a *analysis) fromRelation(v *ast.RangeVar, level *scope) []*fromItem {
	if v.SchemaName == "" && v.CatalogName == "" && !a.firsts[v.RelName] && level.cte(v.RelName) {
		item := &fromItem{alias: v.RelName}
		a.alias(v.Alias, item)
		a.add(level, item)
		return []*fromItem{item}
	}
	t, ok := a.relation(v)
	if !ok {
		return nil
	}
	first := len(a.accesses)
	a.eachAccess(ActionSelect, t, nil)
	item := a.item(v, t, level)
	if len(t.session) == 0 {
		a.readsColumns(item, first)
	}
	return []*fromItem{item}
}

// item adds a relation to a level.
func (a *analysis) item(v *ast.RangeVar, t target, level *scope) *fromItem {
	item := &fromItem{alias: v.RelName, rel: t.rel}
	a.alias(v.Alias, item)
	a.add(level, item)
	return item
}

// maxItems bounds the members of all FROM lists together: the check of masks
// looks at each of them for every column reference.
const maxItems = 1000

func (a *analysis) add(level *scope, item *fromItem) {
	if a.items >= maxItems {
		a.fail(refuse(StateTooComplex, "Split the statement.",
			"statement has too many relations, subqueries and functions in FROM: more than %d", maxItems))
		return
	}
	level.items = append(level.items, item)
	a.items++
}

func (a *analysis) alias(alias *ast.Alias, item *fromItem) {
	if alias == nil {
		return
	}
	if alias.AliasName != "" {
		item.alias = alias.AliasName
	}
	if alias.ColNames != nil && len(alias.ColNames.Items) > 0 {
		item.aliased = true
	}
}

// opaque adds a subquery or function: what comes out of it was checked inside.
func (a *analysis) opaque(alias *ast.Alias, level *scope) []*fromItem {
	item := &fromItem{}
	a.alias(alias, item)
	a.add(level, item)
	return []*fromItem{item}
}

func (a *analysis) join(j *ast.JoinExpr, level *scope) []*fromItem {
	items := a.from(j.Larg, level)
	items = append(items, a.from(j.Rarg, level)...)
	if j.IsNatural {
		a.operatorName("", "=")
		for _, i := range items {
			i.readAll()
		}
	}
	for _, n := range listOf(j.UsingClause) {
		if s, ok := n.(*ast.String); ok {
			for _, i := range items {
				i.reads(s.SVal)
			}
		}
	}
	if j.UsingClause != nil && len(j.UsingClause.Items) > 0 {
		a.operatorName("", "=")
	}
	a.expr(j.Quals, level)
	if j.JoinUsingAlias != nil {
		item := &fromItem{}
		a.alias(j.JoinUsingAlias, item)
		a.add(level, item)
	}
	if j.Alias != nil {
		item := &fromItem{}
		a.alias(j.Alias, item)
		a.add(level, item)
	}
	return items
}

// locking adds lock accesses for FOR UPDATE and the like: to the named items,
// or to everything read at this level and below.
func (a *analysis) locking(l *ast.NodeList, level *scope, first int) {
	if l == nil || len(l.Items) == 0 {
		return
	}
	a.property(PropertyRowLock)
	all := false
	for _, n := range l.Items {
		c, ok := n.(*ast.LockingClause)
		if !ok {
			a.unknownNode(n)
			continue
		}
		if c.LockedRels != nil && len(c.LockedRels.Items) > 0 && a.lockNamed(c.LockedRels, level) {
			continue
		}
		all = true
	}
	if !all {
		return
	}
	locked := map[string]bool{}
	for _, x := range a.accesses[first:] {
		switch {
		case x.Action != ActionSelect:
		case x.Indirect:
			a.accesses = append(a.accesses, Access{Action: ActionLock, Resource: x.Resource, Indirect: true})
		case !locked[x.Resource]:
			locked[x.Resource] = true
			a.access(ActionLock, x.Resource, nil)
		}
	}
}

// lockNamed handles FOR UPDATE OF; false where one of the names is not a plain
// relation of the level.
func (a *analysis) lockNamed(rels *ast.NodeList, level *scope) bool {
	var found []*fromItem
	for _, n := range rels.Items {
		v, ok := n.(*ast.RangeVar)
		if !ok {
			return false
		}
		var match *fromItem
		for _, i := range level.items {
			if i.alias == v.RelName && i.rel != nil {
				match = i
			}
		}
		if match == nil {
			return false
		}
		found = append(found, match)
	}
	for _, i := range found {
		a.access(ActionLock, i.rel.String(), nil)
	}
	return true
}
