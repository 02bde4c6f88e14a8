// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The bounds of a module's text once it is parsed. They keep compiling and the
// interpreter's stack small.
const (
	maxNodes   = 10_000
	maxNesting = 32
	maxRules   = 512
	maxElse    = 32
	maxBody    = 128
)

// moduleError is what is wrong with a module, and where.
type moduleError struct {
	row, column int
	message     string
}

func (e *moduleError) Error() string { return fmt.Sprintf("%d:%d: %s", e.row, e.column, e.message) }

func faultAt(at *ast.Location, format string, args ...any) *moduleError {
	fault := &moduleError{row: 1, column: 1, message: shortened(fmt.Sprintf(format, args...))}
	if at != nil {
		fault.row, fault.column = at.Row, at.Col
	}
	return fault
}

// guarder rewrites a parsed module: calls of built-in functions go through their guards,
// and each value that the module composes is weighed. Without that a module could
// double a value with each line, which costs the interpreter nothing until the value
// is compared.
type guarder struct {
	nodes, depth int
	// at is the place of the statement.
	at *ast.Location
	// used are the names that the rule speaks of.
	used map[string]bool
	err  *moduleError
}

func (g *guarder) fail(at *ast.Location, format string, args ...any) {
	if g.err == nil {
		if at == nil {
			at = g.at
		}
		g.err = faultAt(at, format, args...)
	}
}

// enter counts a node, and says whether to go on.
func (g *guarder) enter(at *ast.Location) bool {
	g.nodes++
	g.depth++
	if g.nodes > maxNodes {
		g.fail(at, "the module is too large: more than %d parts: write several policies", maxNodes)
	}
	if g.depth > maxNesting {
		g.fail(at, "the module is nested too deeply: more than %d levels: give parts of it a name", maxNesting)
	}
	return g.err == nil
}

func (g *guarder) leave() { g.depth-- }

func (g *guarder) rule(rule *ast.Rule) {
	g.at = rule.Location
	length := 0
	for r := rule; r != nil && g.err == nil; r = r.Else {
		length++
		if length > maxElse {
			g.fail(r.Location, "too many else: at most %d are allowed", maxElse)
			return
		}
		r.Body = g.body(r.Body)
		g.head(r)
	}
}

func (g *guarder) head(rule *ast.Rule) {
	head := rule.Head
	for i, term := range head.Reference {
		if i == 0 {
			continue
		}
		switch term.Value.(type) {
		case ast.String, ast.Number, ast.Boolean, ast.Null:
		case ast.Var, ast.Ref:
			rule.Body.Append(weighed(i, g.term(term)))
		default:
			g.fail(term.Location, "a rule's keys are names, variables and references: give this one a name first: %s", term)
			return
		}
	}
	for _, argument := range head.Args {
		g.pattern(argument)
	}
	if head.RuleKind() == ast.MultiValue {
		head.Key = g.made(head.Key)
	}
	if head.Value != nil && !rule.Default {
		head.Value = g.made(head.Value)
	}
}

// weighed is an expression that weighs the key at a place of a rule's name.
func weighed(place int, key *ast.Term) *ast.Expr {
	at := key.Location
	result := &ast.Term{Value: ast.Var(fmt.Sprintf("%sdoorward%d", ast.WildcardPrefix, place)), Location: at}
	return &ast.Expr{Terms: []*ast.Term{{Value: ast.Assign.Ref(), Location: at}, result, weigh(key.Copy())}, Location: at}
}

// weigh is a call that returns the term's value.
func weigh(term *ast.Term) *ast.Term {
	return &ast.Term{Value: ast.Call{&ast.Term{Value: refOfName(weighName), Location: term.Location}, term}, Location: term.Location}
}

// made is a term that becomes a part of a rule's value. It is weighed each time, so that
// what a rule gathers is paid for, however often it gathers the same.
func (g *guarder) made(term *ast.Term) *ast.Term {
	if constant(term) && !composed(term) {
		return g.term(term)
	}
	return weigh(g.term(term))
}

func (g *guarder) body(body ast.Body) ast.Body {
	if len(body) > maxBody {
		g.fail(nil, "a body of too many lines: at most %d are allowed", maxBody)
		return body
	}
	if !g.enter(nil) {
		return body
	}
	defer g.leave()
	for _, expression := range body {
		g.expression(expression)
	}
	return body
}

func (g *guarder) expression(e *ast.Expr) {
	if e.Location != nil {
		g.at = e.Location
	}
	if !g.enter(e.Location) {
		return
	}
	defer g.leave()
	if len(e.With) > 0 {
		g.fail(e.Location, "\"with\" belongs into tests: a module decides about the input that it gets")
		return
	}
	switch terms := e.Terms.(type) {
	case *ast.Term:
		e.Terms = g.term(terms)
	case []*ast.Term:
		e.Terms = g.call(terms)
	case *ast.SomeDecl:
		g.some(terms)
	case *ast.Every:
		if terms.Key != nil {
			g.pattern(terms.Key)
		}
		g.pattern(terms.Value)
		terms.Domain = g.term(terms.Domain)
		terms.Body = g.body(terms.Body)
	case *ast.Not:
		terms.Body = g.body(terms.Body)
	default:
		g.fail(e.Location, "an expression that modules cannot have: %s", e)
	}
}

// some guards a declaration: of "some x in xs", what is on the left is a pattern.
func (g *guarder) some(declaration *ast.SomeDecl) {
	for i, symbol := range declaration.Symbols {
		call, ok := symbol.Value.(ast.Call)
		if !ok {
			g.pattern(symbol)
			continue
		}
		last := len(call) - 1
		for j := 1; j < last; j++ {
			g.pattern(call[j])
		}
		guarded := append(ast.Call{}, call...)
		guarded[last] = g.term(call[last])
		declaration.Symbols[i] = &ast.Term{Value: guarded, Location: symbol.Location}
	}
}

// call guards an operator or function, the first term, and its arguments.
func (g *guarder) call(terms []*ast.Term) []*ast.Term {
	guarded := append([]*ast.Term{}, terms...)
	operator := terms[0].String()
	for i, term := range terms {
		switch {
		case i == 0:
			guarded[i] = g.operator(term)
		case operator == "assign" && i == 1:
			g.pattern(term)
		case operator == "eq" && composed(term) && !constant(term):
			g.fail(term.Location, "a value with variables in it cannot be unified: write := to take a value apart, == to compare")
		default:
			guarded[i] = g.term(term)
		}
	}
	return guarded
}

// operator is the name by which a function is called.
func (g *guarder) operator(term *ast.Term) *ast.Term {
	ref, ok := term.Value.(ast.Ref)
	if !ok {
		g.fail(term.Location, "no function: %s", term)
		return term
	}
	name := ref.String()
	if _, bounded := boundedBuiltins[name]; bounded {
		return &ast.Term{Value: refOfName(guardPrefix + name), Location: term.Location}
	}
	if ast.BuiltinMap[name] != nil && !isPlain(name) {
		g.fail(term.Location, "function %s is not available to modules: docs/policy/rego.md lists those that are", name)
	}
	g.reference(ref, term.Location)
	return term
}
