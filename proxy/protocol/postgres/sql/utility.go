// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// statement walks one statement, or one that is nested in another. top says
// that its rows are what the caller sees.
func (a *analysis) statement(n ast.Node, parent *scope, top bool) {
	if isNilNode(n) || !a.enter() {
		return
	}
	defer a.leave()
	kind := a.out.Kind
	a.dispatch(n, parent, top)
	if kind != "" {
		a.out.Kind = kind
	}
}

func (a *analysis) dispatch(n ast.Node, parent *scope, top bool) {
	switch s := n.(type) {
	case *ast.SelectStmt:
		a.out.Kind = "SELECT"
		if s.IntoClause != nil {
			a.out.Kind = "SELECT INTO"
		}
		a.selectStmt(s, parent)
	case *ast.InsertStmt:
		a.out.Kind = "INSERT"
		a.insert(s, parent)
	case *ast.UpdateStmt:
		a.out.Kind = "UPDATE"
		a.update(s, parent)
	case *ast.DeleteStmt:
		a.out.Kind = "DELETE"
		a.delete(s, parent)
	case *ast.MergeStmt:
		a.out.Kind = "MERGE"
		a.merge(s, parent)
	case *ast.ParenExpr:
		a.dispatch(s.Expr, parent, top)
	case *ast.NodeList: // a function body: BEGIN ATOMIC ... END
		for _, i := range s.Items {
			a.statement(i, parent, false)
		}
	case *ast.ReturnStmt:
		a.out.Kind = "RETURN"
		a.expr(s.ReturnVal, parent)
	default:
		a.utility(n, top)
	}
}

// utility walks the statements that are not queries. Of these only EXPLAIN,
// DECLARE, PREPARE and EXECUTE have a query whose rows a caller sees.
func (a *analysis) utility(n ast.Node, top bool) {
	switch s := n.(type) {
	case *ast.ExplainStmt:
		a.explain(s, top)
	case *ast.PrepareStmt:
		a.prepare(s)
	case *ast.ExecuteStmt:
		a.out.Kind = "EXECUTE"
		a.executePrepared(s)
	case *ast.DeallocateStmt:
		a.out.Kind = "DEALLOCATE"
		a.access(ActionSession, "", nil)
		a.out.Effects.Deallocates, a.out.Effects.DeallocatesAll = s.Name, s.IsAll || s.Name == ""
	case *ast.DeclareCursorStmt:
		a.out.Kind = "DECLARE CURSOR"
		a.property(PropertyCursor)
		a.out.Effects.DeclaresCursor = s.PortalName
		a.statement(s.Query, nil, false)
		a.out.Effects.ReadOnly = false
	case *ast.FetchStmt:
		a.out.Kind = "FETCH"
		if s.IsMove {
			a.out.Kind = "MOVE"
		}
		a.access(ActionSession, "", nil)
		a.out.Effects.Fetches = s.PortalName
	case *ast.ClosePortalStmt:
		a.out.Kind = "CLOSE CURSOR"
		a.access(ActionSession, "", nil)
		a.out.Effects.ClosesCursor, a.out.Effects.ClosesAllCursors = s.PortalName, s.PortalName == ""
	case *ast.CreateTableAsStmt:
		a.createTableAs(s)
	case *ast.CopyStmt:
		a.copy(s)
	case *ast.TransactionStmt:
		a.transaction(s)
	case *ast.VariableSetStmt:
		a.variableSet(s)
	case *ast.VariableShowStmt:
		a.out.Kind = "SHOW"
		a.access(ActionShow, strings.ToLower(s.Name), nil)
	case *ast.DiscardStmt:
		a.discard(s)
	case *ast.ConstraintsSetStmt:
		a.out.Kind = "SET CONSTRAINTS"
		a.access(ActionTransaction, "", nil)
		a.out.Effects.Transaction = TransactionDeferConstraints
	case *ast.CallStmt:
		a.out.Kind = "CALL"
		a.out.Effects.MayChangeCatalog, a.out.Effects.RunsCode = true, true
		a.callProcedure(s)
	case *ast.DoStmt:
		a.do(s)
	case *ast.ListenStmt:
		a.out.Kind = "LISTEN"
		a.access(ActionListen, s.Conditionname, nil)
	case *ast.UnlistenStmt:
		a.out.Kind = "UNLISTEN"
		a.access(ActionListen, s.Conditionname, nil)
	case *ast.NotifyStmt:
		a.out.Kind = "NOTIFY"
		a.access(ActionNotify, s.Conditionname, nil)
	default:
		a.maintenance(n)
	}
}

