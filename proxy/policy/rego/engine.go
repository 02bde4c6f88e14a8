// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rego is the policy engine on embedded Open Policy Agent. One Rego
// library (library.rego) holds the semantics; a policy.Set is compiled to the
// data it reads. It is asked once for a caller's standing, that is which policies
// apply, and then for each operation. Queries are prepared once, and decisions are
// kept for callers of the same class, that is of the same standing: no rule looks at
// anything else of a caller.
//
// The engine is pure. Rego runs with a short list of built-in functions, none
// of which reaches the network, the clock, the environment or randomness.
package rego

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/doorward/doorward/proxy/policy"
)

// Engine evaluates one Set. See policy.Engine.
type Engine struct {
	compiled *compiled
	about    policy.About
	library  *questions
	store    storage.Store
	cache    *cache
}

var _ policy.Engine = (*Engine)(nil)

var _ policy.CacheCounter = (*Engine)(nil)

var _ policy.NewEngine = NewEngine

// NewEngine compiles a Set. The error names the policy and rule at fault.
func NewEngine(ctx context.Context, set policy.Set, about policy.About) (policy.Engine, error) {
	return New(ctx, set, about)
}

// New is NewEngine with the concrete type.
func New(ctx context.Context, set policy.Set, about policy.About) (*Engine, error) {
	c, err := compile(ctx, set)
	if err != nil {
		return nil, err
	}
	library, err := compiledLibrary()
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(c.data, inmem.OptReturnASTValuesOnRead(true))
	return &Engine{compiled: c, about: about, library: library, store: store, cache: newCache()}, nil
}

// CacheStats says how many operations were decided from the cache of decisions, and how
// many were evaluated, since the engine was made. Where policies in mode Audit change
// who is bound, an operation is looked up twice.
func (e *Engine) CacheStats() (hits, misses uint64) { return e.cache.stats() }

// keepTerm spares the conversion of an answer to JSON values.
func keepTerm(term *ast.Term, _ *rego.EvalContext) (any, error) { return term, nil }
