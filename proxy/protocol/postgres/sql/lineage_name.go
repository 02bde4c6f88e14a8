// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/multigres/multigres/go/common/parser/ast"

// find looks an unqualified column up at one level. open says that a column of
// the name may be there without being known; rest is what that depends on.
func (at *level) find(name string) (v value, found, open bool, rest taint) {
	for _, i := range at.items {
		if !i.unqualified {
			continue
		}
		for _, c := range i.columns {
			switch {
			case c.hole:
				open, rest = true, rest.with(c.taint)
			case c.name != name:
			case found: // the server says that it is ambiguous
				v = derived(typeOther, v, c.value)
			default:
				v, found = c.value, true
			}
		}
		for _, c := range i.maybe {
			if c.name == name {
				open, rest = true, rest.with(c.taint)
			}
		}
		if !found && i.system && systemColumns[name] {
			v, found = unmasked(typeOther), true
		}
	}
	return v, found, open, rest
}

// unqualified resolves a single name: a column of the nearest level that has
// one, else the row of a member of FROM.
func (l *lineage) unqualified(name string, at *level) value {
	var rest taint
	wasOpen := false
	for s := at; s != nil; s = s.parent {
		v, found, open, more := s.find(name)
		if found && !wasOpen {
			return v
		}
		if found {
			return partial(v, value{taint: rest})
		}
		wasOpen, rest = wasOpen || open, rest.with(more)
	}
	for s := at; s != nil; s = s.parent {
		for _, i := range s.items {
			if i.named && i.alias == name {
				row := i.wholeRow()
				if wasOpen {
					return partial(row, value{taint: rest})
				}
				return row
			}
		}
	}
	if wasOpen {
		out := derived(typeOther, value{taint: rest, total: true})
		return out
	}
	return l.missing(name)
}

// member finds the member of FROM that a qualifier names, and whether several
// may be meant.
func (at *level) member(schema, name string) *item {
	for ; at != nil; at = at.parent {
		for _, i := range at.items {
			if i.named && i.alias == name && (schema == "" || i.schema == schema || i.schema == anySchema) {
				return i
			}
		}
	}
	return nil
}

// anySchema is the schema of a relation that the session has made: which one,
// is not told apart.
const anySchema = "*"

// qualified resolves a column of a named member of FROM. What is no column may
// be a function, called with the row.
func (l *lineage) qualified(i *item, name string) value {
	for _, c := range i.columns {
		if !c.hole && c.name == name {
			return c.value
		}
	}
	for _, c := range i.maybe {
		if c.name == name {
			return partial(c.value, value{taint: i.rest(), total: true})
		}
	}
	switch {
	case i.system && systemColumns[name]:
		return unmasked(typeOther)
	case i.open():
		return derived(typeOther, value{taint: i.rest(), total: true})
	}
	return l.rowFunction(name, i.wholeRow())
}

// rowFunction is a function called in attribute notation.
func (l *lineage) rowFunction(name string, row value) value {
	if len(l.cat.Functions("pg_catalog", name)) == 0 && !row.on() {
		return partial(row)
	}
	return l.called(name, []value{row}, []ast.Node{nil})
}

// reference resolves a column reference that is no star.
func (l *lineage) reference(n *ast.ColumnRef, at *level) value {
	l.seen[n] = true
	fields, subscripts, star := refParts(n)
	if star {
		// A star where a value is wanted means a row: count(t.*), row(t.*).
		return derived(typeRowJSON, valuesOf(l.expand(n, at))...)
	}
	var v value
	switch len(fields) {
	case 0:
		return l.missing("")
	case 1:
		v = l.unqualified(fields[0], at)
	default:
		schema, relation := "", fields[len(fields)-2]
		if len(fields) > 2 {
			schema = fields[len(fields)-3]
		}
		i := at.member(schema, relation)
		if i == nil {
			return l.missing(relation)
		}
		v = l.qualified(i, fields[len(fields)-1])
	}
	for _, s := range subscripts {
		v = partial(v, l.expr(s, at))
	}
	return v
}

// refParts splits a reference: names up to the first subscript, what follows.
func refParts(n *ast.ColumnRef) (fields []string, subscripts []ast.Node, star bool) {
	if n.Fields == nil {
		return nil, nil, false
	}
	for _, f := range n.Fields.Items {
		switch f := f.(type) {
		case *ast.String:
			if len(subscripts) == 0 {
				fields = append(fields, f.SVal)
			} else {
				subscripts = append(subscripts, f)
			}
		case *ast.A_Star:
			star = true
		default:
			subscripts = append(subscripts, f)
		}
	}
	return fields, subscripts, star
}

// expand lists the columns that * or t.* stands for.
func (l *lineage) expand(n *ast.ColumnRef, at *level) []column {
	l.seen[n] = true
	fields, _, _ := refParts(n)
	if len(fields) == 0 {
		var out []column
		for _, i := range at.items {
			if i.unqualified {
				out = append(out, l.spread(i)...)
			}
		}
		return out
	}
	schema := ""
	if len(fields) > 1 {
		schema = fields[len(fields)-2]
	}
	i := at.member(schema, fields[len(fields)-1])
	if i == nil {
		l.missing(fields[len(fields)-1])
		return nil
	}
	return l.spread(i)
}

// spread lists the columns of a member. Where its name may mean two relations,
// they are not known one by one.
func (l *lineage) spread(i *item) []column {
	l.work += len(i.columns)
	if len(i.maybe) == 0 {
		return i.columns
	}
	return []column{{hole: true, value: partial(i.wholeRow())}}
}

func valuesOf(columns []column) []value {
	out := make([]value, len(columns))
	for i, c := range columns {
		out[i] = c.value
	}
	return out
}
