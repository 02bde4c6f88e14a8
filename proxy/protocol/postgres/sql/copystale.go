// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"
)

// settleCopies reads the options of each COPY (query) once more. For a missing
// WITH there, the parser takes what an earlier statement has left on its stack,
// maybe of another text, for an option. In COPY relation it does not.
func settleCopies(text string, trees []ast.Stmt, parts [][]token) *Error {
	for i, tree := range trees {
		stmt, ok := tree.(*ast.CopyStmt)
		if !ok || stmt.Query == nil {
			continue
		}
		to := behindQuery(parts[i])
		if to < 0 {
			return syntaxError()
		}
		end := parts[i][0].pos + len(source(text, parts[i]))
		again, err := parser.ParseSQL("COPY relation " + text[parts[i][to].pos:end])
		if err != nil || len(again) != 1 {
			return syntaxError()
		}
		other, ok := again[0].(*ast.CopyStmt)
		if !ok || other.IsFrom || other.WhereClause != nil || other.IsProgram != stmt.IsProgram || other.Filename != stmt.Filename {
			return syntaxError()
		}
		stmt.Options = other.Options
	}
	return nil
}

// behindQuery is where the TO of COPY (query) TO stands, or -1.
func behindQuery(part []token) int {
	depth := 0
	for i, t := range part {
		switch t.kind {
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 && i+1 < len(part) && part[i+1].kind == parser.TO {
				return i + 1
			}
			if depth == 0 {
				return -1
			}
		}
	}
	return -1
}
