// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

const hintConstraint = "Whether there is an error would tell something of values that are masked for you. Leave the column to its default, or as it is, or ask for access to it."

// constrained refuses a write whose success depends on masked values.
func (l *lineage) constrained(t taint, where string) {
	if deny := t.noPredicates; deny != nil {
		l.refuse(refuse(StateInsufficientPrivilege, hintConstraint,
			"masked column would decide whether rows can be written: %q: %s", deny.name, where))
	}
}

// writing is what a statement writes to one relation out of those that stand
// behind the one it names.
type writing struct {
	l   *lineage
	rel *catalog.Relation
	// wrote says whether a column gets a value of the caller's.
	wrote func(catalog.Column) bool
}

// writes checks what a statement does to the relation of t: insert, update or
// delete. names are the columns that it writes; nil means all.
func (l *lineage) writes(deed catalog.Deed, t target, i *item, names []string) {
	for _, read := range t.behind {
		schema, name, _ := strings.Cut(read.Resource, ".")
		if rel, ok := l.cat.Lookup(schema, name); ok {
			// A view of the session shows nothing that is masked, under any names.
			l.writesTo(deed, rel, func(r *catalog.Relation, c catalog.Column) bool { return !l.maskOf(r, c).on() })
		}
	}
	if t.rel == nil {
		return
	}
	named := map[string]bool{}
	for _, n := range names {
		named[n] = true
	}
	wrote := func(_ *catalog.Relation, c catalog.Column) bool { return names == nil || named[c.Name] }
	if t.rel.Kind == catalog.KindView || t.rel.WriteRules {
		wrote = l.throughView(i, names == nil, named)
	}
	l.writesTo(deed, t.rel, wrote)
}

// throughView says which columns of the relations behind a view are written, as
// far as they are masked: of the others it is only known whether there are any.
func (l *lineage) throughView(i *item, all bool, named map[string]bool) func(*catalog.Relation, catalog.Column) bool {
	sources, others := map[MaskSource]bool{}, false
	for _, c := range i.columns {
		if !all && !named[c.name] && !c.hole {
			continue
		}
		if c.on() {
			sources[c.source.MaskSource] = true
		} else {
			others = true
		}
	}
	return func(r *catalog.Relation, c catalog.Column) bool {
		if mask := l.maskOf(r, c); mask.on() {
			return sources[mask.source.MaskSource]
		}
		return others
	}
}

func (l *lineage) maskOf(r *catalog.Relation, c catalog.Column) taint {
	return taintOf(l.m.mask(l.cat, r, c))
}

func (l *lineage) writesTo(deed catalog.Deed, rel *catalog.Relation, wrote func(*catalog.Relation, catalog.Column) bool) {
	done := map[uint32]bool{}
	for _, oid := range l.cat.BaseRelations(rel.OID) {
		done[oid] = true
		if r, ok := l.cat.Relation(oid); ok {
			w := writing{l: l, rel: r, wrote: func(c catalog.Column) bool { return wrote(r, c) }}
			w.check(deed)
		}
	}
	for _, reached := range l.cat.Reaches(rel.OID, deed, false) {
		r, ok := l.cat.Relation(reached.OID)
		if !ok || done[reached.OID] || reached.Deed == catalog.Read {
			continue
		}
		w := writing{l: l, rel: r, wrote: func(catalog.Column) bool { return true }}
		if !rel.WriteRules {
			w.wrote = l.references(r) // what the actions of foreign keys set
		}
		w.check(reached.Deed)
	}
}

// references says which columns refer to other relations.
func (l *lineage) references(r *catalog.Relation) func(catalog.Column) bool {
	columns := map[string]bool{}
	for _, key := range l.cat.ForeignKeys(r.OID) {
		for _, name := range key.Columns {
			columns[name] = columns[name] || key.From == r.OID
		}
	}
	return func(c catalog.Column) bool { return columns[c.Name] }
}

func (w *writing) check(deed catalog.Deed) {
	if deed != catalog.Delete {
		w.constraints(deed == catalog.Update)
		w.generated(deed == catalog.Update)
	}
	for _, key := range w.l.cat.ForeignKeys(w.rel.OID) {
		if key.From == w.rel.OID && deed != catalog.Delete {
			w.refers(key, deed == catalog.Update)
		}
		if key.To == w.rel.OID && deed != catalog.Insert {
			w.referred(key, deed == catalog.Delete)
		}
	}
}

