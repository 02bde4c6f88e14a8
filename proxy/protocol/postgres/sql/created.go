// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

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
