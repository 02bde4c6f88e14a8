// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import "slices"

// use is what the rules of one relation do with another.
type use struct{ by, of uint32 }

// ViewRead is one relation that a view reads, and which of its columns. Columns is
// nil where they are not known: all of them may be read.
type ViewRead struct {
	Relation uint32
	Columns  []string
}

// ViewReads returns what the relation's rules read directly, by OID: empty for
// a plain table.
func (c *Catalog) ViewReads(oid uint32) []ViewRead {
	r, ok := c.relations[oid]
	if !ok || r.Kind == KindToast {
		return nil
	}
	out := make([]ViewRead, 0, len(c.reads[oid]))
	for _, of := range c.reads[oid] {
		out = append(out, ViewRead{Relation: of, Columns: c.columnNames(of, c.used[use{oid, of}])})
	}
	return out
}

// ReadsThrough returns everything that is read behind a view, through further
// views, by OID; the relation itself is not among it, nor are the partitions
// and children of what is read.
func (c *Catalog) ReadsThrough(oid uint32) []ViewRead {
	found := map[uint32]*ViewRead{}
	var order []uint32
	queue := []uint32{oid}
	for i := 0; i < len(queue); i++ {
		for _, next := range c.ViewReads(queue[i]) {
			known := found[next.Relation]
			switch {
			case known == nil:
				found[next.Relation] = &next
				order, queue = append(order, next.Relation), append(queue, next.Relation)
			case known.Columns == nil || next.Columns == nil:
				known.Columns = nil
			default:
				known.Columns = append(slices.Clone(known.Columns), next.Columns...)
				slices.Sort(known.Columns)
				known.Columns = slices.Compact(known.Columns)
			}
		}
	}
	slices.Sort(order)
	out := make([]ViewRead, 0, len(order))
	for _, of := range order {
		out = append(out, *found[of])
	}
	return out
}

// columnNames names columns by their numbers; nil where any is not known.
func (c *Catalog) columnNames(oid uint32, numbers []int16) []string {
	r := c.relations[oid]
	if r == nil || len(numbers) == 0 {
		return nil
	}
	out := make([]string, 0, len(numbers))
	for _, n := range numbers {
		column, ok := r.ColumnByNumber(n)
		if !ok {
			return nil
		}
		out = append(out, column.Name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Invokes returns the functions that the relation's own rules call.
func (c *Catalog) Invokes(oid uint32) []*Function {
	var out []*Function
	for _, f := range c.invoke[oid] {
		if fn, ok := c.byOID[f]; ok {
			out = append(out, fn)
		}
	}
	return out
}
