// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// readColumns are the columns of one member of FROM that a statement names.
type readColumns struct {
	access int // its place among the accesses
	all    bool
	names  []string
}

// readsColumns makes the access of a member of FROM tell its columns.
func (a *analysis) readsColumns(i *fromItem, access int) {
	i.read = &readColumns{access: access}
	a.read = append(a.read, i.read)
}

func (i *fromItem) readAll() {
	if i.read != nil {
		i.read.all = true
	}
}

// reads notes that a name may mean a column of the member. It is false where it
// does not.
func (i *fromItem) reads(column string) bool {
	if i.rel == nil {
		return false
	}
	if i.aliased {
		i.readAll()
		return false // not known, so another member may be meant as well
	}
	if _, ok := i.rel.Column(column); ok {
		if r := i.read; r != nil && !r.all && (len(r.names) == 0 || r.names[len(r.names)-1] != column) {
			r.names = append(r.names, column)
		}
		return true
	}
	return systemColumns[column]
}

// references goes through all references to columns once all levels are known:
// for functions called in attribute notation, where t.f means f(t) as t has no
// column f, and for the columns that are read.
func (a *analysis) references() {
	for _, u := range a.uses {
		switch {
		case len(u.fields) == 0:
			for _, i := range u.scope.itemsOf() {
				i.readAll()
			}
		case len(u.fields) == 1 && !u.star:
			u.readsName(u.fields[0])
		default:
			a.qualifiedUse(u)
		}
	}
	for _, r := range a.read {
		if !r.all {
			a.accesses[r.access].Columns = r.names
		}
	}
}

func (s *scope) itemsOf() []*fromItem {
	if s == nil {
		return nil
	}
	return s.items
}

// readsName resolves an unqualified name: a column of the nearest level that has
// one, else a row. Levels with members of unknown columns do not end the search.
func (u *columnUse) readsName(name string) {
	found := false
	for s := u.scope; s != nil; s = s.parent {
		hit, unknown := false, false
		for _, i := range s.items {
			known := i.reads(name)
			hit, unknown = hit || known, unknown || i.rel == nil || i.aliased
		}
		if hit && !unknown {
			return
		}
		found = found || hit
	}
	if found {
		return
	}
	for s := u.scope; s != nil; s = s.parent {
		for _, i := range s.items {
			if i.alias == name {
				i.readAll()
			}
		}
	}
}

func (a *analysis) qualifiedUse(u *columnUse) {
	items := u.candidates()
	if u.star {
		for _, i := range items {
			i.readAll()
		}
		return
	}
	last := u.fields[len(u.fields)-1]
	column := len(items) > 0
	for _, i := range items {
		if !i.reads(last) {
			column = false
			i.readAll()
		}
	}
	if !column {
		a.rowCall(last)
	}
}
