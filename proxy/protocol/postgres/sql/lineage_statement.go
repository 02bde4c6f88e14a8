// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/multigres/multigres/go/common/parser/ast"

// statement follows a whole statement and returns the columns that the caller
// sees of it.
func (l *lineage) statement(n ast.Node) []column {
	if isNilNode(n) {
		l.refuse(notFollowed(n))
		return nil
	}
	switch s := n.(type) {
	case *ast.SelectStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt, *ast.MergeStmt, *ast.ParenExpr:
		return l.whole(n)
	case *ast.DeclareCursorStmt:
		return l.whole(s.Query)
	case *ast.ExplainStmt:
		l.explained(s)
		return []column{{name: "QUERY PLAN", value: unmasked(typeText)}}
	case *ast.CreateTableAsStmt:
		l.created(s.Into)
		if _, execute := s.Query.(*ast.ExecuteStmt); execute {
			l.refuse(notFollowed(s.Query))
			return nil
		}
		l.stored(l.whole(s.Query), "a table made from a query")
		return nil
	case *ast.ViewStmt:
		l.seen[s.View] = true
		l.stored(l.whole(s.Query), "a view")
		return nil
	case *ast.CopyStmt:
		return l.copyStatement(s)
	case *ast.PrepareStmt, *ast.ExecuteStmt:
		return nil // its own statement was followed
	default:
		return l.definitionStatement(n)
	}
}

// whole follows a query and makes sure that nothing of it was left out.
func (l *lineage) whole(n ast.Node) []column {
	out := l.query(n, nil)
	if l.err == nil && !l.complete(n) {
		l.refuse(notFollowed(n))
	}
	return out
}

// explained follows the statement of EXPLAIN. Its rows are not shown, but what
// it decides by is, and so are sizes where it is told to measure them.
func (l *lineage) explained(s *ast.ExplainStmt) {
	columns := l.statement(s.Query)
	for _, c := range columns {
		l.show(c.value)
	}
	for _, o := range listOf(s.Options) {
		if d, ok := o.(*ast.DefElem); ok && foldASCII(d.Defname) == "serialize" {
			for _, c := range columns {
				l.predicate(c.taint, "EXPLAIN (SERIALIZE)")
			}
		}
	}
}

func (l *lineage) copyStatement(s *ast.CopyStmt) []column {
	var out []column
	switch {
	case s.IsFrom:
		l.copiedIn(s)
		return nil
	case s.Relation == nil:
		out = l.whole(s.Query)
	default:
		out = l.copied(s)
	}
	if s.Filename != "" || s.IsProgram {
		l.stored(out, "COPY TO a file or program")
	}
	return out
}
