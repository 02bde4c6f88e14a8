// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// checkedType notes the name of a type whose values call functions of users,
// wherever it stands: in a cast, the definition of a column, a declared parameter.
func (a *analysis) checkedType(t *ast.TypeName) {
	schema, name, ok := names(t.Names)
	if !ok {
		return
	}
	if isTempSchema(schema) {
		a.execute("cast:" + catalog.TempSchema + "." + name)
		return
	}
	schemas := a.path
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		if a.cat.IsCheckedType(s, name) {
			a.execute("cast:" + s + "." + name)
		}
	}
}

// typesByName are built-in functions that make values of a type that a text or a
// number names.
var typesByName = set(
	"pg_input_is_valid", "pg_input_error_info", "domain_in", "domain_recv", "array_in", "array_recv", "record_in", "record_recv",
	"range_in", "range_recv", "multirange_in", "multirange_recv",
)

// typesOfOthers are built-in functions that turn one of their arguments into the
// type of another.
var typesOfOthers = set(
	"json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset", "jsonb_populate_record_valid",
	"array_append", "array_prepend", "array_cat", "array_remove", "array_replace", "array_position", "array_positions", "array_fill",
	"lag", "lead", "width_bucket",
)

// makesValues notes calls of functions that make values of types that the statement
// does not name, where there are types whose values call functions of users.
func (a *analysis) makesValues(f *ast.FuncCall) {
	_, name, ok := names(f.Funcname)
	if !ok || !a.cat.HasCheckedTypes() {
		return
	}
	if typesByName[name] {
		a.execute(catalog.SystemSchema + "." + name)
	}
	a.facts.converts = a.facts.converts || typesOfOthers[name]
}

// makesChecked names a relation that the statement reaches from whose columns it may
// make values that call functions of users: arrays, composites and ranges are made
// from any constant that they meet, domains over other types by functions.
func (s *Statement) makesChecked() (string, bool) {
	i := slices.IndexFunc(s.facts.touched, func(oid uint32) bool {
		simple, nested := s.cat.HoldsChecked(oid)
		return nested || simple && s.facts.converts
	})
	if i < 0 {
		return "", false
	}
	if r, ok := s.cat.Relation(s.facts.touched[i]); ok {
		return r.String(), true
	}
	return "", true
}
