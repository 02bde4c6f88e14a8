// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// statements reads a list. What stands behind something that can end or leave the shell is
// read all the same.
func (r *reader) statements(at place, list []*syntax.Stmt) {
	for i, s := range list {
		if at.settled && i > 0 && s.Pos().Line() > list[i-1].End().Line() {
			r.certain.nextLine()
		}
		r.statement(at, s)
	}
}

func (r *reader) statement(at place, s *syntax.Stmt) {
	r.standing++
	defer func() { r.standing-- }()
	if r.standing > MaxNesting {
		r.unknown(ReasonLimit, "", "commands are nested more than %d deep: write the line with less nesting", MaxNesting)
		return
	}
	if s.Coprocess || s.Disown {
		r.unknown(ReasonSyntax, "", "coprocesses are not read: use a pipe")
	}
	if at.settled {
		defer func() { r.certain.begun = true }()
	}
	if s.Background || s.Negated || len(s.Redirs) > 0 {
		at.settled = false
	}
	r.command(at, s.Cmd)
	for _, redirect := range s.Redirs {
		r.redirect(at, redirect)
	}
}

// command reads one command of any kind. Every node that is not named here is unknown.
func (r *reader) command(at place, cmd syntax.Command) {
	if _, simple := cmd.(*syntax.CallExpr); !simple {
		if _, function := cmd.(*syntax.FuncDecl); !function {
			at.settled = false
		}
	}
	switch c := cmd.(type) {
	case nil: // redirections alone
	case *syntax.CallExpr:
		r.call(at, c)
	case *syntax.Block:
		r.statements(at, c.Stmts)
	case *syntax.Subshell:
		if r.source[c.Lparen.Offset()+1] == '(' {
			r.unknown(ReasonSyntax, "", "(( may open arithmetic or two subshells: put a blank between the brackets")
		}
		r.statements(at, c.Stmts)
	case *syntax.BinaryCmd:
		if c.Op == syntax.PipeAll && !r.dialect.extended() {
			r.unknown(ReasonSyntax, "", "|& is a pipe in bash only: write 2>&1 |")
		}
		if _, timed := c.Y.Cmd.(*syntax.TimeClause); timed && c.Op != syntax.AndStmt && c.Op != syntax.OrStmt {
			r.unknown(ReasonDialects, "time", "time behind a pipe is a program in some shells, a word of the shell in others: put it in front")
		}
		r.statement(at, c.X)
		r.statement(at, c.Y)
	case *syntax.IfClause:
		for ; c != nil; c = c.Else {
			r.statements(at, c.Cond)
			r.statements(at, c.Then)
		}
	case *syntax.WhileClause:
		r.statements(at, c.Cond)
		r.statements(at, c.Do)
	case *syntax.ForClause:
		r.loop(at, c)
	case *syntax.CaseClause:
		r.cases(at, c)
	case *syntax.FuncDecl:
		r.declare(at, c)
	case *syntax.TimeClause:
		r.timed(at, c)
	case *syntax.DeclClause:
		r.run(at, r.declaration(at, c), nil)
	case *syntax.TestClause:
		r.condition(at, c.X)
	case *syntax.ArithmCmd:
		r.arithmetic(at, c.X)
	default:
		r.unknown(ReasonSyntax, "", "%s is syntax that is not read: write it with simple commands", quote(r.of(cmd)))
	}
}

// of is the text of a node.
func (r *reader) of(n syntax.Node) string {
	from, to := int(n.Pos().Offset()), int(n.End().Offset())
	if from > to || to > len(r.source) {
		return ""
	}
	return r.source[from:to]
}

func (r *reader) loop(at place, c *syntax.ForClause) {
	if c.Select || c.Braces {
		r.unknown(ReasonSyntax, "", "select, and loops with braces, are not read: use for ... do ... done")
	}
	switch l := c.Loop.(type) {
	case *syntax.WordIter:
		r.variable(l.Name.Value, Word{Form: Partial})
		for _, item := range l.Items {
			r.word(at, item)
		}
		// In the body it is assigned; behind the loop only if it ran.
		before := r.numbers.assigned[l.Name.Value]
		r.numbers.assigned[l.Name.Value] = true
		defer func() { r.numbers.assigned[l.Name.Value] = before }()
	case *syntax.CStyleLoop:
		for _, x := range []syntax.ArithmExpr{l.Init, l.Cond, l.Post} {
			if x != nil {
				r.arithmetic(at, x)
			}
		}
	default:
		r.unknown(ReasonSyntax, "", "%s is a loop that is not read", quote(r.of(c)))
	}
	r.statements(at, c.Do)
}

func (r *reader) cases(at place, c *syntax.CaseClause) {
	if c.Braces {
		r.unknown(ReasonSyntax, "", "case with braces is not read: use in ... esac")
	}
	r.word(at, c.Word)
	for _, item := range c.Items {
		if item.Op != syntax.Break {
			r.unknown(ReasonDialects, "", "%s ends a case in some shells only: use ;;", quote(item.Op.String()))
		}
		for _, p := range item.Patterns {
			r.word(at, p)
		}
		r.statements(at, item.Stmts)
	}
}

// timed reads bash's reserved word time as the program of that name, which it is elsewhere.
func (r *reader) timed(at place, c *syntax.TimeClause) {
	var args, inner []Word
	if c.PosixFormat {
		args = []Word{{Text: "-p"}}
	}
	var call *syntax.CallExpr
	if c.Stmt != nil {
		call, _ = c.Stmt.Cmd.(*syntax.CallExpr)
	}
	if call == nil || len(call.Assigns) > 0 {
		r.add(at, Command{Name: "time", Args: args, Indirect: true})
		if c.Stmt != nil {
			r.statement(at.within("time"), c.Stmt)
		}
		return
	}
	for _, w := range call.Args {
		inner = append(inner, r.word(at, w))
	}
	r.add(at, Command{Name: "time", Args: slices.Concat(args, inner), Indirect: len(inner) > 0})
	at = at.within("time")
	at.outside = !r.dialect.extended() // a program runs programs: no builtins, no functions
	r.run(at, inner, nil)
	for _, redirect := range c.Stmt.Redirs {
		r.redirect(at, redirect)
	}
}

// declare reads a function: its body, whether or not it is called.
func (r *reader) declare(at place, c *syntax.FuncDecl) {
	name := ""
	if c.Name != nil {
		name = c.Name.Value
	}
	switch c.Body.Cmd.(type) {
	case *syntax.Block, *syntax.Subshell:
	default:
		r.unknown(ReasonSyntax, "", "the function %s is not in braces, which not all shells read: put it into { }", quote(name))
	}
	switch {
	case !identifier(name) || !c.Parens || c.RsrvWord && !r.dialect.extended():
		r.unknown(ReasonSyntax, "", "%s declares a function in a way that not all shells read: write name() { ...; }", quote(r.of(c)))
	case known(name):
		r.unknown(ReasonDefinition, "", "the function %s shadows a command: give it another name", quote(name))
	case !at.settled || len(at.via) > 0 && at.outside:
		r.unknown(ReasonDefinition, "", "the function %s may not be declared when it is called: declare it first, and by itself", quote(name))
	}
	inner := at
	inner.settled = false
	r.statement(inner, c.Body)
	r.certain.note(r.declared, name)
}
