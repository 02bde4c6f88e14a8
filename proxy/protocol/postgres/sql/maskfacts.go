// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// scope is one query level. Items are all members of its FROM; CTE names are
// visible to nested levels.
type scope struct {
	parent *scope
	items  []*fromItem
	ctes   map[string]bool
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
	read    *readColumns      // nil where which columns are read is not told
}

// columnUse is one reference to a column, a row or a star. A single field may
// also be the name of a FROM item, which means its whole row.
type columnUse struct {
	scope  *scope
	fields []string
	star   bool
}

// maskFacts is what Disclose needs to know of a statement.
type maskFacts struct {
	tree     ast.Node
	resolved map[*ast.RangeVar]target
	touched  []uint32 // relations named in the statement
	executes []string // functions off the safe list, by any notation
	views    bool     // a view of the session may be read
	calls    bool     // what is read may call functions of users
	triggers bool     // what is written has triggers of users
	converts bool     // a function makes values of the types of others
	kind     string   // set for kinds that are refused where anything is masked
	inner    *Statement
}

// note keeps what a name in the statement means.
func (f *maskFacts) note(v *ast.RangeVar, t target) {
	if f.resolved == nil {
		f.resolved = map[*ast.RangeVar]target{}
	}
	f.resolved[v] = t
	f.views = f.views || len(t.behind) > 0
}
