// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// The parameters that the proxy follows or holds, in lower case. Any other one
// is an access of action "set", for policies to decide.
const (
	parameterPath        = "search_path"
	parameterApplication = "application_name"
	parameterRole        = "role"
	parameterSession     = "session_authorization"
)

// heldParameters must stay as the proxy set them at the session's start: text
// would be read otherwise, or other code would run. stays says whether a value
// leaves one as it is; what goes back to the default always does.
var heldParameters = map[string]struct {
	why   string
	stays func(value string) bool
}{
	"standard_conforming_strings": {"string constants would be read differently", isOn},
	"client_encoding":             {"text would be read differently; only UTF8 is allowed", isUTF8},
	// As at the session's start: what LOG and DEBUG tell is the server's own affair,
	// plans, parse trees and the cost of statements among it.
	"client_min_messages":      {"what the server logs is not shown; notice, warning and error are allowed", isMessageLevel},
	"session_replication_role": {"triggers and constraints would not run", func(v string) bool { return strings.EqualFold(v, "origin") }},
}

// variableSet handles SET and RESET.
func (a *analysis) variableSet(s *ast.VariableSetStmt) {
	name := strings.ToLower(s.Name)
	p := &Parameter{Name: name, Local: s.IsLocal}
	switch s.Kind {
	case ast.VAR_SET_MULTI:
		a.out.Kind = "SET"
		a.access(ActionTransaction, "", nil)
		a.out.Effects.Transaction = TransactionCharacteristics
		a.transactionMode(s.Args)
		if !strings.HasPrefix(name, "transaction") && !strings.HasPrefix(name, "session characteristics") {
			a.unknownNode(s)
		}
		return
	case ast.VAR_RESET_ALL:
		a.out.Kind = "RESET"
		p.Name, p.Reset = parameterAll, true
	case ast.VAR_RESET:
		a.out.Kind = "RESET"
		p.Reset = true
	case ast.VAR_SET_DEFAULT:
		a.out.Kind = "SET"
		p.Reset = true
	case ast.VAR_SET_VALUE:
		a.out.Kind = "SET"
		p.Values = settingValues(s.Args)
		p.Value = strings.Join(p.Values, ", ")
	default: // VAR_SET_CURRENT
		a.out.Kind = "SET"
		a.unknownNode(s)
	}
	a.out.Effects.SetsParameter = p
	a.setting(p)
}

// setting notes what a change of a parameter means. It is the one place for SET,
// RESET and set_config.
func (a *analysis) setting(p *Parameter) {
	e := &a.out.Effects
	a.access(ActionSet, p.Name, nil)
	switch p.Name {
	case parameterPath, parameterAll:
		e.ChangesPath = true
	case parameterApplication:
		// The target's own log names the actor by it, so it goes back to what the
		// proxy gave at the start.
		if !p.Reset {
			e.Forward = "SET application_name TO DEFAULT"
			if p.Local {
				e.Forward = "SET LOCAL application_name TO DEFAULT"
			}
		}
	case parameterRole, parameterSession:
		if !p.Reset {
			a.refuse(refuse(StateInsufficientPrivilege, "Remove the statement; the session's role is given by the Connection and its policies.",
				"parameter cannot be changed: %q: the session would act as another role", p.Name))
		}
		e.ChangesPath, e.ResetsRole = true, true
	case "transaction_read_only", "default_transaction_read_only":
		if p.Reset || !isOn(p.Value) {
			a.property(PropertyTransactionReadWrite)
		}
	}
	if held, ok := heldParameters[p.Name]; ok && !p.Reset && !held.stays(p.Value) {
		a.refuse(refuse(StateInsufficientPrivilege, "Remove the statement; the proxy sets this parameter for the session.",
			"parameter is set by the proxy and cannot be changed: %q: %s", p.Name, held.why))
	}
}

// isOn says whether the server reads a value as true (parse_bool).
func isOn(value string) bool {
	return slices.Contains([]string{"on", "1", "t", "tr", "tru", "true", "y", "ye", "yes"}, strings.ToLower(value))
}

func isUTF8(value string) bool {
	v := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(value))
	return v == "utf8" || v == "unicode"
}

// isMessageLevel says whether a value of client_min_messages keeps LOG and DEBUG out.
func isMessageLevel(value string) bool {
	return slices.Contains([]string{"notice", "warning", "error"}, strings.ToLower(value))
}

// settingValues are the values of SET as the server would keep them, as far as
// they are plain.
func settingValues(l *ast.NodeList) []string {
	if l == nil {
		return nil
	}
	var values []string
	for _, n := range l.Items {
		if c, ok := n.(*ast.A_Const); ok {
			n = c.Val
		}
		switch v := n.(type) {
		case *ast.String:
			values = append(values, v.SVal)
		case *ast.Integer:
			values = append(values, strconv.Itoa(v.IVal))
		default:
			if !isNilNode(n) {
				values = append(values, n.SqlString())
			}
		}
	}
	return values
}

