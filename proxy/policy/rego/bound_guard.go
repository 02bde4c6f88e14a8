// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// guardPrefix stands before the names under which guarded functions are known to the
// interpreter. An author cannot write it: modules are refused that do.
const guardPrefix = "doorward_guard."

// weighName is the function that a value passes through when it is made: it returns its
// argument, or stops the evaluation where it is too large.
const weighName = guardPrefix + "weigh"

// guard is a function as the interpreter knows it.
type guard struct {
	declaration *rego.Function
	run         rego.BuiltinDyn
}

// guards are made once: declarations are compared by address.
var guards = newGuards()

func newGuards() []guard {
	all := []guard{{
		&rego.Function{Name: weighName, Decl: types.NewFunction(types.Args(types.A), types.A)},
		func(bctx rego.BuiltinContext, arguments []*ast.Term) (*ast.Term, error) {
			b, err := budgetOf(bctx)
			if err != nil {
				return nil, err
			}
			return arguments[0], b.admit(arguments[0])
		},
	}}
	for _, name := range slices.Sorted(maps.Keys(boundedBuiltins)) {
		builtin, run := ast.BuiltinMap[name], topdown.GetBuiltin(name)
		if builtin == nil || run == nil {
			panic("policy/rego: internal error: no such built-in function: " + name) //nolint:forbidigo // The list names what the linked OPA lacks.
		}
		all = append(all, guard{
			&rego.Function{Name: guardPrefix + name, Decl: builtin.Decl},
			guarded(name, builtin.Decl.Arity(), run, boundedBuiltins[name]),
		})
	}
	return all
}

// guarded runs a built-in function if its arguments pass, and weighs what it makes.
func guarded(name string, arity int, run topdown.BuiltinFunc, check func([]*ast.Term) error) rego.BuiltinDyn {
	return func(bctx rego.BuiltinContext, arguments []*ast.Term) (*ast.Term, error) {
		b, err := budgetOf(bctx)
		if err != nil {
			return nil, err
		}
		if len(arguments) < arity {
			return nil, fmt.Errorf("%s: %d arguments are missing", name, arity-len(arguments))
		}
		arguments = arguments[:arity]
		for _, argument := range arguments {
			if err := b.charge(lengthOf(argument) * nodeSize / bytesOfWork); err != nil {
				return nil, err
			}
		}
		if check != nil {
			if err := check(arguments); err != nil {
				return nil, err
			}
		}
		var result *ast.Term
		if err := run(bctx, arguments, func(made *ast.Term) error { result = made; return nil }); err != nil || result == nil {
			return nil, err
		}
		if number, ok := result.Value.(ast.Number); ok {
			if err := checkNumber(string(number)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		return result, b.admit(result)
	}
}

// lengthOf is how many parts a value has at its top.
func lengthOf(term *ast.Term) int {
	switch value := term.Value.(type) {
	case *ast.Array:
		return value.Len()
	case ast.Set:
		return value.Len()
	case ast.Object:
		return 2 * value.Len()
	}
	return 0
}

// guardedCapabilities are what guarded modules are compiled with: built-in functions
// that need no guard, and no others.
func guardedCapabilities() *ast.Capabilities {
	restricted := moduleCapabilities()
	restricted.Builtins = slices.DeleteFunc(restricted.Builtins, func(b *ast.Builtin) bool {
		return !slices.Contains(plainBuiltins, b.Name)
	})
	return restricted
}
