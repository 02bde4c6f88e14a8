// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"maps"
	"slices"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// lineage follows masked values through one statement, from the columns that
// they are read from to those that the caller sees.
type lineage struct {
	m   *MaskSet
	cat *catalog.Catalog
	// resolve finds the relation that a name in the statement means.
	resolve func(*ast.RangeVar) (target, bool)
	err     *Error
	depth   int
	work    int
	// nesting counts the levels of SELECT around; ofView says that the query is
	// that of a view.
	nesting int
	ofView  bool
	// seen are the references to columns and relations that were followed.
	seen map[ast.Node]bool
}

// maxWork bounds the expressions and columns that are looked at, repeated ones
// of recursive queries included.
const maxWork = 2_000_000

// maxColumns is the server's own limit on the columns of a query
// (MaxTupleAttributeNumber in access/htup_details.h).
const maxColumns = 1664

// level is what names mean at one place of a statement.
type level struct {
	parent *level
	items  []*item
	ctes   map[string]*cte
}

// cte is one query of WITH.
type cte struct {
	node      *ast.CommonTableExpr
	at        *level
	recursive bool
	state     cteState
	columns   []column
}

type cteState byte

const (
	cteNew cteState = iota
	cteRunning
	cteKnown
)

func (at *level) cte(name string) *cte {
	for ; at != nil; at = at.parent {
		if c := at.ctes[name]; c != nil {
			return c
		}
	}
	return nil
}

// enter guards recursion and effort; call leave when it returned true.
func (l *lineage) enter() bool {
	if l.err != nil {
		return false
	}
	l.depth++
	l.work++
	if l.depth > maxDepth || l.work > maxWork {
		l.depth--
		l.refuse(refuse(StateTooComplex, "Write a simpler statement.", "statement is too complex to follow masked columns through it"))
		return false
	}
	return true
}

func (l *lineage) leave() { l.depth-- }

func (l *lineage) refuse(e *Error) {
	if l.err == nil {
		l.err = e
	}
}

const (
	hintPredicate = "Masked columns can be shown, masked; they cannot decide which rows come, how many, in which order, or whether there is an error. Leave the column out of the condition, or ask for access to it."
	hintDerived   = "Select the masked column as it is, such as SELECT t.col FROM schema.t, or ask for access to it."
	hintWrite     = "Write values of your own, or ask for access to the masked column."
)

// predicate notes that something besides an output value depends on masked
// values: rows, their number, their order, an error or the time taken.
func (l *lineage) predicate(t taint, where string) {
	if deny := t.noPredicates; deny != nil {
		l.refuse(refuse(StateInsufficientPrivilege, hintPredicate, "masked column would decide about more than its own value: %q: %s", deny.name, where))
	}
}

// write notes a value that is stored or sent somewhere.
func (l *lineage) write(t taint, where string) {
	if t.on() {
		l.refuse(refuse(StateInsufficientPrivilege, hintWrite, "values of a masked column cannot be stored: %q: %s", t.source.name, where))
	}
}

// settle checks a value that is complete: what computing it may say besides the
// value itself. Columns of a view are computed where they are used only.
func (l *lineage) settle(v value) value {
	if v.on() && !v.total && (!l.ofView || l.nesting > 1) {
		l.predicate(v.taint, "an expression that may fail or take long")
	}
	return v
}

// show checks an output column of the statement itself.
func (l *lineage) show(v value) {
	if v.on() && !v.plain && v.noDerived != nil {
		l.refuse(refuse(StateInsufficientPrivilege, hintDerived, "output column is computed from a masked column: %q", v.noDerived.name))
	}
}

// unknown is what anything may depend on that cannot be followed.
func (l *lineage) unknown() value { return partial(value{taint: taintOf(l.m.unknown)}) }

// reach is what any value behind a relation may depend on.
func (l *lineage) reach(oid uint32) (t taint) {
	for _, member := range l.cat.BaseRelations(oid) {
		masked := l.m.columns[member]
		for _, name := range slices.Sorted(maps.Keys(masked)) { // errors name the first one
			t = t.with(taintOf(masked[name]))
		}
		if r, ok := l.cat.Relation(member); ok && holdsValues(r) {
			t = t.with(taintOf(l.m.system))
		}
	}
	return t
}

// missing refuses a name that stands for nothing known: the server would say
// so, or the snapshot is too old to follow it.
func (l *lineage) missing(name string) value {
	l.refuse(refuse(StateUndefinedColumn, "Check the name; a column made a moment ago is known within a minute.",
		"column does not exist, or cannot be seen: %q", name))
	return value{}
}