// setConfig handles a call of pg_catalog.set_config. Which parameter it sets
// must be plain to see, and so must the value of those that the proxy holds.
func (a *analysis) setConfig(f *ast.FuncCall) {
	a.out.Effects.ReadOnly = false
	if f.Args == nil || len(f.Args.Items) != 3 || f.FuncVariadic {
		a.refuseSetConfig()
		return
	}
	name, ok := a.settingOf[f]
	if !ok {
		name, ok = constantText(f.Args.Items[0])
	}
	if !ok {
		a.refuseSetConfig()
		return
	}
	p := &Parameter{Name: strings.ToLower(name)}
	p.Value, ok = constantText(f.Args.Items[1])
	_, held := heldParameters[p.Name]
	fixed := held || slices.Contains([]string{parameterRole, parameterSession, parameterApplication, parameterPath, parameterAll}, p.Name)
	if !ok && fixed || p.Name == parameterRole || p.Name == parameterSession || p.Name == parameterApplication {
		a.refuseSetConfig()
		return
	}
	a.configures = true
	a.setting(p)
}

// settingsQuery finds calls of set_config whose name is the one row of pg_settings
// that the query reads, as pg_dump sends them since its release of August 2024:
// SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'parameter'.
func (a *analysis) settingsQuery(tree ast.Node) {
	s, ok := tree.(*ast.SelectStmt)
	if !ok || s.WithClause != nil || s.Op != ast.SETOP_NONE || s.FromClause == nil || len(s.FromClause.Items) != 1 || s.TargetList == nil {
		return
	}
	from, ok := s.FromClause.Items[0].(*ast.RangeVar)
	if !ok || from.Alias != nil || from.CatalogName != "" || from.RelName != "pg_settings" || a.firsts[from.RelName] {
		return
	}
	t := a.lookup(from.SchemaName, from.RelName)
	where, ok := s.WhereClause.(*ast.A_Expr)
	if !ok || len(t.session) > 0 || t.rel == nil || t.rel.Schema != catalog.SystemSchema || where.Kind != ast.AEXPR_OP || !isNameColumn(where.Lexpr) {
		return
	}
	schema, operator, ok := names(where.Name)
	if !ok || schema != "" || operator != "=" || slices.ContainsFunc(a.path, func(s string) bool { return a.cat.HasUserOperator(s, "=") }) {
		return
	}
	name, ok := constantText(where.Rexpr)
	if !ok {
		return
	}
	a.settingOf = map[*ast.FuncCall]string{}
	for _, n := range s.TargetList.Items {
		if target, ok := n.(*ast.ResTarget); ok {
			if f, ok := target.Val.(*ast.FuncCall); ok && f.Args != nil && len(f.Args.Items) > 0 && isNameColumn(f.Args.Items[0]) {
				a.settingOf[f] = name
			}
		}
	}
}

func isNameColumn(n ast.Node) bool {
	c, ok := n.(*ast.ColumnRef)
	if !ok || c.Fields == nil || len(c.Fields.Items) != 1 {
		return false
	}
	field, ok := c.Fields.Items[0].(*ast.String)
	return ok && field.SVal == "name"
}

func (a *analysis) refuseSetConfig() {
	a.refuse(refuse(StateInsufficientPrivilege, "Use SET, or set_config with a constant name and value.",
		"set_config is not forwarded: it could change the role, or what statements mean"))
}

// settled refuses set_config where it would run later, or as part of anything
// but a query that the caller runs himself.
func (a *analysis) settled() {
	if a.subscribes && !a.showsNoConninfo() {
		a.refuse(refuse(StateInsufficientPrivilege, "Name the columns that you need, but for subconninfo.",
			"relation holds credentials and cannot be read through the proxy: %q", subscriptions))
	}
	switch {
	case !a.configures, a.out.Kind == "SELECT", a.out.Kind == "EXPLAIN", a.out.Kind == "PREPARE", a.out.Kind == "EXECUTE":
	default:
		a.refuseSetConfig()
	}
}

// constantText is the value of a string constant, also of one that is cast to text.
func constantText(n ast.Node) (string, bool) {
	if c, ok := n.(*ast.TypeCast); ok && c.TypeName != nil {
		schema, name, ok := names(c.TypeName.Names)
		if !ok || name != "text" || schema != "" && schema != catalog.SystemSchema {
			return "", false
		}
		n = c.Arg
	}
	c, ok := n.(*ast.A_Const)
	if !ok || c.Isnull {
		return "", false
	}
	s, ok := c.Val.(*ast.String)
	if !ok {
		return "", false
	}
	return s.SVal, true
}

// pathless says whether a statement means the same under any search path.
func pathless(n ast.Node) bool {
	switch n.(type) {
	case *ast.TransactionStmt, *ast.VariableSetStmt, *ast.VariableShowStmt, *ast.DiscardStmt, *ast.DeallocateStmt,
		*ast.ConstraintsSetStmt, *ast.ListenStmt, *ast.UnlistenStmt, *ast.NotifyStmt, *ast.FetchStmt, *ast.ClosePortalStmt:
		return true
	}
	return false
}
