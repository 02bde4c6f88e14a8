// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// createdFunction stands before the name of a function or procedure in
// Effects.Creates.
const createdFunction = "function:"

// callCreated notes a call of what the session may have created in a transaction
// that the catalog snapshot cannot see yet: nothing is known of it but its name.
func (a *analysis) callCreated(schema, name string) (created bool) {
	if a.opt.Created == nil {
		return false
	}
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		if a.opt.Created(createdFunction+s, name) {
			a.execute(s + "." + name)
			a.out.Effects.MayChangeCatalog, a.out.Effects.RunsCode, a.out.Effects.ReadOnly = true, true, false
			created = true
		}
	}
	return created
}

// making is the resource of the relation that a CREATE TABLE has just been found
// to make.
func (e *Effects) making(v *ast.RangeVar) string {
	switch {
	case v == nil:
		return ""
	case slices.Contains(e.CreatesTemp, v.RelName):
		return catalog.TempSchema + "." + v.RelName
	case len(e.Creates) > 0:
		return e.Creates[len(e.Creates)-1]
	}
	return ""
}

// makes says that a name can mean nothing but the relation that is being made:
// its foreign key to itself tells nothing that is not in the statement.
func (a *analysis) makes(t target) bool {
	return a.making != "" && t.rel == nil && len(t.session) == 1 && t.session[0] == a.making
}

// renames notes the new name of what only this session sees, such as a temporary
// table: no catalog will tell it.
func (a *analysis) renames(s *ast.RenameStmt) {
	if !slices.Contains(relationKinds, s.RenameType) {
		return
	}
	for _, resource := range a.lookup(s.Relation.SchemaName, s.Relation.RelName).session {
		schema, _, _ := strings.Cut(resource, ".")
		if schema == catalog.TempSchema {
			a.out.Effects.CreatesTemp = append(a.out.Effects.CreatesTemp, s.Newname)
		} else {
			a.out.Effects.Creates = append(a.out.Effects.Creates, schema+"."+s.Newname)
		}
	}
}
