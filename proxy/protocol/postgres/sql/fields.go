// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// maxFields bounds what Fields returns.
const maxFields = 1024

// Fields are the columns, schema.relation.column, that the answer of the statement may
// show or depend on, sorted; schema.relation.* are all of a relation. Masks on other
// columns change nothing of the answer. Nil means that this is not known: where
// functions of users run, where the system catalogs' own values are read, where the
// rows are those of a cursor, and where there are too many.
//
// It is what the statement names and what that stands for, with the columns of
// parents, children and partitions, and what generated columns are computed from. Of
// what views read it has all that their definitions name.
func (s *Statement) Fields() []string {
	if s.Effects.Fetches != "" || s.CallsWhenPlanned() {
		return nil
	}
	f := &fieldList{cat: s.cat, names: []string{}}
	for i := range s.Accesses {
		a := &s.Accesses[i]
		switch a.Action {
		case ActionExecute, ActionDo, ActionUnknown:
			return nil
		case ActionSelect:
			if !a.Indirect {
				f.access(a)
			}
		}
	}
	for i := range s.Accesses {
		if a := &s.Accesses[i]; a.Action == ActionSelect && a.Indirect && !f.has(a.Resource) {
			f.access(a) // behind a view that the session has made
		}
	}
	if f.unknown || len(f.names) > maxFields {
		return nil
	}
	slices.Sort(f.names)
	return slices.Compact(f.names)
}

// fieldList collects fields.
type fieldList struct {
	cat     *catalog.Catalog
	names   []string
	covered []string // resources
	unknown bool
}

func (f *fieldList) has(resource string) bool { return slices.Contains(f.covered, resource) }

func (f *fieldList) access(a *Access) {
	var rel *catalog.Relation
	if f.cat != nil {
		schema, name, _ := strings.Cut(a.Resource, ".")
		rel, _ = f.cat.Lookup(schema, name)
	}
	if rel == nil {
		f.named(a.Resource, a.Columns)
		return
	}
	f.relation(rel, a.Columns)
	for _, read := range f.cat.ReadsThrough(rel.OID) {
		if behind, known := f.cat.Relation(read.Relation); known {
			f.relation(behind, read.Columns)
		}
	}
}

// relation adds columns of a relation and of its kin, since a mask holds for these too.
func (f *fieldList) relation(rel *catalog.Relation, columns []string) {
	f.unknown = f.unknown || holdsValues(rel)
	if columns != nil {
		columns = withSources(rel, columns)
	}
	for _, oid := range f.cat.Kin(rel.OID) {
		if kin, known := f.cat.Relation(oid); known {
			f.named(kin.String(), columns)
		}
		if len(f.names) > maxFields {
			return // not kept anyway
		}
	}
	f.named(rel.String(), columns)
}

func (f *fieldList) named(resource string, columns []string) {
	if !f.has(resource) {
		f.covered = append(f.covered, resource)
	}
	if columns == nil {
		f.names = append(f.names, resource+".*")
		return
	}
	for _, column := range columns {
		f.names = append(f.names, resource+"."+column)
	}
}

// withSources adds the columns that generated ones are computed from.
func withSources(rel *catalog.Relation, columns []string) []string {
	all := columns
	for _, name := range columns {
		if c, ok := rel.Column(name); ok && len(c.DerivedFrom) > 0 {
			all = append(slices.Clip(all), c.DerivedFrom...)
		}
	}
	return all
}
