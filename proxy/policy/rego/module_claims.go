// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The bounds of the claims that a module reads; a name is bounded as in the API.
const (
	maxModuleClaims = 16
	maxClaimName    = 256
)

// The names on the way to the claims.
const (
	wordCaller = "caller"
	wordClaims = "claims"
)

// moduleClaims are the claims of a token that a module reads, sorted. Only claims that
// policies look at are kept of a token, so that a module must say which: each by its name,
// as in input.caller.claims.team. What could read others, by a variable or by taking
// hold of all, is an error: it would find them absent whatever the token holds.
func moduleClaims(module *ast.Module) ([]string, error) {
	r := claimReader{aliases: map[ast.Var][]*ast.Term{}, names: map[string]bool{}}
	for _, i := range module.Imports {
		path, ok := i.Path.Value.(ast.Ref)
		if ok && len(path) > 0 && path[0].Equal(ast.InputRootDocument) {
			r.aliases[i.Name()] = path[1:]
		}
	}
	for _, rule := range module.Rules {
		r.walk(rule)
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.names) > maxModuleClaims {
		return nil, faultAt(module.Package.Location, "the module reads too many claims: %d, at most %d are allowed", len(r.names), maxModuleClaims)
	}
	return slices.Sorted(maps.Keys(r.names)), nil
}

// claimReader gathers the claims that a module reads.
type claimReader struct {
	// aliases are imports of parts of the input, as paths below it.
	aliases map[ast.Var][]*ast.Term
	names   map[string]bool
	err     error
}

func (r *claimReader) walk(x any) {
	ast.NewGenericVisitor(r.visit).Walk(x)
}

// visit looks at a node, and says whether what is below it was looked at already.
func (r *claimReader) visit(x any) bool {
	if r.err != nil {
		return true
	}
	switch x := x.(type) {
	case *ast.Expr:
		if terms, ok := x.Terms.([]*ast.Term); ok {
			return r.call(terms)
		}
	case *ast.Head:
		// The name of a rule is no reference to anything; what else its head holds may be.
		for _, part := range x.Reference[min(1, len(x.Reference)):] {
			r.walk(part)
		}
		for _, argument := range x.Args {
			r.walk(argument)
		}
		for _, term := range []*ast.Term{x.Key, x.Value} {
			if term != nil {
				r.walk(term)
			}
		}
		return true
	case *ast.Term:
		return r.term(x)
	}
	return false
}

func (r *claimReader) term(term *ast.Term) bool {
	switch value := term.Value.(type) {
	case ast.Call:
		return r.call(value)
	case ast.Var:
		if path, ok := r.below(ast.Ref{term}); ok {
			r.read(path, term.Location)
		}
		return true
	case ast.Ref:
		if path, ok := r.below(value); ok {
			r.read(path, term.Location)
		} else if _, isVar := value[0].Value.(ast.Var); !isVar {
			r.walk(value[0])
		}
		for _, part := range value[1:] {
			r.walk(part)
		}
		return true
	}
	return false
}

// call looks at object.get(input.caller.claims, "name", ...), which reads one claim.
func (r *claimReader) call(terms []*ast.Term) bool {
	if len(terms) < 4 || terms[0].Value.Compare(ast.ObjectGet.Ref()) != 0 {
		return false
	}
	of, isRef := terms[1].Value.(ast.Ref)
	if alias, isVar := terms[1].Value.(ast.Var); isVar {
		of, isRef = ast.Ref{ast.NewTerm(alias)}, true
	}
	if !isRef {
		return false
	}
	path, ok := r.below(of)
	if !ok || !named(path, wordCaller, wordClaims) {
		return false
	}
	key := []*ast.Term{terms[2]}
	if keys, ok := terms[2].Value.(*ast.Array); ok && keys.Len() > 0 {
		key[0] = keys.Elem(0)
	}
	r.read(append(slices.Clone(path), key...), terms[2].Location)
	for _, rest := range terms[2:] {
		r.walk(rest)
	}
	return true
}

// below is the part of a reference that is below the input; false for one to something
// else.
func (r *claimReader) below(ref ast.Ref) ([]*ast.Term, bool) {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return nil, false
	}
	if ref[0].Equal(ast.InputRootDocument) {
		return ref[1:], true
	}
	path, ok := r.aliases[head]
	return append(slices.Clone(path), ref[1:]...), ok
}

// named says whether a path consists of these names and nothing else.
func named(path []*ast.Term, names ...string) bool {
	return slices.EqualFunc(path, names, func(part *ast.Term, name string) bool { return part.Equal(ast.StringTerm(name)) })
}

// read judges what a path below the input leads to.
func (r *claimReader) read(path []*ast.Term, at *ast.Location) {
	fail := func(format string, args ...any) {
		if r.err == nil {
			r.err = faultAt(at, format, args...)
		}
	}
	const one = "name each claim: write input.caller.claims.NAME, or object.get(input.caller.claims, \"NAME\", ...)"
	for i, word := range []string{wordCaller, wordClaims} {
		switch {
		case len(path) == i && i == 0:
			fail("the input is read as a whole, and with it claims that nobody keeps: name the parts that are needed, such as input.caller.user")
			return
		case len(path) == i:
			fail("input.caller is read as a whole, and with it claims that nobody keeps: name the parts that are needed, such as input.caller.user; %s", one)
			return
		}
		part, constant := path[i].Value.(ast.String)
		if !constant {
			fail("a part of the input is read by a variable, which may lead to claims that nobody keeps: name the part; %s", one)
			return
		}
		if string(part) != word {
			return
		}
	}
	if len(path) == 2 {
		fail("claims are read as a whole, and only those are kept that a module names: %s", one)
		return
	}
	name, constant := path[2].Value.(ast.String)
	switch {
	case !constant:
		fail("a claim is read by a variable, and only those are kept that a module names: %s", one)
	case name == "" || len(name) > maxClaimName || strings.ContainsFunc(string(name), func(c rune) bool { return c < '!' || c > '~' }):
		fail("no claim has such a name: want 1 to %d printable characters of ASCII without blanks: %.80q", maxClaimName, string(name))
	default:
		r.names[string(name)] = true
	}
}
