// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

func (a *analysis) insert(s *ast.InsertStmt, parent *scope) {
	outer := a.with(s.WithClause, parent)
	t, ok := a.relation(s.Relation)
	if !ok {
		return
	}
	a.eachAccess(ActionInsert, t, a.assigned(s.Cols, nil))
	if !isNilNode(s.SelectStmt) {
		a.statement(s.SelectStmt, outer, false)
	}
	level := &scope{parent: outer}
	a.item(s.Relation, t, level)
	if c := s.OnConflictClause; c != nil {
		a.onConflict(c, t, level)
	}
	a.returning(s.ReturningList, t, level)
}

func (a *analysis) onConflict(c *ast.OnConflictClause, t target, level *scope) {
	// excluded is the row proposed by the caller; it hides nothing.
	inner := &scope{parent: level, items: []*fromItem{{alias: "excluded"}}}
	if c.Infer != nil {
		a.list(c.Infer.IndexElems, level)
		a.expr(c.Infer.WhereClause, level)
	}
	if c.TargetList != nil && len(c.TargetList.Items) > 0 {
		a.eachAccess(ActionUpdate, t, a.assigned(c.TargetList, inner))
	}
	a.expr(c.WhereClause, inner)
}

func (a *analysis) update(s *ast.UpdateStmt, parent *scope) {
	outer := a.with(s.WithClause, parent)
	t, ok := a.relation(s.Relation)
	if !ok {
		return
	}
	level := &scope{parent: outer}
	a.item(s.Relation, t, level)
	a.fromList(s.FromClause, level)
	a.eachAccess(ActionUpdate, t, a.assigned(s.TargetList, level))
	a.expr(s.WhereClause, level)
	if alwaysTrue(s.WhereClause, aliasOf(s.Relation)) {
		a.property(PropertyUnboundedWrite)
	}
	a.returning(s.ReturningList, t, level)
}

func (a *analysis) delete(s *ast.DeleteStmt, parent *scope) {
	outer := a.with(s.WithClause, parent)
	t, ok := a.relation(s.Relation)
	if !ok {
		return
	}
	level := &scope{parent: outer}
	a.item(s.Relation, t, level)
	a.eachAccess(ActionDelete, t, nil)
	a.fromList(s.UsingClause, level)
	a.expr(s.WhereClause, level)
	if alwaysTrue(s.WhereClause, aliasOf(s.Relation)) {
		a.property(PropertyUnboundedWrite)
	}
	a.returning(s.ReturningList, t, level)
}

func (a *analysis) merge(s *ast.MergeStmt, parent *scope) {
	outer := a.with(s.WithClause, parent)
	t, ok := a.relation(s.Relation)
	if !ok {
		return
	}
	level := &scope{parent: outer}
	a.item(s.Relation, t, level)
	a.from(s.SourceRelation, level)
	a.expr(s.JoinCondition, level)
	if s.MergeWhenClauses != nil {
		for _, n := range s.MergeWhenClauses.Items {
			w, ok := n.(*ast.MergeWhenClause)
			if !ok {
				a.unknownNode(n)
				continue
			}
			a.mergeWhen(w, t, level, alwaysTrue(s.JoinCondition, aliasOf(s.Relation)))
		}
	}
	a.returning(s.ReturningList, t, level)
}

func (a *analysis) mergeWhen(w *ast.MergeWhenClause, t target, level *scope, joinTrue bool) {
	a.expr(w.Condition, level)
	targets := ast.NewNodeList()
	for _, r := range w.TargetList {
		targets.Append(r)
	}
	columns := a.assigned(targets, level)
	a.list(w.Values, level)
	switch w.CommandType {
	case ast.CMD_INSERT:
		a.eachAccess(ActionInsert, t, columns)
		return
	case ast.CMD_UPDATE:
		a.eachAccess(ActionUpdate, t, columns)
	case ast.CMD_DELETE:
		a.eachAccess(ActionDelete, t, nil)
	case ast.CMD_NOTHING:
		a.eachAccess(ActionSelect, t, nil)
		return
	default:
		a.unknownNode(w)
		return
	}
	bySource := w.MatchKind == ast.MERGE_WHEN_NOT_MATCHED_BY_SOURCE
	if (joinTrue || bySource) && alwaysTrue(w.Condition, level.items[0].alias) {
		a.property(PropertyUnboundedWrite)
	}
}

// assigned walks the column list of INSERT or the SET list of UPDATE and
// returns the columns that are written. level is where the values are read;
// nil for a list without values.
func (a *analysis) assigned(l *ast.NodeList, level *scope) []string {
	if l == nil {
		return nil
	}
	var out []string
	for _, n := range l.Items {
		t, ok := n.(*ast.ResTarget)
		if !ok {
			a.unknownNode(n)
			continue
		}
		out = append(out, t.Name)
		a.expr(t.Val, level)
		a.list(t.Indirection, level)
	}
	return out
}

// returning reads the rows that were written, so it selects from their table.
func (a *analysis) returning(l *ast.NodeList, t target, level *scope) {
	if l == nil || len(l.Items) == 0 {
		return
	}
	a.eachAccess(ActionSelect, t, nil)
	a.list(l, level)
}

// into creates a relation from a query.
func (a *analysis) into(c *ast.IntoClause, level *scope) {
	if c == nil {
		return
	}
	a.create(c.Rel)
	a.list(c.Options, level)
	if !isNilNode(c.ViewQuery) {
		a.statement(c.ViewQuery, nil, false)
	}
}

// create notes a relation that comes into being.
func (a *analysis) create(v *ast.RangeVar) {
	if v == nil || !a.checkRangeVar(v) {
		return
	}
	a.out.Effects.IsDDL = true
	if v.RelPersistence == ast.RELPERSISTENCE_TEMP || isTempSchema(v.SchemaName) {
		a.access(ActionCreate, catalog.TempSchema+"."+v.RelName, nil)
		a.out.Effects.CreatesTemp = append(a.out.Effects.CreatesTemp, v.RelName)
		return
	}
	name := a.creation(v.SchemaName, v.RelName)
	a.access(ActionCreate, name, nil)
	a.out.Effects.Creates = append(a.out.Effects.Creates, name)
}

// aliasOf is the name by which the rest of the statement calls a relation.
func aliasOf(v *ast.RangeVar) string {
	if v.Alias != nil && v.Alias.AliasName != "" {
		return v.Alias.AliasName
	}
	return v.RelName
}
