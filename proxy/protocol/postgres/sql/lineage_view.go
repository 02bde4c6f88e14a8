// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser"
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// viewLineage is what the columns of a view depend on, and why it cannot be
// read.
type viewLineage struct {
	columns []column
	err     *Error
}

// relationColumns are the columns of a relation of the catalog, as a query
// finds them.
func (l *lineage) relationColumns(r *catalog.Relation) []column {
	if isUserView(r) {
		return l.view(r)
	}
	hidden := l.hiddenValues(r)
	out := make([]column, 0, len(r.Columns))
	for _, c := range r.Columns {
		v := unmasked(columnType(c))
		if r.OID < catalog.FirstUserOID && r.Kind == catalog.KindView {
			v.total, v.nested = false, true
		}
		if hidden(c.Name) {
			v.taint, v.plain, v.total, v.nested = taintOf(l.m.system), true, true, false
		}
		if mask := l.m.mask(l.cat, r, c); mask != nil {
			v = own(v, mask)
		}
		out = append(out, column{name: c.Name, value: v})
	}
	return out
}

// own is a column with a mask of its own, on top of what it depends on.
func own(v value, mask *masking) value {
	if v.on() && (!v.plain || !alike(v.source, mask)) {
		// Two masks that are no one mask: neither method will do.
		both := *mask
		both.Whole = true
		mask = &both
	}
	v.taint, v.plain = taintOf(mask).with(v.taint), true
	return v
}

// view follows the query of a view, once for a snapshot and its masks.
func (l *lineage) view(r *catalog.Relation) []column {
	known := l.knownView(r.OID)
	if known == nil {
		known = l.followView(r)
		if l.cat == l.m.cat {
			l.m.mu.Lock()
			l.m.views[r.OID] = known
			l.m.mu.Unlock()
		}
	}
	if known.err != nil {
		l.refuse(known.err)
	}
	return known.columns
}

func (l *lineage) knownView(oid uint32) *viewLineage {
	if l.cat != l.m.cat {
		return nil
	}
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return l.m.views[oid]
}

// followView never fails but with a reason to refuse the view: what cannot be
// followed may hold anything that is reached.
func (l *lineage) followView(r *catalog.Relation) *viewLineage {
	inner := &lineage{m: l.m, cat: l.cat, resolve: l.byName, depth: l.depth, work: l.work, ofView: true, seen: map[ast.Node]bool{}}
	columns, followed := inner.definition(r)
	l.work = inner.work
	if !followed {
		inner.err = nil
		from := l.reach(r.OID)
		inner.predicate(from, "view "+r.String()+" cannot be followed")
		columns = make([]column, len(r.Columns))
		for i := range columns {
			columns[i].value = partial(value{taint: from, nested: true})
		}
	}
	out := make([]column, 0, len(r.Columns))
	hidden := l.hiddenValues(r)
	for i, c := range r.Columns {
		v := columns[i].value
		v.typ, v.null = columnType(c), false
		if hidden(c.Name) {
			v.taint, v.plain = taintOf(l.m.system).with(v.taint), true
		}
		if r.Kind == catalog.KindMaterializedView {
			v.total, v.nested = true, false // computed before
		}
		if mask := l.m.mask(l.cat, r, c); mask != nil {
			v = own(v, mask)
		}
		out = append(out, column{name: c.Name, value: v})
	}
	return &viewLineage{columns: out, err: inner.err}
}

// definition follows a view's own query. It is false where that cannot be done.
func (l *lineage) definition(r *catalog.Relation) (columns []column, ok bool) {
	defer func() {
		if recover() != nil {
			columns, ok = nil, false
		}
	}()
	if r.Definition == "" {
		return nil, false
	}
	trees, err := parser.ParseSQL(r.Definition)
	if err != nil || len(trees) != 1 {
		return nil, false
	}
	columns = l.query(trees[0], nil)
	if l.err != nil && l.err.SQLSTATE == StateInsufficientPrivilege {
		return make([]column, len(r.Columns)), true
	}
	if l.err != nil {
		return nil, false
	}
	if len(columns) != len(r.Columns) || !l.complete(trees[0]) {
		return nil, false
	}
	for _, c := range columns {
		if c.hole {
			return nil, false
		}
	}
	return columns, true
}

// byName resolves the names in a view's definition.
func (l *lineage) byName(v *ast.RangeVar) (target, bool) {
	schema := v.SchemaName
	if schema == "" {
		schema = catalog.SystemSchema
	}
	rel, ok := l.cat.Lookup(schema, v.RelName)
	return target{rel: rel}, ok && v.CatalogName == ""
}

// complete says whether every reference to a column or a relation in a tree was
// followed: a second look by other means, so that no clause is forgotten.
func (l *lineage) complete(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ColumnRef, *ast.RangeVar:
		if !l.seen[n] {
			return false
		}
	}
	ok := true
	children(n, func(c ast.Node) { ok = ok && l.complete(c) })
	return ok
}
