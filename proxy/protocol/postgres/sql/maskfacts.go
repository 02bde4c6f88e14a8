// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "github.com/doorward/doorward/proxy/protocol/postgres/catalog"

// use says where a column reference stands.
type use byte

const (
	useOther  use = iota // an expression, a condition, a nested query
	useOutput            // a plain output column of the top-level SELECT
	useSort              // ORDER BY, GROUP BY, DISTINCT ON of the top level
)

// scope is one query level. Items are all members of its FROM; CTE names are
// visible to nested levels.
type scope struct {
	parent *scope
	top    bool
	items  []*fromItem
	ctes   map[string]bool
	merged bool // a join of the level merges columns (USING)
}

// cte says whether an unqualified name means a CTE here.
func (s *scope) cte(name string) bool {
	for ; s != nil; s = s.parent {
		if s.ctes[name] {
			return true
		}
	}
	return false
}

// fromItem is one member of FROM, or the target of a DML statement.
type fromItem struct {
	alias   string
	rel     *catalog.Relation // nil: subquery, function, CTE, session relation
	aliased bool              // columns are renamed: AS t(a, b)
	natural bool              // member of a NATURAL join
	members []*fromItem       // of an aliased join
}

// columnUse is one reference to a column, a row or a star. A single field may
// also be the name of a FROM item, which means its whole row.
type columnUse struct {
	scope  *scope
	fields []string
	star   bool
	use    use
	label  string // output name of a plain output column, "" for its own
}

// output is one member of the top-level SELECT list.
type output struct {
	column *columnUse // nil: an expression
}

// maskFacts is what CheckMasks needs to know of a statement.
type maskFacts struct {
	tokens    map[string]int // names in the text -> how often
	touched   []uint32       // relations named in the statement
	executes  []string       // functions off the safe list, by any notation
	items     []*fromItem    // of all levels
	uses      []*columnUse
	writes    []string // columns that are assigned to, one per mention
	labels    []string // output names, aliases and the like, one per mention
	outputs   []output
	top       *scope   // the level whose rows the caller sees
	arbiter   []uint32 // ON CONFLICT by constraint, or by any
	positions []int    // ORDER BY 1
	distinct  bool
	calls     bool   // what is read may call functions of users
	opaque    string // why no masked relation may be touched
	kind      string // set for kinds that are refused where anything is masked
	inner     *Statement
}

// nameCounts counts the names in a statement, for the check that no mention of
// a masked column was overlooked.
func nameCounts(part []token) map[string]int {
	out := map[string]int{}
	for _, t := range part {
		if t.isName {
			out[t.name]++
		}
	}
	return out
}

// accounted counts the names that the analysis has an explanation for. It must
// never exceed what is in the text.
func (f *maskFacts) accounted() map[string]int {
	out := map[string]int{}
	for _, u := range f.uses {
		for _, name := range u.fields {
			out[name]++
		}
	}
	for _, list := range [][]string{f.writes, f.labels} {
		for _, name := range list {
			out[name]++
		}
	}
	return out
}
