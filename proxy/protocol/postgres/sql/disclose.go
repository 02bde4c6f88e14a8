// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// OutputKind says how a value that the caller sees depends on masked columns.
type OutputKind byte

// The kinds of output columns. Plain is the unchanged value of a masked column,
// to be masked by that column's method. Derived is anything else that depends on
// one: every value of it is to be replaced by the same one, NULL included, since
// whether there is a value may say something too.
const (
	Clear OutputKind = iota
	Plain
	Derived
)

// Output is what is known of one output column.
type Output struct {
	Kind OutputKind
	// Source is the masked column that a Plain output shows, and one of those
	// that a Derived one depends on.
	Source MaskSource
}

// Disclosure is what a statement shows a caller. It is immutable.
type Disclosure struct {
	// Touched says that any relation the statement reaches has masked columns,
	// or that it reads values that the system catalogs hold: the text of errors
	// and notices may show them.
	Touched bool

	outputs []column
	// clear says that there is nothing to mask, however many columns come.
	clear bool
}

// Clear says that there is nothing to mask, whatever columns come.
func (d *Disclosure) Clear() bool { return d.clear }

// Columns says for each of the n columns that the target describes what it is.
// The error means that the target describes other columns than the statement was
// found to have: nothing of them may be shown.
func (d *Disclosure) Columns(n int) ([]Output, error) {
	if d.clear {
		return make([]Output, n), nil
	}
	holes := 0
	for _, c := range d.outputs {
		if c.hole {
			holes++
		}
	}
	missing := n - (len(d.outputs) - holes)
	if missing < 0 || holes == 0 && missing != 0 || holes > 1 {
		return nil, refuse(StateFeatureNotSupported, "Name the columns instead of *, or send the statement again.",
			"result has other columns than the statement was found to have: %d described", n)
	}
	out := make([]Output, 0, n)
	for _, c := range d.outputs {
		if !c.hole {
			out = append(out, output1(c.value))
			continue
		}
		for range missing {
			out = append(out, output1(c.value))
		}
	}
	return out, nil
}

func output1(v value) Output {
	switch {
	case !v.on():
		return Output{}
	case v.plain && !v.source.Whole:
		return Output{Kind: Plain, Source: v.source.MaskSource}
	default:
		return Output{Kind: Derived, Source: v.source.MaskSource}
	}
}

// Disclose says what the statement shows a caller with these masks. The error is
// an *Error: the statement is not to run for this caller.
//
// The Disclosure of DECLARE CURSOR is that of the rows that FETCH brings, of
// EXECUTE that of the statement it runs, of COPY TO that of the fields.
//
// A statement that touches masked relations may still show masked values in the
// text of an error or notice ("Failing row contains ..."): their DETAIL and
// CONTEXT must not be passed on.
func (s *Statement) Disclose(m *MaskSet) (d *Disclosure, err error) {
	defer func() {
		if recover() != nil {
			d, err = nil, refuse(StateInternal, "Rewrite the statement; what cannot be analysed is not forwarded.",
				"statement cannot be analysed")
		}
	}()
	if m.Empty() {
		return &Disclosure{clear: true}, nil
	}
	if e := s.undisclosed(); e != nil {
		return nil, e
	}
	if s.facts.inner != nil {
		return s.discloseInner(m)
	}
	touched := s.TouchesMasked(m)
	if !touched && !s.facts.views && !s.writesNear(m) {
		return &Disclosure{clear: true}, nil
	}
	if name, lost := s.lostName(m); lost {
		return nil, refuse(StateInsufficientPrivilege, "Write the statement in another way, or ask for access to the masked columns.",
			"masked column is named where it cannot be followed: %q", name)
	}
	l := &lineage{m: m, cat: s.cat, resolve: s.resolved, seen: map[ast.Node]bool{}}
	outputs := l.statement(s.facts.tree)
	if l.err == nil {
		d = &Disclosure{Touched: touched || s.facts.views, outputs: outputs}
		l.shown(d)
	}
	if l.err != nil {
		return nil, l.err
	}
	return d, nil
}

// writesNear says whether the statement writes relations that foreign keys tie to
// masked ones, directly or through others.
func (s *Statement) writesNear(m *MaskSet) bool {
	return slices.ContainsFunc(s.Relations, m.isNear) && slices.ContainsFunc(s.Accesses, func(a Access) bool {
		return a.Action == ActionInsert || a.Action == ActionUpdate || a.Action == ActionDelete
	})
}

// discloseInner is for statements that name or run another one.
func (s *Statement) discloseInner(m *MaskSet) (*Disclosure, error) {
	d, err := s.facts.inner.Disclose(m)
	switch {
	case err != nil:
		return nil, err
	case s.Kind == "EXECUTE":
		return d, nil
	case s.Kind != "PREPARE" && s.Kind != "EXPLAIN" && !d.clear:
		return nil, refuse(StateInsufficientPrivilege, hintWrite, "values of a masked column cannot be stored: %s", s.Kind)
	}
	return &Disclosure{Touched: d.Touched, clear: true}, nil
}

// TouchesMasked says whether any relation that the statement reaches has
// masked columns, or holds values in the system catalogs.
func (s *Statement) TouchesMasked(m *MaskSet) bool {
	if m.Empty() {
		return false
	}
	return slices.ContainsFunc(s.Relations, func(oid uint32) bool {
		if m.has(oid) {
			return true
		}
		r, ok := s.cat.Relation(oid)
		return ok && holdsValues(r)
	})
}

// shown checks the columns that the caller sees.
func (l *lineage) shown(d *Disclosure) {
	var all taint
	holes := 0
	for _, c := range d.outputs {
		all = all.with(c.taint)
		if c.hole {
			holes++
		}
		l.show(c.value)
	}
	switch {
	case !all.on():
		d.clear = true
	case holes > 1:
		l.refuse(refuse(StateInsufficientPrivilege, "Name the columns instead of *.",
			"columns cannot be told apart where a masked one is among them: %q", all.source.name))
	}
}

// undisclosed refuses what could move masked data out of sight, whatever
// relations the statement reaches.
func (s *Statement) undisclosed() *Error {
	f := &s.facts
	const hint = "Ask for access to the masked columns, or leave it out."
	if f.kind != "" {
		return refuse(StateInsufficientPrivilege, hint,
			"statement could move masked data out of sight, and columns are masked for you: %s", f.kind)
	}
	if len(f.executes) > 0 {
		return refuse(StateInsufficientPrivilege, hint,
			"function could read masked columns, and columns are masked for you: %q", f.executes[0])
	}
	if name, makes := s.makesChecked(); makes {
		return refuse(StateInsufficientPrivilege, hint,
			"types of columns call functions that could read masked columns, and columns are masked for you: %q", name)
	}
	for _, oid := range f.touched {
		for _, member := range s.cat.BaseRelations(oid) {
			r, ok := s.cat.Relation(member)
			if !ok || isSystem(r) && systemValues[r.Name] != nil {
				continue
			}
			for _, fn := range s.cat.Invokes(member) {
				if r.Name == statementStatistics && fn.Name == statementStatistics {
					continue
				}
				if fn.OID >= catalog.FirstUserOID || readsData[fn.Name] {
					return refuse(StateInsufficientPrivilege, hint,
						"relation calls a function that could read masked columns: %q", r.String())
				}
			}
		}
	}
	return nil
}

// resolved is what a name in the statement was found to mean.
func (s *Statement) resolved(v *ast.RangeVar) (target, bool) {
	t, ok := s.facts.resolved[v]
	return t, ok
}