func (a *analysis) explain(s *ast.ExplainStmt, top bool) {
	a.out.Kind = "EXPLAIN"
	analyze := false
	if s.Options != nil {
		for _, o := range s.Options.Items {
			d, ok := o.(*ast.DefElem)
			if ok && strings.EqualFold(d.Defname, "analyze") {
				analyze = !isOff(d.Arg)
			}
			a.expr(o, nil)
		}
	}
	if analyze {
		a.property(PropertyExplainAnalyze)
	}
	a.statement(s.Query, nil, top)
	if _, ctas := s.Query.(*ast.CreateTableAsStmt); ctas && !analyze {
		a.out.Effects.Creates, a.out.Effects.CreatesTemp, a.out.Effects.IsDDL = nil, nil, false
	}
	// What EXPLAIN is asked of does not take effect in the session.
	a.out.Effects.Executes, a.out.Effects.DeclaresCursor = "", ""
}

// isOff says whether an option's value is one of the server's words for false
// (defGetBoolean); anything else counts as true.
func isOff(n ast.Node) bool {
	switch v := n.(type) {
	case *ast.Boolean:
		return !v.BoolVal
	case *ast.Integer:
		return v.IVal == 0
	case *ast.String:
		w := strings.ToLower(v.SVal)
		return w == "off" || w == "false" || w == "0"
	}
	return false
}

func (a *analysis) createTableAs(s *ast.CreateTableAsStmt) {
	a.out.Kind = "CREATE TABLE AS"
	if s.ObjType == ast.OBJECT_MATVIEW {
		a.out.Kind = "CREATE MATERIALIZED VIEW"
	}
	a.into(s.Into, nil)
	a.statement(s.Query, nil, false)
	a.out.Effects.Executes = ""
}

func (a *analysis) callProcedure(s *ast.CallStmt) {
	if s.Funccall == nil {
		a.unknownNode(s)
		return
	}
	a.facts.kind = "CALL"
	before := len(a.accesses)
	a.expr(s.Funccall, nil)
	if len(a.accesses) == before {
		// CALL is never harmless, whatever the list of functions says.
		_, name, _ := names(s.Funccall.Funcname)
		a.execute(name)
	}
}

func (a *analysis) do(s *ast.DoStmt) {
	a.out.Kind = "DO"
	a.facts.kind = "DO"
	a.out.Effects.MayChangeCatalog, a.out.Effects.RunsCode, a.out.Effects.RunsText = true, true, true
	language := "plpgsql"
	if s.Args != nil {
		for _, n := range s.Args.Items {
			if d, ok := n.(*ast.DefElem); ok && d.Defname == "language" {
				if v, ok := d.Arg.(*ast.String); ok {
					language = v.SVal
				}
			}
		}
	}
	a.access(ActionDo, language, nil)
}

func (a *analysis) copy(s *ast.CopyStmt) {
	a.out.Kind = "COPY"
	a.property(PropertyCopy)
	a.out.Effects.Copy = copyFormat(s.Options)
	if s.Relation == nil {
		a.out.Effects.Copy = queryCopyFormat(a.out.Text)
	}
	var columns []string
	if s.Attlist != nil {
		for _, n := range s.Attlist.Items {
			if c, ok := n.(*ast.String); ok {
				columns = append(columns, c.SVal)
			}
		}
	}
	switch {
	case s.IsProgram:
		a.access(ActionCopyProgram, s.Filename, nil)
	case s.Filename != "":
		a.access(ActionCopyFile, s.Filename, nil)
	case s.IsFrom:
		a.out.Effects.CopyIn = true
	default:
		a.out.Effects.CopyOut = true
	}
	if s.Relation == nil {
		a.statement(s.Query, nil, false)
		return
	}
	t, ok := a.relation(s.Relation)
	if !ok {
		return
	}
	level := &scope{}
	a.item(s.Relation, t, level)
	if s.IsFrom {
		a.eachAccess(ActionInsert, t, columns)
	} else {
		a.eachAccess(ActionSelect, t, columns)
	}
	a.expr(s.WhereClause, level)
}
