// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// unary and binary are the operators of test that evaluate nothing; -v and -R, which bash
// runs substitutions for, are not among them.
var (
	unary  = set("-b -c -d -e -f -g -G -h -k -L -n -N -O -p -r -s -S -t -u -w -x -z")
	binary = set("= == != < > -nt -ot -ef -eq -ne -lt -le -gt -ge")
	counts = set("-eq -ne -lt -le -gt -ge")
)

// test reads test and [, whose words must be in an order in which none that is not in
// the text can be an operator.
func test(r *reader, _ spot, c *Command) {
	c.Indirect = true
	args := c.Args
	if c.Name == "[" {
		if len(args) == 0 || args[len(args)-1].Text != "]" || args[len(args)-1].Form != Literal {
			r.unknown(ReasonSyntax, c.Name, "[ has no ]")
			return
		}
		args = args[:len(args)-1]
	}
	if negated := len(args) == 4 && args[0].Form == Literal && args[0].Text == "!"; r.dialect.evaluates && len(args) > 3 && !negated {
		// What stands where may then depend on values: "-n -eq -a" compares two numbers.
		r.unknown(ReasonExpansion, c.Name, "some shells take values for operators of a long %s, and run what stands beside: write one comparison, and && or || between several", c.Name)
		return
	}
	from := 0
	for i := 0; i <= len(args); i++ {
		if i == len(args) || args[i].Form == Literal && (args[i].Text == "-a" || args[i].Text == "-o") {
			if !r.term(args[from:i]) {
				r.unknown(ReasonExpansion, c.Name, "a word that is not in the text may be an operator of %s: put variables into quotes, and write one comparison", c.Name)
				return
			}
			from = i + 1
		}
	}
}

// term says that words are one test of known form.
func (r *reader) term(words []Word) bool {
	for len(words) > 0 && words[0].Form == Literal && words[0].Text == "!" {
		words = words[1:]
	}
	for _, w := range words {
		if w.Form > Partial {
			return false
		}
	}
	switch len(words) {
	case 0, 1:
		return true
	case 2:
		return words[0].Form == Literal && unary[words[0].Text]
	case 3:
		op := words[1]
		if op.Form != Literal || !binary[op.Text] {
			return false
		}
		return !counts[op.Text] || !r.dialect.evaluates || counted(words[0]) && counted(words[2])
	}
	return false
}

func counted(w Word) bool {
	return w.number || w.Form == Literal && digits(strings.TrimPrefix(w.Text, "-"))
}

// condition reads [[ ]] of bash.
func (r *reader) condition(at place, x syntax.TestExpr) {
	if !r.dialect.extended() {
		r.unknown(ReasonSyntax, "", "[[ is of some shells only: use [")
	}
	switch x := x.(type) {
	case *syntax.Word:
		r.word(at, x)
	case *syntax.ParenTest:
		r.condition(at, x.X)
	case *syntax.UnaryTest:
		if x.Op == syntax.TsVarSet || x.Op == syntax.TsRefVar || x.Op == syntax.TsOptSet {
			r.unknown(ReasonExpansion, "[[", "%s runs code in subscripts", quote(r.of(x)))
		}
		r.condition(at, x.X)
	case *syntax.BinaryTest:
		switch x.Op {
		case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
			for _, side := range []syntax.TestExpr{x.X, x.Y} {
				w, ok := side.(*syntax.Word)
				if !ok || !counted(r.word(at, w)) {
					r.unknown(ReasonExpansion, "[[", "%s is calculated, and runs what a value says: use [", quote(r.of(x)))
				}
			}
		default:
			r.condition(at, x.X)
			r.condition(at, x.Y)
		}
	default:
		r.unknown(ReasonSyntax, "[[", "%s is a condition that is not read", quote(r.of(x)))
	}
}
