// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// names turns a dotted name into its schema (or "") and last part.
func names(l *ast.NodeList) (schema, name string, ok bool) {
	if l == nil {
		return "", "", false
	}
	var parts []string
	for _, n := range l.Items {
		s, isString := n.(*ast.String)
		if !isString {
			return "", "", false
		}
		parts = append(parts, s.SVal)
	}
	switch len(parts) {
	case 1:
		return "", parts[0], true
	case 2:
		return parts[0], parts[1], true
	default:
		return "", "", false
	}
}

// funcCall notes a call in function notation.
func (a *analysis) funcCall(f *ast.FuncCall) {
	schema, name, ok := names(f.Funcname)
	if !ok {
		a.fail(refuse(StateFeatureNotSupported, "Write schema.function.", "function name cannot be resolved"))
		return
	}
	if schema == catalog.SystemSchema && (name == "substring" || name == "overlay") {
		// The parser says so of substring(x, 1) too, which the server looks up in the path.
		schema = ""
	}
	count := 0
	if f.Args != nil {
		count = len(f.Args.Items)
	}
	if f.AggWithinGroup && f.AggOrder != nil {
		count += len(f.AggOrder.Items)
	}
	if name == "set_config" && (schema == "" || schema == catalog.SystemSchema) {
		// The built-in one comes first unless the path says otherwise: then both may
		// be meant.
		a.setConfig(f)
	}
	a.call(schema, name, count)
}

// call resolves a function as the server would, over all schemas of the path,
// since the overload is chosen by argument types, and adds an access for each
// that is not known to be harmless.
func (a *analysis) call(schema, name string, count int) {
	found := a.functions(schema, name, count)
	if len(found) == 0 && name == "unnest" && count > 1 {
		// In FROM it stands for as many calls with one argument each.
		found = a.functions(schema, name, 1)
	}
	// Which of all these the server chooses hangs on the types of the arguments.
	if created := a.callCreated(schema, name); !created && len(found) == 0 {
		a.callUnknown(schema, name, count)
		return
	}
	for _, f := range found {
		a.callOne(f)
	}
}

// functions finds the overloads that a call may mean.
func (a *analysis) functions(schema, name string, count int) (found []*catalog.Function) {
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		for _, f := range a.cat.Functions(s, name) {
			if f.Accepts(count) {
				found = append(found, f)
			}
		}
	}
	return found
}

func (a *analysis) callOne(f *catalog.Function) {
	if f.Schema == catalog.SystemSchema && f.Name == "set_config" {
		if !a.configures {
			a.refuseSetConfig() // not in function notation, or refused already
		}
		a.out.Effects.ReadOnly = false
		return
	}
	a.out.Effects.RunsText = a.out.Effects.RunsText || f.Schema == catalog.SystemSchema && runsText[f.Name]
	a.out.Effects.RunsCode = a.out.Effects.RunsCode || !f.Compiled
	if harmless(f) {
		if f.Volatility == 'v' || writes(f) {
			a.out.Effects.ReadOnly = false
		}
		return
	}
	a.execute(f.String())
	if f.Volatility == 'v' && f.Schema != catalog.SystemSchema {
		a.out.Effects.MayChangeCatalog = true
	}
}

func (a *analysis) execute(resource string) {
	a.access(ActionExecute, resource, nil)
	if strings.HasPrefix(resource, "operator:") || strings.HasPrefix(resource, "cast:") {
		a.out.Effects.RunsCode = true // which function that is, is not looked up
	}
	a.facts.executes = append(a.facts.executes, resource)
}

// callUnknown handles a name that is no function: a cast in function notation,
// or a function that the catalog snapshot does not know.
func (a *analysis) callUnknown(schema, name string, count int) {
	if isTempSchema(schema) {
		a.execute(catalog.TempSchema + "." + name)
		a.out.Effects.MayChangeCatalog, a.out.Effects.RunsCode = true, true
		return
	}
	if count == 1 {
		for _, s := range a.path {
			if schema != "" && s != schema || !a.cat.HasType(s, name) {
				continue
			}
			if s != catalog.SystemSchema {
				a.execute("cast:" + s + "." + name)
			}
			return
		}
	}
	full := name
	if schema != "" {
		full = schema + "." + name
	}
	a.fail(&UnknownRelationError{Schema: schema, Name: name, Refusal: refuse(StateUndefinedFunction,
		"Check the name, the schema and the number of arguments.",
		"function %s does not exist", full)})
}

// rowCall notes the functions that attribute notation may call.
func (a *analysis) rowCall(name string) {
	a.callCreated("", name)
	for _, s := range a.path {
		for _, f := range a.cat.Functions(s, name) {
			if f.TakesRow {
				a.callOne(f)
			}
		}
	}
}

// sampleMethod notes the function behind TABLESAMPLE.
func (a *analysis) sampleMethod(l *ast.NodeList) {
	schema, name, ok := names(l)
	if !ok {
		a.fail(refuse(StateFeatureNotSupported, "Use BERNOULLI or SYSTEM.", "sampling method cannot be resolved"))
		return
	}
	if (schema == "" || schema == catalog.SystemSchema) && (name == "bernoulli" || name == "system") {
		return
	}
	a.call(schema, name, 1)
}

// operator notes an operator given as OPERATOR(schema.op), or bare.
func (a *analysis) operator(l *ast.NodeList) {
	if schema, name, ok := names(l); ok {
		a.operatorName(schema, name)
	}
}

// operatorExpr notes the operators that an expression is made of.
func (a *analysis) operatorExpr(e *ast.A_Expr) {
	switch e.Kind {
	case ast.AEXPR_BETWEEN, ast.AEXPR_NOT_BETWEEN, ast.AEXPR_BETWEEN_SYM, ast.AEXPR_NOT_BETWEEN_SYM:
		for _, op := range []string{"<", ">", "<=", ">="} {
			a.operatorName("", op)
		}
	default:
		a.operator(e.Name)
	}
}

func (a *analysis) operatorName(schema, name string) {
	a.usesCreated(createdOperator, schema, name)
	for _, s := range a.path {
		if (schema == "" || schema == s) && a.cat.HasUserOperator(s, name) {
			a.execute("operator:" + s + "." + name)
		}
	}
	if schema != "" && a.cat.HasUserOperator(schema, name) {
		a.execute("operator:" + schema + "." + name)
	}
}

// cast notes a conversion to a type that users have defined casts for.
func (a *analysis) cast(t *ast.TypeName) {
	if t == nil {
		return
	}
	schema, name, ok := names(t.Names)
	if !ok {
		return
	}
	a.usesCreated(createdCast, schema, name)
	if schema != "" {
		if a.cat.HasUserCast(schema, name) {
			a.execute("cast:" + schema + "." + name)
		}
		return
	}
	for _, s := range a.path {
		if a.cat.HasUserCast(s, name) {
			a.execute("cast:" + s + "." + name)
		}
	}
}