// look is what there is to know of some columns: whether any is written, what all
// of them depend on, and what those depend on that are written, and are not.
func (w *writing) look(names []string) (wrote bool, all, written, kept taint) {
	for _, c := range w.rel.Columns {
		if names != nil && !contains(names, c.Name) {
			continue
		}
		mask := w.l.maskOf(w.rel, c)
		all = all.with(mask)
		if w.writes(c) {
			wrote, written = true, written.with(mask)
		} else {
			kept = kept.with(mask)
		}
	}
	return wrote, all, written, kept
}

// writes says whether a column changes, also as one that is computed.
func (w *writing) writes(c catalog.Column) bool {
	if !c.Generated {
		return w.wrote(c)
	}
	for _, name := range c.DerivedFrom {
		if from, ok := w.rel.Column(name); !ok || w.wrote(from) {
			return true
		}
	}
	return false
}

// constraints: an INSERT brings the caller's own row, which is held against
// others; an UPDATE keeps what it does not set.
func (w *writing) constraints(update bool) {
	for _, c := range w.l.cat.Constraints(w.rel.OID) {
		wrote, all, written, kept := w.look(c.Columns)
		switch {
		case c.Unique && !update:
			w.l.constrained(written, "a unique key of "+w.rel.String())
		case c.Unique && wrote:
			w.l.constrained(all, "a unique key of "+w.rel.String())
		case !c.Unique && update && (wrote || c.Always):
			w.l.constrained(kept, "a CHECK, index or partition key of "+w.rel.String())
		}
	}
}

// generated: computing a column from others may fail.
func (w *writing) generated(update bool) {
	for _, c := range w.rel.Columns {
		if !c.Generated || !update {
			continue
		}
		if wrote, _, _, kept := w.look(append([]string{}, c.DerivedFrom...)); wrote {
			w.l.constrained(kept, "the generated column "+w.rel.String()+"."+c.Name)
		}
	}
}

// refers: whether what is written is found among the keys of another relation.
func (w *writing) refers(key *catalog.ForeignKey, update bool) {
	wrote, _, _, kept := w.look(key.Columns)
	if !wrote {
		return
	}
	where := "a foreign key of " + w.rel.String()
	w.l.constrained(w.l.masksOf(key.To, key.Keys), where)
	if update {
		w.l.constrained(kept, where)
	}
}

// referred: whether rows of another relation refer to those that go, or change.
func (w *writing) referred(key *catalog.ForeignKey, gone bool) {
	if wrote, _, _, _ := w.look(key.Keys); !wrote && !gone {
		return
	}
	where := "a foreign key to " + w.rel.String()
	w.l.constrained(w.l.masksOf(key.To, key.Keys).with(w.l.masksOf(key.From, key.Columns)), where)
}

// masksOf are the masks of some columns of a relation.
func (l *lineage) masksOf(oid uint32, names []string) (t taint) {
	if rel, ok := l.cat.Relation(oid); ok {
		for _, c := range rel.Columns {
			if contains(names, c.Name) {
				t = t.with(l.maskOf(rel, c))
			}
		}
	}
	return t
}

// contains finds a column; an empty name stands for one that is not known.
func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name || n == "" {
			return true
		}
	}
	return false
}

// assignedNames are the columns in a list of INSERT or SET; never nil.
func assignedNames(list []ast.Node) []string {
	out := []string{}
	for _, n := range list {
		if t, ok := n.(*ast.ResTarget); ok {
			out = append(out, t.Name)
		}
	}
	return out
}

// insertedNames are the columns that get other values than their defaults, nil for
// all: without a list, the first ones, as many as there are values.
func insertedNames(cols []ast.Node, rel *catalog.Relation, values [][]ast.Node, width int) []string {
	names := assignedNames(cols)
	if len(cols) == 0 {
		if rel == nil || width < 0 {
			return nil
		}
		for i := 0; i < len(rel.Columns) && i < width; i++ {
			names = append(names, rel.Columns[i].Name)
		}
	}
	out := []string{}
	for i, name := range names {
		given := len(values) == 0
		for _, row := range values {
			if i >= len(row) {
				given = true
				continue
			}
			_, byDefault := row[i].(*ast.SetToDefault)
			given = given || !byDefault
		}
		if given {
			out = append(out, name)
		}
	}
	return out
}

// insertedValues are the rows of VALUES and how many columns come; -1 where that
// is not known.
func insertedValues(query ast.Node, columns []column) (rows [][]ast.Node, width int) {
	if s, ok := query.(*ast.SelectStmt); ok {
		for _, row := range listOf(s.ValuesLists) {
			if list, ok := row.(*ast.NodeList); ok {
				rows = append(rows, list.Items)
			}
		}
	}
	for _, c := range columns {
		if c.hole {
			return rows, -1
		}
	}
	return rows, len(columns)
}
