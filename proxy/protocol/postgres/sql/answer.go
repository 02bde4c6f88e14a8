// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/multigres/multigres/go/common/parser/ast"

// ReturnsRows says that the statement answers with rows or copy data, or that it
// may: of what is not known, it is assumed.
func (s *Statement) ReturnsRows() bool {
	if s.Effects.Transaction != transactionKindNone {
		return false
	}
	switch n := s.facts.tree.(type) {
	case *ast.InsertStmt:
		return len(listOf(n.ReturningList)) > 0
	case *ast.UpdateStmt:
		return len(listOf(n.ReturningList)) > 0
	case *ast.DeleteStmt:
		return len(listOf(n.ReturningList)) > 0
	case *ast.MergeStmt:
		return len(listOf(n.ReturningList)) > 0
	case *ast.SelectStmt:
		return n.IntoClause == nil
	case *ast.CopyStmt:
		return !n.IsFrom
	case *ast.FetchStmt:
		return !n.IsMove
	case *ast.PrepareStmt, *ast.DeallocateStmt, *ast.DeclareCursorStmt, *ast.ClosePortalStmt, *ast.VariableSetStmt,
		*ast.TransactionStmt, *ast.DiscardStmt, *ast.CreateStmt, *ast.CreateTableAsStmt, *ast.DropStmt, *ast.TruncateStmt,
		*ast.LockStmt, *ast.ListenStmt, *ast.UnlistenStmt, *ast.NotifyStmt, *ast.ConstraintsSetStmt:
		return false
	}
	return true
}

// Single says that the statement is a query or a write of rows that the extended
// protocol runs as the simple one does.
func (s *Statement) Single() bool {
	switch s.facts.tree.(type) {
	case *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.MergeStmt, *ast.SelectStmt:
		return true
	}
	return false
}

// cursorHold is the option WITH HOLD of DECLARE (CURSOR_OPT_HOLD in
// nodes/parsenodes.h).
const cursorHold = 0x0020

// HoldsCursor says that a cursor is declared that outlives its transaction.
func (s *Statement) HoldsCursor() bool {
	d, ok := s.facts.tree.(*ast.DeclareCursorStmt)
	return ok && d.Options&cursorHold != 0
}

// CopiedColumn is a column of COPY relation TO.
type CopiedColumn struct {
	Name string
	// Type is the OID of its type.
	Type uint32
}

// Copied are the relation and the columns of COPY relation TO, in order; nil where
// they cannot be told, as those of COPY (query) TO.
func (s *Statement) Copied() (relation uint32, columns []CopiedColumn) {
	c, ok := s.facts.tree.(*ast.CopyStmt)
	if !ok || c.IsFrom || c.Relation == nil {
		return 0, nil
	}
	t, ok := s.resolved(c.Relation)
	if !ok || t.rel == nil || len(t.session) > 0 {
		return 0, nil
	}
	names := listOf(c.Attlist)
	for _, n := range names {
		name, ok := n.(*ast.String)
		if !ok {
			return 0, nil
		}
		column, ok := t.rel.Column(name.SVal)
		if !ok {
			return 0, nil
		}
		columns = append(columns, CopiedColumn{column.Name, column.Type})
	}
	if len(names) == 0 {
		for _, column := range t.rel.Columns {
			if !column.Generated {
				columns = append(columns, CopiedColumn{column.Name, column.Type})
			}
		}
	}
	return t.rel.OID, columns
}
