// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import "slices"

// Deed is what is done to the rows of a relation.
type Deed byte

// The deeds that reach further than the relation that a statement names.
const (
	Read Deed = iota
	Insert
	Update
	Delete
	Truncate
)

// Reached is a relation that a statement does something to without naming it.
type Reached struct {
	Deed Deed
	OID  uint32
}

// reference is a foreign key as the referenced relation sees it.
type reference struct {
	from uint32
	// onDelete and onUpdate are pg_constraint.confdeltype and confupdtype.
	onDelete, onUpdate byte
}

// Reaches says what a deed to a relation reaches besides: through views and
// rules what they read and write; down inheritance and partitions, whose rows
// are the parent's too, and up from there; over foreign keys what their actions
// delete and change; with cascade, what TRUNCATE CASCADE empties. What the
// system's own views read is not told. Sorted by deed and OID.
func (c *Catalog) Reaches(oid uint32, deed Deed, cascade bool) []Reached {
	w := walk{c: c, cascade: cascade, seen: map[Reached]bool{{deed, oid}: true}}
	w.down(deed, oid)
	slices.SortFunc(w.out, func(x, y Reached) int {
		if x.Deed != y.Deed {
			return int(x.Deed) - int(y.Deed)
		}
		return int(int64(x.OID) - int64(y.OID))
	})
	return w.out
}

type walk struct {
	c       *Catalog
	cascade bool
	seen    map[Reached]bool
	out     []Reached
}

// note is false where the deed was known already.
func (w *walk) note(deed Deed, oid uint32) bool {
	next := Reached{deed, oid}
	if w.seen[next] {
		return false
	}
	w.seen[next] = true
	w.out = append(w.out, next)
	return true
}

func (w *walk) next(deed Deed, oid uint32) {
	if w.note(deed, oid) {
		w.down(deed, oid)
	}
}

func (w *walk) down(deed Deed, oid uint32) {
	for _, child := range w.c.children[oid] {
		w.next(deed, child)
	}
	w.up(deed, oid)
	r, known := w.c.relations[oid]
	if known && (oid >= FirstUserOID || r.Kind == KindToast) {
		w.rules(deed, r)
	}
	for _, ref := range w.c.references[oid] {
		switch {
		case deed == Truncate && w.cascade:
			w.next(Truncate, ref.from)
		case deed == Delete && ref.onDelete == 'c':
			w.next(Delete, ref.from)
		case deed == Delete && changes(ref.onDelete), deed == Update && changes(ref.onUpdate):
			w.next(Update, ref.from)
		}
	}
}

// changes says whether a foreign key's action is CASCADE, SET NULL or SET DEFAULT.
func changes(action byte) bool { return action == 'c' || action == 'n' || action == 'd' }

// up notes the parents, whose rows these are too; not their other children.
func (w *walk) up(deed Deed, oid uint32) {
	for _, parent := range w.c.parents[oid] {
		if w.note(deed, parent) {
			w.up(deed, parent)
		}
	}
}

// rules follows the rules of a view, of a table, and from a toast table to its
// owner. What a rule other than a view's own does to what it names is not told
// apart: it may read and write all of it.
func (w *walk) rules(deed Deed, r *Relation) {
	write := deed == Insert || deed == Update || deed == Delete
	if deed == Read || write && r.Kind == KindView {
		for _, base := range w.c.reads[r.OID] {
			w.next(Read, base)
			if write {
				w.next(deed, base)
			}
		}
	}
	if write {
		for _, other := range w.c.written[r.OID] {
			for _, d := range []Deed{Read, Insert, Update, Delete} {
				w.next(d, other)
			}
		}
	}
}

// HasCode says whether reading or writing the relation, or one that it is made
// of, may call functions of users behind column defaults, checks, index
// expressions and partition bounds: the planner runs those that count as immutable.
func (c *Catalog) HasCode(oid uint32) bool {
	return slices.ContainsFunc(c.closures[oid], func(member uint32) bool { return c.code[member] })
}
