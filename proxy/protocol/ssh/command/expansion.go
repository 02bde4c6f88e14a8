// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// expansion reads a part of a word that the shell computes. Alone says that it is the whole word.
func (r *reader) expansion(at place, b *builder, part syntax.WordPart, quoted, alone bool) {
	split := Open
	if quoted {
		split = Partial
	}
	switch p := part.(type) {
	case *syntax.ParamExp:
		r.parameter(at, b, p, quoted, alone)
	case *syntax.CmdSubst:
		r.substitution(at, p, quoted)
		b.lose(split)
	case *syntax.ArithmExp:
		if p.Bracket {
			r.unknown(ReasonDialects, "", "$[ ] is arithmetic in some shells only: write $(( ))")
		}
		if p.Unsigned {
			r.unknown(ReasonDialects, "", "%s is arithmetic of mksh only", quote(r.of(p)))
		}
		r.arithmetic(at, p.X)
		b.number = alone
		b.lose(Partial)
	case *syntax.ProcSubst:
		if !r.dialect.extended() {
			r.unknown(ReasonSyntax, "", "%s is a substitution of another shell", quote(r.of(p)))
		}
		r.statements(at.substitution(), p.Stmts)
		b.put("/dev/fd/")
		b.lose(Partial)
	default:
		r.unknown(ReasonExpansion, "", "%s is an expansion that is not read: write it out", quote(r.of(part)))
		b.lose(Open)
	}
}

func (p place) substitution() place {
	p.settled, p.substituted = false, true
	return p
}

func (r *reader) substitution(at place, c *syntax.CmdSubst, quoted bool) {
	text := r.of(c)
	switch {
	case c.TempFile || c.ReplyVar:
		r.unknown(ReasonSyntax, "", "%s is a substitution of some shells only: write $( )", quote(text))
	case c.Backquotes && (strings.Contains(text, "\\") || quoted && strings.Contains(text, "\"")):
		r.unknown(ReasonDialects, "", "shells read quotes within %s differently: write $( )", quote(text))
	case strings.HasPrefix(text, "$(("):
		r.unknown(ReasonDialects, "", "%s may be arithmetic: put a blank between the brackets", quote(text))
	}
	r.statements(at.substitution(), c.Stmts)
}

// specials are the parameters that hold a number, positional those that hold arguments and the like.
const (
	specials   = "?#$!"
	positional = "@*-"
)

// parameter reads $x and ${x...}.
func (r *reader) parameter(at place, b *builder, p *syntax.ParamExp, quoted, alone bool) {
	name := ""
	if p.Param != nil {
		name = p.Param.Value
	}
	if !r.parameterIsRead(p, name) {
		r.unknown(ReasonExpansion, "", "%s is an expansion that may run code, or that shells read differently: write $%s", quote(r.of(p)), name)
		b.lose(Open)
		return
	}
	plainly := p.Exp == nil && p.Slice == nil && p.Repl == nil && !p.Length
	switch {
	case p.Exp != nil && p.Exp.Word != nil:
		r.word(at, p.Exp.Word)
		if p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull {
			r.variable(name, Word{Form: Partial})
		}
	case p.Repl != nil:
		for _, w := range []*syntax.Word{p.Repl.Orig, p.Repl.With} {
			if w != nil {
				r.word(at, w)
			}
		}
	}
	number := p.Length || plainly && (len(name) == 1 && strings.Contains(specials, name) || r.numbers.holds(name))
	switch {
	case number && name == "!" && !quoted && !p.Length: // may be empty
		b.number = alone
		b.lose(Expanded)
	case number:
		b.number = alone
		b.lose(Partial)
	case name == "@" || name == "*" && !quoted || !quoted:
		b.lose(Open)
	case plainly && name == "HOME" && b.sure && b.text.Len() == 0:
		b.put("~")
		b.home = true
		b.form = max(b.form, Partial)
	default:
		b.lose(Partial)
	}
}

// parameterIsRead says that an expansion is one that runs nothing but what stands in its
// words, and that shells find its end alike.
func (r *reader) parameterIsRead(p *syntax.ParamExp, name string) bool {
	if p.Flags != nil || p.Excl || p.Width || p.IsSet || p.NestedParam != nil || p.Index != nil || p.Names != 0 ||
		p.Split != 0 || p.GlobSubst != 0 || p.RcExpand != 0 || len(p.Modifiers) > 0 {
		return false
	}
	if !identifier(name) && !digits(name) && (len(name) != 1 || strings.IndexByte(positional+specials, name[0]) < 0) {
		return false
	}
	if p.Short {
		return len(name) == 1 || identifier(name)
	}
	if p.Slice != nil && (!literalNumber(p.Slice.Offset) || !literalNumber(p.Slice.Length)) {
		return false
	}
	if p.Exp != nil && p.Exp.Op >= syntax.MatchEmpty && p.Exp.Op != syntax.UpperFirst && p.Exp.Op != syntax.UpperAll &&
		p.Exp.Op != syntax.LowerFirst && p.Exp.Op != syntax.LowerAll {
		return false
	}
	// Within an operator's word shells disagree about quotes and brackets.
	if p.Exp != nil || p.Repl != nil {
		text := strings.TrimSuffix(strings.TrimPrefix(r.of(p), "${"), "}")
		return !strings.ContainsAny(text, "'\"\\`{}()<>|&;\n~")
	}
	return true
}

// literalNumber says that an expression is a number or nothing.
func literalNumber(x syntax.ArithmExpr) bool {
	if x == nil {
		return true
	}
	w, ok := x.(*syntax.Word)
	return ok && digits(w.Lit())
}

// arithmetic reads an expression. Values of variables are expressions in turn, in which bash and
// Korn shells run substitutions; so only numbers are read.
func (r *reader) arithmetic(at place, x syntax.ArithmExpr) {
	switch x := x.(type) {
	case *syntax.BinaryArithm:
		r.arithmetic(at, x.X)
		r.arithmetic(at, x.Y)
	case *syntax.UnaryArithm:
		r.arithmetic(at, x.X)
	case *syntax.ParenArithm:
		r.arithmetic(at, x.X)
	case *syntax.Word:
		lit := x.Lit()
		if w := r.word(at, x); digits(lit) || r.numbers.holds(lit) || w.number {
			return
		}
		r.unknown(ReasonExpansion, "", "arithmetic on %s runs what its value says: assign a number to a variable before, at the beginning of a line, and nothing else", quote(r.of(x)))
	default:
		r.unknown(ReasonExpansion, "", "%s is arithmetic that is not read", quote(r.of(x)))
	}
}
