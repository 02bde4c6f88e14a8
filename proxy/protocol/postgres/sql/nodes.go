// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/multigres/multigres/go/common/parser/ast"

// knownNode lists the node kinds that the generic walk may pass through: all
// they do is hold children that are walked in turn.
func knownNode(n ast.Node) bool {
	switch n.(type) {
	case *ast.A_ArrayExpr, *ast.A_Const, *ast.A_Indices, *ast.A_Star, *ast.ArrayExpr, *ast.BitString, *ast.BoolExpr,
		*ast.Boolean, *ast.BooleanTest, *ast.CTECycleClause, *ast.CTESearchClause, *ast.CaseWhen, *ast.CoalesceExpr,
		*ast.CollateClause, *ast.CollateExpr, *ast.CurrentOfExpr, *ast.Float, *ast.GroupingFunc, *ast.GroupingSet,
		*ast.IndexElem, *ast.InferClause, *ast.Integer, *ast.MinMaxExpr, *ast.NamedArgExpr, *ast.NodeList, *ast.Null,
		*ast.NullTest, *ast.ParamRef, *ast.ParenExpr, *ast.ResTarget, *ast.RowExpr, *ast.SQLValueFunction, *ast.SetToDefault,
		*ast.String, *ast.TypeName, *ast.WindowDef, *ast.MergeSupportFunc:
		return true
	case *ast.XmlExpr, *ast.XmlSerialize, *ast.RangeTableFuncCol,
		*ast.JsonAggConstructor, *ast.JsonArgument, *ast.JsonArrayAgg, *ast.JsonArrayConstructor,
		*ast.JsonArrayQueryConstructor, *ast.JsonBehavior, *ast.JsonConstructorExpr, *ast.JsonExpr, *ast.JsonFormat,
		*ast.JsonFuncExpr, *ast.JsonIsPredicate, *ast.JsonKeyValue, *ast.JsonObjectAgg, *ast.JsonObjectConstructor,
		*ast.JsonOutput, *ast.JsonParseExpr, *ast.JsonReturning, *ast.JsonScalarExpr, *ast.JsonSerializeExpr,
		*ast.JsonTableColumn, *ast.JsonTablePathSpec, *ast.JsonValueExpr:
		return true
	case *ast.AlterTableCmd, *ast.ColumnDef, *ast.Constraint, *ast.DefElem, *ast.FunctionParameter, *ast.ObjectWithArgs,
		*ast.PartitionBoundSpec, *ast.PartitionCmd, *ast.PartitionElem, *ast.PartitionRangeDatum, *ast.PartitionSpec,
		*ast.SinglePartitionSpec, *ast.PublicationObjSpec, *ast.PublicationTable, *ast.ReplicaIdentityStmt, *ast.RoleSpec,
		*ast.StatsElem, *ast.TableLikeClause, *ast.AccessPriv, *ast.KeyAction, *ast.KeyActions:
		return true
	}
	return false
}
