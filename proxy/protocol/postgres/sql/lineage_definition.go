// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// definitionStatement decides about what is no query, where it reaches masked
// relations: it shows no rows.
func (l *lineage) definitionStatement(n ast.Node) []column {
	switch s := n.(type) {
	case *ast.DropStmt, *ast.TruncateStmt, *ast.LockStmt, *ast.VacuumStmt, *ast.ReindexStmt, *ast.RefreshMatViewStmt,
		*ast.CommentStmt, *ast.FetchStmt:
		return nil
	case *ast.CreateStmt:
		l.createTable(s)
		return nil
	case *ast.IndexStmt:
		l.createIndex(s)
		return nil
	}
	l.refuse(refuse(StateInsufficientPrivilege, hintWrite,
		"definition changes, or is made from, a relation with masked columns: %s", nodeName(n)))
	return nil
}

// createTable allows a table whose rows are the caller's own: not one that rows
// of a masked relation move to, nor one that tells by a foreign key which values
// there are. LIKE copies no rows.
func (l *lineage) createTable(s *ast.CreateStmt) {
	for _, n := range listOf(s.InhRelations) {
		v, ok := n.(*ast.RangeVar)
		if !ok {
			l.refuse(notFollowed(n))
			return
		}
		if t, ok := l.resolve(v); !ok || t.rel != nil && l.reach(t.rel.OID).on() {
			l.refuse(refuse(StateInsufficientPrivilege, "Make a table of its own.",
				"table would take part in a relation with masked columns: %q", v.RelName))
		}
	}
	l.foreignKeys(s)
}

func (l *lineage) foreignKeys(n ast.Node) {
	if c, ok := n.(*ast.Constraint); ok && c.Pktable != nil {
		t, ok := l.resolve(c.Pktable)
		if !ok {
			l.refuse(notFollowed(n))
			return
		}
		if t.rel == nil {
			return
		}
		if len(listOf(c.PkAttrs)) == 0 {
			l.predicate(l.uniqueColumns(t), "FOREIGN KEY")
		}
		i := l.named(t.rel.Name, t)
		for _, a := range listOf(c.PkAttrs) {
			if name, ok := a.(*ast.String); ok {
				l.predicate(l.qualified(i, name.SVal).taint, "FOREIGN KEY")
			}
		}
	}
	children(n, l.foreignKeys)
}

// createIndex allows an index over columns that are not masked: making one may
// fail on what the columns hold.
func (l *lineage) createIndex(s *ast.IndexStmt) {
	i, _ := l.written(s.Relation)
	at := &level{items: []*item{i}}
	for _, n := range slices.Concat(listOf(s.IndexParams), listOf(s.IndexIncludingParams)) {
		e, ok := n.(*ast.IndexElem)
		switch {
		case !ok:
			l.refuse(notFollowed(n))
		case e.Name != "":
			l.predicate(l.qualified(i, e.Name).taint, "CREATE INDEX")
		default:
			l.condition(e.Expr, at, "CREATE INDEX")
		}
	}
	l.condition(s.WhereClause, at, "CREATE INDEX")
}
