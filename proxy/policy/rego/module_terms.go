// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

func isPlain(name string) bool { return slices.Contains(plainBuiltins, name) }

// refOfName is the reference by which a built-in function is called.
func refOfName(name string) ast.Ref {
	parts := strings.Split(name, ".")
	ref := ast.Ref{ast.VarTerm(parts[0])}
	for _, part := range parts[1:] {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}

// composed says whether a term puts a value together.
func composed(term *ast.Term) bool {
	switch term.Value.(type) {
	case *ast.Array, ast.Set, ast.Object:
		return true
	}
	return false
}

// constant says whether a term is written out in full in the module.
func constant(term *ast.Term) bool {
	switch value := term.Value.(type) {
	case ast.String, ast.Number, ast.Boolean, ast.Null:
		return true
	case *ast.Array:
		return !value.Until(func(element *ast.Term) bool { return !constant(element) })
	case ast.Set:
		return !value.Until(func(element *ast.Term) bool { return !constant(element) })
	case ast.Object:
		return !value.Until(func(key, element *ast.Term) bool { return !constant(key) || !constant(element) })
	}
	return false
}

// term guards a term that is evaluated.
func (g *guarder) term(term *ast.Term) *ast.Term {
	if !g.enter(term.Location) {
		return term
	}
	defer g.leave()
	at := term.Location
	switch value := term.Value.(type) {
	case ast.Number:
		if err := checkNumber(string(value)); err != nil {
			g.fail(at, "%s", err)
		}
		return term
	case ast.Ref:
		return &ast.Term{Value: g.reference(value, at), Location: at}
	case ast.Call:
		return &ast.Term{Value: ast.Call(g.call(value)), Location: at}
	case ast.Var:
		g.used[string(value)] = true
		return term
	case *ast.ArrayComprehension:
		return weigh(&ast.Term{Value: &ast.ArrayComprehension{Term: g.term(value.Term), Body: g.body(value.Body)}, Location: at})
	case *ast.SetComprehension:
		return weigh(&ast.Term{Value: &ast.SetComprehension{Term: g.term(value.Term), Body: g.body(value.Body)}, Location: at})
	case *ast.ObjectComprehension:
		return weigh(&ast.Term{Value: &ast.ObjectComprehension{Key: g.term(value.Key), Value: g.term(value.Value), Body: g.body(value.Body)}, Location: at})
	case ast.String, ast.Boolean, ast.Null:
		return term
	}
	if !composed(term) {
		g.fail(at, "a term that modules cannot have: %s", term)
		return term
	}
	isConstant := constant(term)
	guarded := &ast.Term{Value: g.parts(term.Value), Location: at}
	if isConstant {
		return guarded
	}
	return weigh(guarded)
}

// parts guards the parts of a composed value. They are not weighed on their own: the
// whole is.
func (g *guarder) parts(value ast.Value) ast.Value {
	part := func(term *ast.Term) *ast.Term {
		if !composed(term) {
			return g.term(term)
		}
		if !g.enter(term.Location) {
			return term
		}
		defer g.leave()
		return &ast.Term{Value: g.parts(term.Value), Location: term.Location}
	}
	switch value := value.(type) {
	case *ast.Array:
		elements := make([]*ast.Term, 0, value.Len())
		value.Foreach(func(element *ast.Term) { elements = append(elements, part(element)) })
		return ast.NewArray(elements...)
	case ast.Set:
		elements := make([]*ast.Term, 0, value.Len())
		value.Foreach(func(element *ast.Term) { elements = append(elements, part(element)) })
		return ast.NewSet(elements...)
	case ast.Object:
		pairs := make([][2]*ast.Term, 0, value.Len())
		value.Foreach(func(key, element *ast.Term) { pairs = append(pairs, [2]*ast.Term{part(key), part(element)}) })
		return ast.NewObject(pairs...)
	}
	return value
}

// pattern looks at a term that takes a value apart, and makes none.
func (g *guarder) pattern(term *ast.Term) {
	if !g.enter(term.Location) {
		return
	}
	defer g.leave()
	switch value := term.Value.(type) {
	case ast.String, ast.Boolean, ast.Null, ast.Var:
	case ast.Number:
		if err := checkNumber(string(value)); err != nil {
			g.fail(term.Location, "%s", err)
		}
	case *ast.Array:
		value.Foreach(g.pattern)
	case ast.Object:
		value.Foreach(func(key, element *ast.Term) { g.pattern(key); g.pattern(element) })
	default:
		g.fail(term.Location, "a pattern holds variables and constants only: %s", term)
	}
}

// reference guards what a value is looked up by, and refuses what is not the module's.
func (g *guarder) reference(ref ast.Ref, at *ast.Location) ast.Ref {
	guarded := append(ast.Ref{}, ref...)
	switch head := ref[0].Value.(type) {
	case ast.Var:
		g.used[string(head)] = true
		if strings.HasPrefix(string(head), "doorward_guard") {
			g.fail(at, "no such function: %s", ref)
		}
		if head == "data" {
			g.data(ref, at)
		}
	default:
		guarded[0] = g.term(ref[0])
	}
	for i, term := range ref[1:] {
		if composed(term) {
			guarded[i+1] = &ast.Term{Value: g.parts(term.Value), Location: term.Location}
			continue
		}
		guarded[i+1] = g.term(term)
	}
	return guarded
}

// data admits the rules of the module itself, by their names.
func (g *guarder) data(ref ast.Ref, at *ast.Location) {
	if len(ref) <= len(modulePath) || !ref.HasPrefix(modulePath) {
		g.fail(at, "a module has no data but its own rules: %s", ref)
		return
	}
	name, ok := ref[len(modulePath)].Value.(ast.String)
	if !ok {
		g.fail(at, "a rule is named in full: %s", ref)
		return
	}
	g.used[string(name)] = true
}
