// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// Outline is what the parser makes of one statement, in the words of package
// pgquery. Strings is filled for queries and what changes rows.
type Outline struct {
	Node                                   string
	Start, End                             int
	Relations, Functions, Columns, Strings []string
}

// Outlines parses a text as Analyze does, and knows nothing of a catalog.
func Outlines(text string) ([]Outline, *Error) {
	trees, parts, err := parse(text, 0)
	if err != nil {
		return nil, err
	}
	var out []Outline
	for i, tree := range trees {
		start := parts[i][0].pos
		o := Outline{Node: nodeName(unwrapped(tree)), Start: start, End: start + len(source(text, parts[i]))}
		o.walk(tree)
		if !IsQuery(o.Node) {
			o.Strings = nil // the arguments of other statements are no constants in this tree
		}
		for _, list := range []*[]string{&o.Relations, &o.Functions, &o.Columns, &o.Strings} {
			*list = sortedUnique(*list)
		}
		out = append(out, o)
	}
	return out, nil
}

// IsQuery says that a statement is a query or changes rows.
func IsQuery(node string) bool {
	return slices.Contains([]string{"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}, node)
}

func unwrapped(n ast.Node) ast.Node {
	for {
		p, ok := n.(*ast.ParenExpr)
		if !ok {
			return n
		}
		n = p.Expr
	}
}

func (o *Outline) walk(n ast.Node) {
	switch node := n.(type) {
	case *ast.RangeVar:
		name := []string{node.CatalogName, node.SchemaName, node.RelName}
		o.Relations = append(o.Relations, strings.Join(slices.DeleteFunc(name, func(part string) bool { return part == "" }), "."))
	case *ast.FuncCall:
		o.Functions = append(o.Functions, dottedName(node.Funcname))
	case *ast.ColumnRef:
		o.Columns = append(o.Columns, dottedName(node.Fields))
	case *ast.A_Const:
		if value, ok := node.Val.(*ast.String); ok && value != nil && !node.Isnull {
			o.Strings = append(o.Strings, value.SVal)
		}
	}
	children(n, o.walk)
}

// Subscripted stands for a reference with a subscript in it.
const Subscripted = "[]"

func dottedName(names *ast.NodeList) string {
	if names == nil {
		return ""
	}
	var parts []string
	for _, item := range names.Items {
		switch part := item.(type) {
		case *ast.A_Star:
			parts = append(parts, "*")
		case *ast.String:
			parts = append(parts, part.SVal)
		case *ast.A_Indices:
			return Subscripted
		}
	}
	return strings.Join(parts, ".")
}
