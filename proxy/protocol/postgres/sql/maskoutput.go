// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "slices"

// outputs checks the SELECT list of the top level: which output columns are
// masked, and that none of them is sorted, grouped or compared by.
func (c *maskCheck) outputs() *Error {
	f := &c.s.facts
	if f.top == nil {
		return nil
	}
	columns, known := c.expand()
	var labels []string
	found := false
	for _, o := range columns {
		if o.masked {
			found = true
			labels = append(labels, o.label)
		}
		if o.err != nil {
			return o.err
		}
	}
	if !found {
		return nil
	}
	if f.distinct {
		return maskError("DISTINCT would compare masked columns")
	}
	for _, p := range f.positions {
		if !known || p < 1 || p > len(columns) || columns[p-1].masked {
			return maskError("ORDER BY or GROUP BY a position could use a masked column: %d", p)
		}
	}
	for _, u := range f.uses {
		if u.use == useSort && len(u.fields) == 1 && slices.Contains(labels, u.fields[0]) {
			return maskError("ORDER BY or GROUP BY would use a masked column: %q", u.fields[0])
		}
	}
	return nil
}

type outputColumn struct {
	masked bool
	label  string
	err    *Error
}

// expand lists the output columns of the top level. known is false where the
// number of columns that a star stands for is not.
func (c *maskCheck) expand() (out []outputColumn, known bool) {
	known = true
	for _, o := range c.s.facts.outputs {
		switch u := o.column; {
		case u == nil:
			out = append(out, outputColumn{})
		case u.star:
			columns, all := c.expandStar(u)
			out = append(out, columns...)
			known = known && all
		default:
			out = append(out, c.plain(u))
		}
	}
	return out, known
}

// plain judges a column reference that is an output column of the top level.
func (c *maskCheck) plain(u *columnUse) outputColumn {
	column := u.fields[len(u.fields)-1]
	label := u.label
	if label == "" {
		label = column
	}
	items := u.scope.items
	if len(u.fields) > 1 {
		items = u.candidates()
	}
	out := outputColumn{label: label}
	for _, i := range items {
		switch {
		case !c.masked(i):
		case c.maskedColumn(i, column):
			if len(u.fields) == 1 && u.scope.merged && !c.only(i, items) {
				out.err = maskError("masked column in a join with USING needs its table's name: %q", column)
			}
			out.masked = true
		case len(u.fields) == 1 && i.alias == column && !anyColumn(items, column):
			out.err = maskError("row with masked columns is used as a value: %q", column)
		case len(u.fields) == 1 && i.alias == column:
			out.err = maskError("name means both a column and a row with masked columns: %q", column)
		case len(u.fields) > 1 && !hasColumn(i, column):
			out.err = maskError("row with masked columns is used as a value: %q", i.alias)
		}
	}
	return out
}

// only says that no other item can have the column.
func (c *maskCheck) only(one *fromItem, items []*fromItem) bool {
	return !slices.ContainsFunc(items, func(i *fromItem) bool { return i != one && i.rel == nil })
}

func anyColumn(items []*fromItem, column string) bool {
	return slices.ContainsFunc(items, func(i *fromItem) bool { return hasColumn(i, column) })
}

// expandStar lists the columns that * or t.* stands for.
func (c *maskCheck) expandStar(u *columnUse) (out []outputColumn, known bool) {
	items := u.scope.items
	if len(u.fields) > 0 {
		items = u.candidates()
	}
	known = !u.scope.merged
	for _, i := range items {
		if i.rel == nil {
			known = false
			continue
		}
		for _, column := range i.rel.Columns {
			_, masked := c.m.Masked(i.rel.OID, column.Name)
			out = append(out, outputColumn{masked: masked, label: column.Name})
		}
	}
	return out, known
}
