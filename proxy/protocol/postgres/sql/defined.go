// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// What stands before a name in Effects.Creates, besides createdFunction.
const (
	createdOperator = "operator:"
	createdCast     = "cast:"
)

// definedFunctions notes the functions that an object's definition names: whoever
// uses the object calls them under its name. Elements that are types or values
// name none, as a rule; a type's name that is a function's too is one of its casts.
func (a *analysis) definedFunctions(l *ast.NodeList) {
	if l == nil {
		return
	}
	for _, n := range l.Items {
		switch n := n.(type) {
		case *ast.DefElem:
			_, name, parts := objectName(n.Arg)
			if len(parts) <= 2 {
				schema := ""
				if len(parts) == 2 {
					schema = parts[0]
				}
				a.definedFunction(schema, name)
			}
		case *ast.CreateOpClassItem:
			if n.ItemType == ast.OPCLASS_ITEM_FUNCTION {
				a.functionNamed(n.Name)
			}
		}
	}
}

func (a *analysis) functionNamed(f *ast.ObjectWithArgs) {
	if f == nil {
		return
	}
	if schema, name, ok := names(f.Objname); ok {
		a.definedFunction(schema, name)
	}
}

// definedFunction notes every overload: which one is meant hangs on types.
func (a *analysis) definedFunction(schema, name string) {
	if isTempSchema(schema) {
		a.execute(catalog.TempSchema + "." + name)
		return
	}
	a.callCreated(schema, name)
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		for _, f := range a.cat.Functions(s, name) {
			a.callOne(f)
		}
	}
}

// creates notes an object that a transaction makes, in every schema that may be
// meant: the catalog snapshot cannot see it yet.
func (a *analysis) creates(kind, schema, name string) {
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		a.out.Effects.Creates = append(a.out.Effects.Creates, kind+s+"."+name)
	}
}

// makesCast notes CREATE CAST: values of either type may be converted by it.
func (a *analysis) makesCast(s *ast.CreateCastStmt) {
	for _, t := range []*ast.TypeName{s.SourceType, s.TargetType} {
		if t == nil {
			continue
		}
		if schema, name, ok := names(t.Names); ok {
			a.creates(createdCast, schema, name)
		}
	}
	a.functionNamed(s.Func)
}

// usesCreated notes the use of an operator or a cast that the catalog snapshot does
// not show: of this transaction, or of the temporary schema.
func (a *analysis) usesCreated(kind, schema, name string) {
	if isTempSchema(schema) {
		a.execute(kind + catalog.TempSchema + "." + name)
		return
	}
	if a.opt.Created == nil {
		return
	}
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		if a.opt.Created(kind+s, name) {
			a.execute(kind + s + "." + name)
		}
	}
}
