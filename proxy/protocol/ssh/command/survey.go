// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// survey looks at the whole tree before it is read: bounds, functions, numbers, and the
// constructs that are read nowhere. It says whether reading makes sense.
func (r *reader) survey(file *syntax.File) bool {
	r.functions, r.declared = map[string]bool{}, map[string]bool{}
	r.numbers = numbers{never: map[string]bool{}, assigned: map[string]bool{}}
	var nested []bool // of the nodes above, whether they are substitutions
	substitutions, deepest := 0, 0
	syntax.Walk(file, func(node syntax.Node) bool {
		if node == nil {
			last := len(nested) - 1
			if nested[last] {
				substitutions--
			}
			nested = nested[:last]
			return false
		}
		substitution := false
		switch n := node.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst:
			substitution = true
			substitutions++
		case *syntax.Comment:
			r.comment(n, substitutions > 0)
		case *syntax.Redirect:
			if n.Hdoc != nil && substitutions > 0 {
				r.unknown(ReasonSyntax, "", "a here-document stands in a substitution, where shells look for its end in different places: take it out")
			}
		case *syntax.FuncDecl:
			if n.Name != nil {
				r.functions[n.Name.Value] = true
			}
		}
		r.numbers.survey(node)
		nested = append(nested, substitution)
		deepest = max(deepest, len(nested))
		return true
	})
	if deepest > 8*MaxNesting {
		r.unknown(ReasonLimit, "", "the line is nested more than %d deep: write it with less nesting", MaxNesting)
		return false
	}
	return true
}

// comment refuses comments whose end is not where every shell sees it: those in substitutions.
func (r *reader) comment(c *syntax.Comment, substituted bool) {
	if substituted {
		r.unknown(ReasonSyntax, "", "the comment %s stands in a substitution, where shells end it in different places: remove it", quote(c.Text))
	}
}

// certain knows how long something stays settled: where a calculation fails, bash leaves out the rest of
// the line, and goes on with the next one.
type certain struct {
	begun bool // something stood before it on this line
	undo  []func()
}

// note says that a name is in a set: for good where that begins its line, else until the line's end.
func (c *certain) note(in map[string]bool, name string) {
	if c.begun && !in[name] {
		c.undo = append(c.undo, func() { delete(in, name) })
	}
	in[name] = true
}

func (c *certain) nextLine() {
	for _, undo := range c.undo {
		undo()
	}
	*c = certain{}
}

// numbers knows which variables hold nothing but numbers, since bash and Korn shells run
// substitutions in the values of variables that stand in arithmetic.
type numbers struct {
	never    map[string]bool // assigned something else somewhere
	none     bool            // variables may be set by names that are not seen
	assigned map[string]bool // certainly assigned before the place that is read
}

// setters are commands that set variables by their arguments, or run text that does.
var setters = set("export readonly local declare typeset nameref read getopts eval trap . source unset command builtin let mapfile readarray wait set print")

func (n *numbers) survey(node syntax.Node) {
	switch s := node.(type) {
	case *syntax.Assign:
		if s.Name != nil && (s.Naked || s.Append || s.Index != nil || s.Array != nil || !numeric(s.Value)) {
			n.never[s.Name.Value] = true
		}
	case *syntax.WordIter:
		for _, item := range s.Items {
			if !numeric(item) {
				n.never[s.Name.Value] = true
			}
		}
		if len(s.Items) == 0 {
			n.never[s.Name.Value] = true
		}
	case *syntax.ParamExp:
		if s.Exp != nil && (s.Exp.Op == syntax.AssignUnset || s.Exp.Op == syntax.AssignUnsetOrNull) {
			n.never[s.Param.Value] = true
		}
	case *syntax.DeclClause:
		n.none = true
	case *syntax.CallExpr:
		if len(s.Args) > 0 {
			name := s.Args[0].Lit() // as written: \read is read, too
			n.none = n.none || name == "" || setters[name] || strings.Contains(name, `\`)
		}
	}
}

// numeric says that a word is a number: digits, or one arithmetic expansion.
func numeric(w *syntax.Word) bool {
	if w == nil || len(w.Parts) != 1 {
		return false
	}
	switch p := w.Parts[0].(type) {
	case *syntax.Lit:
		return digits(p.Value)
	case *syntax.ArithmExp:
		return true
	}
	return false
}

// holds says that a variable holds a number here.
func (n *numbers) holds(name string) bool {
	return !n.none && n.assigned[name] && !n.never[name]
}
