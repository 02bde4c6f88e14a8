// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"maps"
	"slices"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// CheckMasks says whether the statement may run for a caller for whom columns
// are masked; see CheckMaskSet, which is to be preferred where the same masks
// are checked more than once.
func (s *Statement) CheckMasks(m MaskedColumns) error {
	return s.CheckMaskSet(NewMaskSet(s.cat, m))
}

// CheckMaskSet says whether the statement may run for a caller with these
// masks. Nil means that it may, and that masked columns appear only as plain
// output columns whose origin the server reports in RowDescription; the caller
// masks those by MaskSet.Masked. The error is an *Error.
//
// A statement that TouchesMasked may still show masked values in the text of
// an error or notice ("Failing row contains ..."): their DETAIL and CONTEXT
// must not be passed on.
func (s *Statement) CheckMaskSet(m *MaskSet) error {
	if m.Empty() {
		return nil
	}
	c := maskCheck{s: s, m: m}
	if e := c.check(); e != nil {
		return e
	}
	if s.facts.inner != nil {
		return s.facts.inner.CheckMaskSet(m)
	}
	return nil
}

// TouchesMasked says whether any relation that the statement reaches has
// masked columns.
func (s *Statement) TouchesMasked(m *MaskSet) bool {
	return slices.ContainsFunc(s.Relations, m.has)
}

type maskCheck struct {
	s *Statement
	m *MaskSet
}

const maskHint = "Masked columns can only be plain columns of the outermost SELECT, such as SELECT t.col FROM schema.t. Leave the column out, or ask for access to it."

func maskError(format string, args ...any) *Error {
	return refuse(StateInsufficientPrivilege, maskHint, format, args...)
}

func (c *maskCheck) check() *Error {
	f := &c.s.facts
	if f.kind != "" {
		return maskError("statement could move masked data out of sight, and columns are masked for you: %s", f.kind)
	}
	if len(f.executes) > 0 {
		return maskError("function could read masked columns, and columns are masked for you: %q", f.executes[0])
	}
	if e := c.relations(); e != nil {
		return e
	}
	if !c.s.TouchesMasked(c.m) {
		return nil
	}
	if f.opaque != "" {
		return maskError("rows of a relation with masked columns cannot go through %s", f.opaque)
	}
	for _, oid := range f.arbiter {
		if c.m.has(oid) {
			return maskError("ON CONFLICT must name unmasked columns: %s", c.name(oid))
		}
	}
	return c.columns()
}

func (c *maskCheck) name(oid uint32) string {
	if r, ok := c.m.cat.Relation(oid); ok {
		return r.String()
	}
	return "relation"
}

// sampleRelations hold values of other relations, or other sessions' queries.
var sampleRelations = map[string]bool{
	"pg_statistic": true, "pg_statistic_ext_data": true, "pg_stats": true, "pg_stats_ext": true,
	"pg_stats_ext_exprs": true, "pg_largeobject": true, "pg_stat_activity": true, "pg_stat_statements": true,
	"pg_prepared_xacts": true,
}

// relations refuses what derives from masked relations, or may.
func (c *maskCheck) relations() *Error {
	for _, oid := range c.s.facts.touched {
		for _, member := range c.m.cat.BaseRelations(oid) {
			if r, ok := c.m.cat.Relation(member); ok && sampleRelations[r.Name] {
				return maskError("relation may hold values of masked columns: %q", c.name(oid))
			}
		}
		for _, from := range c.m.cat.Derived(oid) {
			if c.m.has(from) {
				return maskError("relation is derived from one with masked columns: %q", c.name(oid))
			}
		}
		for _, fn := range c.m.cat.RuleFunctions(oid) {
			if fn.OID >= catalog.FirstUserOID || readsData[fn.Name] {
				return maskError("relation calls a function that could read masked columns: %q", c.name(oid))
			}
		}
	}
	return nil
}

// columns checks every reference, then that no mention of a masked column was
// missed: each name in the text must be one that was checked.
func (c *maskCheck) columns() *Error {
	f := &c.s.facts
	for _, i := range f.items {
		if c.masked(i) && (i.aliased || i.natural || len(i.members) > 0) {
			return maskError("relation with masked columns cannot be in a NATURAL join, an aliased join or have its columns renamed: %q", i.alias)
		}
	}
	allowed := f.accounted()
	for _, u := range f.uses {
		if e := c.reference(u); e != nil {
			return e
		}
	}
	for _, name := range c.maskedNames() {
		if f.tokens[name] > allowed[name] {
			return maskError("masked column is used where it cannot be masked: %q", name)
		}
	}
	return c.outputs()
}

// maskedNames are the masked columns of all relations that are reached.
func (c *maskCheck) maskedNames() []string {
	set := map[string]bool{}
	for _, oid := range c.s.Relations {
		for column := range c.m.columns[oid] {
			set[column] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// masked says whether an item, or a member of an aliased join, is masked.
func (c *maskCheck) masked(i *fromItem) bool {
	return i.rel != nil && c.m.has(i.rel.OID) || slices.ContainsFunc(i.members, c.masked)
}

// maskedColumn says whether the item has the masked column.
func (c *maskCheck) maskedColumn(i *fromItem, column string) bool {
	if i.rel != nil {
		if _, ok := c.m.Masked(i.rel.OID, column); ok {
			return true
		}
	}
	return slices.ContainsFunc(i.members, func(m *fromItem) bool { return c.maskedColumn(m, column) })
}

// reference checks one reference to a column, a row or a star.
func (c *maskCheck) reference(u *columnUse) *Error {
	visible := u.items()
	if u.use == useOutput {
		return nil // in outputs
	}
	if u.star {
		if slices.ContainsFunc(u.meant(visible), c.masked) {
			return maskError("* would use masked columns in a nested query or expression")
		}
		return nil
	}
	column := u.fields[len(u.fields)-1]
	if len(u.fields) == 1 {
		for _, i := range visible {
			switch {
			case c.maskedColumn(i, column):
				return maskError("masked column is used where it cannot be masked: %q", column)
			case c.masked(i) && i.alias == column:
				return maskError("row with masked columns is used as a value: %q", column)
			}
		}
		return nil
	}
	for _, i := range u.meant(visible) {
		if !c.masked(i) {
			continue
		}
		if c.maskedColumn(i, column) {
			return maskError("masked column is used where it cannot be masked: %q", column)
		}
		if !hasColumn(i, column) {
			return maskError("row with masked columns is used as a value: %q", i.alias)
		}
	}
	return nil
}

func hasColumn(i *fromItem, column string) bool {
	if i.rel == nil {
		return false
	}
	_, ok := i.rel.Column(column)
	return ok || systemColumns[column]
}

// items are all members of FROM that a reference could see: those of its own
// level and of the levels around it.
func (u *columnUse) items() []*fromItem {
	var out []*fromItem
	for s := u.scope; s != nil; s = s.parent {
		out = append(out, s.items...)
	}
	return out
}

// meant narrows the items to those that a qualified reference names.
func (u *columnUse) meant(items []*fromItem) []*fromItem {
	if len(u.fields) == 0 || len(u.fields) == 1 && !u.star {
		return items
	}
	return u.candidates()
}
