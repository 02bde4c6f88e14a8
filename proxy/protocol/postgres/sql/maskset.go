// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"
	"sync"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// MaskedColumn is one column of a relation that is masked for a caller. What is
// unset is the safest.
type MaskedColumn struct {
	Name string
	// Derived lets values that are computed from the column be shown, masked as
	// a whole; else a statement with such an output column is refused.
	Derived bool
	// Predicates lets the column decide about rows, their number, their order
	// and errors; else a statement in which it does is refused.
	Predicates bool
	// Method tells ways of masking apart: columns of one method may be arms of
	// one set operation. An empty one is like no other.
	Method string
}

// MaskedColumns names the columns of a relation that are masked for a caller
// by policy. It is asked for every relation of the catalog once.
type MaskedColumns func(relation uint32) []MaskedColumn

// MaskSource says which column's mask applies to a column. Whole says that the
// column is not that one but computed from it: its values are masked as a
// whole, whatever the mask's method.
type MaskSource struct {
	Relation uint32
	Column   string
	Whole    bool
}

// masking is a mask as it holds for a column of a relation.
type masking struct {
	MaskSource
	derived, predicates bool
	method              string
	// name is what errors call it.
	name string
}

// MaskSet is a caller's masks, worked out over one catalog snapshot: masks of
// a relation hold for its inheritance and partition parents and children by
// column name, and for generated columns computed from masked ones. It is
// safe for use by several goroutines; build it once per caller and snapshot.
type MaskSet struct {
	cat     *catalog.Catalog
	columns map[uint32]map[string]*masking
	// system stands for values in the system catalogs, unknown for whatever a
	// statement may reach that cannot be followed. Both may do what every mask
	// allows.
	system, unknown *masking

	// near are relations that foreign keys tie to masked ones.
	near map[uint32]bool

	// mu guards the views that were followed already.
	mu    sync.Mutex
	views map[uint32]*viewLineage
}

// NewMaskSet works out the masks. A column name that the relation does not
// have is kept, so that a mask does not vanish with a stale snapshot.
func NewMaskSet(cat *catalog.Catalog, m MaskedColumns) *MaskSet {
	s := &MaskSet{cat: cat, columns: map[uint32]map[string]*masking{}, views: map[uint32]*viewLineage{}}
	s.system = &masking{MaskSource: MaskSource{Whole: true}, derived: true, predicates: true, name: "values held by the system catalogs"}
	s.unknown = &masking{MaskSource: MaskSource{Whole: true}, derived: true, predicates: true, name: "what a masked relation may hold"}
	if m == nil {
		return s
	}
	for rel := range cat.Relations() {
		for _, c := range m(rel.OID) {
			s.add(rel.OID, c.Name, &masking{
				MaskSource: MaskSource{Relation: rel.OID, Column: c.Name}, derived: c.Derived, predicates: c.Predicates, method: c.Method,
				name: rel.String() + "." + c.Name,
			})
			for _, all := range []*masking{s.system, s.unknown} {
				all.derived, all.predicates = all.derived && c.Derived, all.predicates && c.Predicates
			}
		}
	}
	direct := make([]uint32, 0, len(s.columns))
	for oid := range s.columns {
		direct = append(direct, oid)
	}
	slices.Sort(direct)
	for _, oid := range direct {
		for _, kin := range cat.Kin(oid) {
			if kin == oid {
				continue
			}
			for column, from := range s.columns[oid] {
				s.add(kin, column, from)
			}
		}
	}
	for oid := range s.columns {
		s.addGenerated(oid)
	}
	s.addNear()
	return s
}

// add notes a mask. The first one that comes, which is the relation's own, says
// how; all of them together say what is allowed.
func (s *MaskSet) add(oid uint32, column string, from *masking) {
	if s.columns[oid] == nil {
		s.columns[oid] = map[string]*masking{}
	}
	there := s.columns[oid][column]
	if there == nil {
		s.columns[oid][column] = from
		return
	}
	both := *there
	both.derived, both.predicates = there.derived && from.derived, there.predicates && from.predicates
	s.columns[oid][column] = &both
}

// addGenerated masks what is computed from masked columns: as a whole, unless
// the computed column has a mask of its own.
func (s *MaskSet) addGenerated(oid uint32) {
	rel, ok := s.cat.Relation(oid)
	if !ok {
		return
	}
	for _, c := range rel.Columns {
		for _, column := range c.DerivedFrom {
			if from, masked := s.columns[oid][column]; masked {
				whole := *from
				whole.Whole = true
				s.add(oid, c.Name, &whole)
			}
		}
	}
}

func (s *MaskSet) addNear() {
	s.near = map[uint32]bool{}
	var queue []uint32
	visit := func(oid uint32) {
		if !s.near[oid] {
			s.near[oid] = true
			queue = append(queue, oid)
		}
	}
	for oid := range s.columns {
		visit(oid)
	}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		for _, key := range s.cat.ForeignKeys(next) {
			visit(key.From)
			visit(key.To)
		}
	}
}

// isNear says whether foreign keys tie a relation to a masked one.
func (s *MaskSet) isNear(oid uint32) bool { return s.near[oid] }

// Empty says that nothing is masked for the caller.
func (s *MaskSet) Empty() bool { return len(s.columns) == 0 }

// Masked says which mask applies to a column of a relation, as RowDescription
// reports the two.
func (s *MaskSet) Masked(relation uint32, column string) (MaskSource, bool) {
	from, ok := s.columns[relation][column]
	if !ok {
		return MaskSource{}, false
	}
	return from.MaskSource, ok
}

// has says whether any column of the relation is masked.
func (s *MaskSet) has(relation uint32) bool { return len(s.columns[relation]) > 0 }

// mask is the one of a column. The column is looked for by its name, and by
// its number where the snapshot of the masks is another than that of the
// statement and the column may have got another name.
func (s *MaskSet) mask(cat *catalog.Catalog, rel *catalog.Relation, column catalog.Column) *masking {
	if from := s.columns[rel.OID][column.Name]; from != nil || cat == s.cat {
		return from
	}
	if now, ok := s.cat.Relation(rel.OID); ok {
		if c, ok := now.ColumnByNumber(column.Number); ok {
			return s.columns[rel.OID][c.Name]
		}
	}
	return nil
}
