// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// taint says whether, and how, a value depends on masked columns. The zero
// value does not. It is comparable, so that a fixpoint can be seen.
type taint struct {
	// source is one of the masked columns, nil where there is none.
	source *masking
	// noDerived and noPredicates are columns among them whose masks deny that
	// derived values are shown, and that they decide about rows.
	noDerived, noPredicates *masking
}

func (t taint) on() bool { return t.source != nil }

// with is what depends on both.
func (t taint) with(u taint) taint {
	if t.source == nil {
		return u
	}
	if t.noDerived == nil {
		t.noDerived = u.noDerived
	}
	if t.noPredicates == nil {
		t.noPredicates = u.noPredicates
	}
	return t
}

// of is what depends on one masked column.
func taintOf(s *masking) taint {
	if s == nil {
		return taint{}
	}
	t := taint{source: s}
	if !s.derived {
		t.noDerived = s
	}
	if !s.predicates {
		t.noPredicates = s
	}
	return t
}

// value is what is known of the value of an expression.
type value struct {
	taint
	// plain is the unchanged value of the masked column taint.source.
	plain bool
	// total says that computing it cannot fail and takes bounded time, for any
	// content of the columns it reads, unmasked ones included.
	total bool
	// nested says that a subquery is run for it.
	nested bool
	// null is the constant NULL.
	null bool
	typ  typ
	// row is the member of FROM whose whole row it is, nil for others.
	row *item
}

// unmasked is a value that depends on nothing masked.
func unmasked(t typ) value { return value{total: true, typ: t} }

// merged is the value of a column that is one of two in each row, as in set
// operations and VALUES.
func merged(x, y value) value {
	out := value{taint: x.with(y.taint), total: x.total && y.total, nested: x.nested || y.nested}
	switch {
	case x.null && y.null:
		out.null, out.plain, out.typ = true, false, x.typ
		return out
	case y.null:
		out.plain, out.typ = x.plain, x.typ
		return out
	case x.null:
		out.plain, out.typ = y.plain, y.typ
		return out
	}
	var widened bool
	out.typ, widened = common(x.typ, y.typ)
	out.total = out.total && widened
	// Masking the values of an unmasked arm alike would show what becomes of
	// values that the caller knows.
	out.plain = x.plain && y.plain && alike(x.source, y.source)
	return out
}

// alike says whether two columns are masked in one way.
func alike(x, y *masking) bool {
	return x == y || x.MaskSource == y.MaskSource || !x.Whole && !y.Whole && x.method != "" && x.method == y.method
}

// derived is a value computed from others by something total.
func derived(t typ, of ...value) value {
	out := value{total: true, typ: t}
	for _, v := range of {
		out.taint = out.with(v.taint)
		out.total = out.total && v.total
		out.nested = out.nested || v.nested
	}
	return out
}

// partial is a value computed from others by something that may fail.
func partial(of ...value) value {
	out := derived(typeOther, of...)
	out.total = false
	return out
}

// column is one column of a member of FROM or of a query. A hole stands for
// any number of columns whose names are not known.
type column struct {
	name string
	value
	hole bool
}

// item is one member of FROM.
type item struct {
	alias, schema string
	columns       []column
	// maybe are columns that it has only if a name means what it may mean.
	maybe []column
	// system says that it is a relation with system columns.
	system bool
	// named and unqualified say how its columns may be referred to.
	named, unqualified bool
}

// open says whether it may have further columns.
func (i *item) open() bool {
	for _, c := range i.columns {
		if c.hole {
			return true
		}
	}
	return false
}

// rest is what columns depend on that are not known by name.
func (i *item) rest() (t taint) {
	for _, c := range i.columns {
		if c.hole {
			t = t.with(c.taint)
		}
	}
	return t
}

// wholeRow is the value of its row.
func (i *item) wholeRow() value {
	out := unmasked(typeRow)
	for _, list := range [][]column{i.columns, i.maybe} {
		for _, c := range list {
			t := out.typ
			if c.typ == typeJSON || c.typ == typeRowJSON || c.hole {
				t = typeRowJSON
			}
			out = derived(t, out, c.value)
		}
	}
	out.row = i
	return out
}
