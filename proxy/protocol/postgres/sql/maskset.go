// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// MaskedColumns names the columns of a relation that are masked for a caller
// by policy. It is asked for every relation of the catalog once.
type MaskedColumns func(relation uint32) []string

// MaskSource says which column's mask applies to a column.
type MaskSource struct {
	Relation uint32
	Column   string
}

// MaskSet is a caller's masks, worked out over one catalog snapshot: masks of
// a relation hold for its inheritance and partition parents and children by
// column name, and for generated columns computed from masked ones. It is
// immutable; build it once per caller and snapshot.
type MaskSet struct {
	cat     *catalog.Catalog
	columns map[uint32]map[string]MaskSource
}

// NewMaskSet works out the masks. A column name that the relation does not
// have is kept, so that a mask does not vanish with a stale snapshot.
func NewMaskSet(cat *catalog.Catalog, m MaskedColumns) *MaskSet {
	s := &MaskSet{cat: cat, columns: map[uint32]map[string]MaskSource{}}
	if m == nil {
		return s
	}
	for rel := range cat.Relations() {
		for _, column := range m(rel.OID) {
			s.add(rel.OID, column, MaskSource{rel.OID, column}, true)
		}
	}
	direct := make([]uint32, 0, len(s.columns))
	for oid := range s.columns {
		direct = append(direct, oid)
	}
	slices.Sort(direct)
	for _, oid := range direct {
		for _, kin := range cat.Kin(oid) {
			for column, source := range s.columns[oid] {
				s.add(kin, column, source, false)
			}
		}
	}
	for oid := range s.columns {
		s.addGenerated(oid)
	}
	return s
}

// add notes a mask; a mask of the relation's own wins over an inherited one.
func (s *MaskSet) add(oid uint32, column string, source MaskSource, own bool) {
	if s.columns[oid] == nil {
		s.columns[oid] = map[string]MaskSource{}
	}
	if _, there := s.columns[oid][column]; own || !there {
		s.columns[oid][column] = source
	}
}

func (s *MaskSet) addGenerated(oid uint32) {
	rel, ok := s.cat.Relation(oid)
	if !ok {
		return
	}
	for _, c := range rel.Columns {
		for _, from := range c.DerivedFrom {
			if source, masked := s.columns[oid][from]; masked {
				s.add(oid, c.Name, source, false)
			}
		}
	}
}

// Empty says that nothing is masked for the caller.
func (s *MaskSet) Empty() bool { return len(s.columns) == 0 }

// Masked says which mask applies to a column of a relation, as RowDescription
// reports the two.
func (s *MaskSet) Masked(relation uint32, column string) (MaskSource, bool) {
	source, ok := s.columns[relation][column]
	return source, ok
}

// has says whether any column of the relation is masked.
func (s *MaskSet) has(relation uint32) bool { return len(s.columns[relation]) > 0 }
