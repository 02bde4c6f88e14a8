// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"
)

// maintenance walks statements that act on existing relations as a whole.
func (a *analysis) maintenance(n ast.Node) {
	switch s := n.(type) {
	case *ast.TruncateStmt:
		a.out.Kind = "TRUNCATE TABLE"
		a.cascade(s.Behavior)
		a.relationList(s.Relations, ActionTruncate)
	case *ast.LockStmt:
		a.out.Kind = "LOCK TABLE"
		a.relationList(s.Relations, ActionLock)
	case *ast.VacuumStmt:
		a.out.Kind = "ANALYZE"
		if s.IsVacuumcmd {
			a.out.Kind = "VACUUM"
		}
		a.vacuum(s)
	case *ast.ClusterStmt:
		a.out.Kind = "CLUSTER"
		if s.Relation == nil {
			a.facts.kind = a.out.Kind // rows of any relation get another order
		}
		a.maintainOne(s.Relation)
	case *ast.ReindexStmt:
		a.out.Kind = "REINDEX"
		switch {
		case s.Relation != nil:
			a.maintainOne(s.Relation)
		case s.Kind == ast.REINDEX_OBJECT_SCHEMA:
			a.access(ActionMaintain, "schema:"+s.Name, nil)
		default:
			a.access(ActionMaintain, "database:"+s.Name, nil)
		}
	case *ast.RefreshMatViewStmt:
		a.out.Kind = "REFRESH MATERIALIZED VIEW"
		a.maintainOne(s.Relation)
	case *ast.CheckPointStmt:
		a.out.Kind = "CHECKPOINT"
		a.access(ActionMaintain, "", nil)
	default:
		a.definition(n)
	}
}

func (a *analysis) cascade(b ast.DropBehavior) {
	if b == ast.DropCascade {
		a.property(PropertyCascade)
	}
}

func (a *analysis) relationList(l *ast.NodeList, action string) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		v, ok := n.(*ast.RangeVar)
		if !ok {
			a.unknownNode(n)
			continue
		}
		if t, ok := a.relation(v); ok {
			a.eachAccess(action, t, nil)
		}
	}
}

func (a *analysis) maintainOne(v *ast.RangeVar) {
	if v == nil {
		a.access(ActionMaintain, "", nil)
		return
	}
	if t, ok := a.relation(v); ok {
		a.eachAccess(ActionMaintain, t, nil)
	}
}

func (a *analysis) vacuum(s *ast.VacuumStmt) {
	if s.Rels == nil || len(s.Rels.Items) == 0 {
		a.access(ActionMaintain, "", nil)
		return
	}
	for _, n := range s.Rels.Items {
		v, ok := n.(*ast.VacuumRelation)
		if !ok || v.Relation == nil {
			a.unknownNode(n)
			continue
		}
		a.maintainOne(v.Relation)
	}
}
