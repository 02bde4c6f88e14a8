// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"cmp"
	"slices"
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// maxDepth bounds the nesting of expressions that are walked; the server's own
// stack limit is lower for most forms.
const maxDepth = 10_000

// analysis is the state of the walk over one statement.
type analysis struct {
	cat    *catalog.Catalog
	opt    Options
	path   []string
	firsts map[string]bool // first names of a.b.c chains in the text
	out    *Statement
	facts  maskFacts
	err    error
	depth  int

	configures bool                     // set_config is called
	subscribes bool                     // pg_subscription is read
	conninfo   bool                     // the text names its column that holds passwords
	settingOf  map[*ast.FuncCall]string // what calls of it set, where a row of pg_settings says so

	making string // the relation that a CREATE TABLE makes, as a resource

	accesses  []Access
	relations []uint32
	seen      map[*ast.ColumnRef]bool
	uses      []*columnUse
	read      []*readColumns
	items     int // members of all FROM lists
}

// fail stops the analysis.
func (a *analysis) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// refuse marks the statement as one that no policy can allow.
func (a *analysis) refuse(e *Error) {
	if a.out.Refusal == nil {
		a.out.Refusal = e
	}
}

func (a *analysis) property(name string) {
	if !slices.Contains(a.out.Properties, name) {
		a.out.Properties = append(a.out.Properties, name)
	}
}

// access adds one access. Writing ones end ReadOnly.
func (a *analysis) access(action, resource string, columns []string) {
	switch action {
	case ActionSelect, ActionShow:
	default:
		a.out.Effects.ReadOnly = false
	}
	a.accesses = append(a.accesses, Access{Action: action, Resource: resource, Columns: columns})
}

// enter guards recursion; call leave when it returned true.
func (a *analysis) enter() bool {
	if a.err != nil {
		return false
	}
	a.depth++
	if a.depth > maxDepth {
		a.depth--
		a.fail(refuse(StateTooComplex, "Write the statement with less nesting.",
			"statement is nested too deeply: more than %d levels", maxDepth))
		return false
	}
	return true
}

func (a *analysis) leave() { a.depth-- }

// finish sorts and seals the statement.
func (a *analysis) finish() {
	s := a.out
	if a.cat.HasHiddenCalls() {
		s.Effects.ReadOnly, s.Effects.RunsCode, a.facts.calls = false, true, true
	}
	if len(a.accesses) == 0 {
		a.accesses = []Access{{Action: ActionEvaluate}}
	}
	a.settled()
	s.Accesses = mergeAccesses(a.accesses)
	if s.Kind == "CREATE VIEW" {
		s.Effects.Behind = behind(s.Accesses)
	}
	s.Properties = sortedUnique(s.Properties)
	slices.Sort(a.relations)
	s.Relations = slices.Compact(a.relations)
	s.facts = a.facts
	s.Fingerprint = fingerprint(s)
}

// mergeAccesses sorts, and joins the columns of equal accesses. Where one of
// them names no columns, the joined one names none either. What the statement
// names is not indirect as well.
func mergeAccesses(in []Access) []Access {
	slices.SortStableFunc(in, func(x, y Access) int {
		return cmp.Or(strings.Compare(x.Action, y.Action), strings.Compare(x.Resource, y.Resource), boolToInt(x.Indirect)-boolToInt(y.Indirect))
	})
	var out []Access
	for _, next := range in {
		if n := len(out); n > 0 && out[n-1].Action == next.Action && out[n-1].Resource == next.Resource {
			last := &out[n-1]
			switch {
			case next.Indirect && !last.Indirect:
			case last.Columns == nil || next.Columns == nil:
				last.Columns = nil
			default:
				last.Columns = append(last.Columns, next.Columns...)
			}
			continue
		}
		next.Columns = slices.Clone(next.Columns)
		out = append(out, next)
	}
	for i := range out {
		out[i].Columns = sortedUnique(out[i].Columns)
	}
	return out
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// searchPath makes the implicit head of the path explicit.
func searchPath(path []string) []string {
	if slices.Contains(path, catalog.SystemSchema) {
		return path
	}
	return append([]string{catalog.SystemSchema}, path...)
}
