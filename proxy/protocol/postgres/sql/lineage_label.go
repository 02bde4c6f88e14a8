// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/multigres/multigres/go/common/parser/ast"

// unlabelled is the name of a column that has none.
const unlabelled = "?column?"

// label is the name that the server gives to an output column without one
// (FigureColname in parser/parse_target.c).
func label(n ast.Node) string {
	if name, _ := figure(n, 0); name != "" {
		return name
	}
	return unlabelled
}

// figure returns a name and how good it is: 1 for one that an inner name is
// better than, 2 for any other.
func figure(n ast.Node, depth int) (name string, strength int) {
	if isNilNode(n) || depth > maxDepth {
		return "", 0
	}
	again := func(n ast.Node) (string, int) { return figure(n, depth+1) }
	switch n := n.(type) {
	case *ast.ParenExpr:
		return again(n.Expr)
	case *ast.ColumnRef:
		return lastName(listOf(n.Fields)), 2
	case *ast.A_Indirection:
		if last := lastName(listOf(n.Indirection)); last != "" {
			return last, 2
		}
		return again(n.Arg)
	case *ast.FuncCall:
		return lastName(listOf(n.Funcname)), 2
	case *ast.A_Expr:
		if n.Kind == ast.AEXPR_NULLIF {
			return "nullif", 2
		}
	case *ast.TypeCast:
		name, strength = again(n.Arg)
		if strength <= 1 && n.TypeName != nil {
			return lastName(listOf(n.TypeName.Names)), 1
		}
		return name, strength
	case *ast.CollateClause:
		return again(n.Arg)
	case *ast.GroupingFunc:
		return "grouping", 2
	case *ast.MergeSupportFunc:
		return "merge_action", 2
	case *ast.SubLink:
		return figureSubquery(n, depth)
	case *ast.CaseExpr:
		name, strength = again(n.Defresult)
		if strength <= 1 {
			return "case", 1
		}
		return name, strength
	case *ast.ArrayExpr, *ast.A_ArrayExpr:
		return "array", 2
	case *ast.RowExpr:
		return "row", 2
	case *ast.CoalesceExpr:
		return "coalesce", 2
	case *ast.MinMaxExpr:
		if n.Op == ast.IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *ast.SQLValueFunction:
		return valueFunctions[n.Op], 2
	case *ast.XmlExpr:
		return xmlFunctions[n.Op], 2
	case *ast.XmlSerialize:
		return "xmlserialize", 2
	case *ast.JsonObjectConstructor:
		return "json_object", 2
	case *ast.JsonArrayConstructor, *ast.JsonArrayQueryConstructor:
		return "json_array", 2
	case *ast.JsonObjectAgg:
		return "json_objectagg", 2
	case *ast.JsonArrayAgg:
		return "json_arrayagg", 2
	case *ast.JsonScalarExpr:
		return "json_scalar", 2
	case *ast.JsonParseExpr:
		return "json", 2
	case *ast.JsonSerializeExpr:
		return "json_serialize", 2
	}
	return "", 0
}

func figureSubquery(n *ast.SubLink, depth int) (string, int) {
	switch n.SubLinkType { //nolint:exhaustive // the others have no name
	case ast.EXISTS_SUBLINK:
		return "exists", 2
	case ast.ARRAY_SUBLINK:
		return "array", 2
	case ast.EXPR_SUBLINK:
		s, ok := n.Subselect.(*ast.SelectStmt)
		for ok && s != nil && s.Op != ast.SETOP_NONE {
			s = s.Larg
		}
		if !ok || s == nil {
			return "", 0
		}
		if len(listOf(s.ValuesLists)) > 0 {
			return "column1", 2
		}
		for _, t := range listOf(s.TargetList) {
			if t, ok := t.(*ast.ResTarget); ok {
				if t.Name != "" {
					return t.Name, 2
				}
				if name, _ := figure(t.Val, depth+1); name != "" {
					return name, 2
				}
				return unlabelled, 2
			}
		}
	}
	return "", 0
}

func lastName(parts []ast.Node) (name string) {
	for _, p := range parts {
		if s, ok := p.(*ast.String); ok {
			name = s.SVal
		}
	}
	return name
}

var valueFunctions = map[ast.SQLValueFunctionOp]string{
	ast.SVFOP_CURRENT_DATE: "current_date", ast.SVFOP_CURRENT_TIME: "current_time", ast.SVFOP_CURRENT_TIME_N: "current_time",
	ast.SVFOP_CURRENT_TIMESTAMP: "current_timestamp", ast.SVFOP_CURRENT_TIMESTAMP_N: "current_timestamp",
	ast.SVFOP_LOCALTIME: "localtime", ast.SVFOP_LOCALTIME_N: "localtime", ast.SVFOP_LOCALTIMESTAMP: "localtimestamp",
	ast.SVFOP_LOCALTIMESTAMP_N: "localtimestamp", ast.SVFOP_CURRENT_ROLE: "current_role", ast.SVFOP_CURRENT_USER: "current_user",
	ast.SVFOP_USER: "user", ast.SVFOP_SESSION_USER: "session_user", ast.SVFOP_CURRENT_CATALOG: "current_catalog",
	ast.SVFOP_CURRENT_SCHEMA: "current_schema",
}

var xmlFunctions = map[ast.XmlExprOp]string{
	ast.IS_XMLCONCAT: "xmlconcat", ast.IS_XMLELEMENT: "xmlelement", ast.IS_XMLFOREST: "xmlforest", ast.IS_XMLPARSE: "xmlparse",
	ast.IS_XMLPI: "xmlpi", ast.IS_XMLROOT: "xmlroot", ast.IS_XMLSERIALIZE: "xmlserialize",
}
