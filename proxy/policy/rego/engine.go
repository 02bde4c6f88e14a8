// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rego is the policy engine on embedded Open Policy Agent. One Rego
// library (library.rego) holds the semantics; a policy.Set is compiled to the
// data it reads. Queries are prepared once, and decisions are kept for callers
// of the same class, that is those to whom the same policies apply: no rule
// looks at anything else of a caller.
//
// The engine is pure. Rego runs with a short list of built-in functions, none
// of which reaches the network, the clock, the environment or randomness.
package rego

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

//go:embed library.rego
var library string

// evaluationTimeout bounds one evaluation. It takes tens of microseconds; one
// that does not end within this time is an error, hence a refusal.
const evaluationTimeout = 5 * time.Second

// Engine evaluates one Set. See policy.Engine.
type Engine struct {
	compiled *compiled
	decide   rego.PreparedEvalQuery
	connect  rego.PreparedEvalQuery
	cache    *cache
}

var _ policy.Engine = (*Engine)(nil)

var _ policy.NewEngine = NewEngine

// NewEngine compiles a Set. The error names the policy and rule at fault.
func NewEngine(ctx context.Context, set policy.Set) (policy.Engine, error) {
	return New(ctx, set)
}

// New is NewEngine with the concrete type.
func New(ctx context.Context, set policy.Set) (*Engine, error) {
	c, err := compile(set)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(c.data, inmem.OptReturnASTValuesOnRead(true))
	prepare := func(query string) (rego.PreparedEvalQuery, error) {
		return rego.New(
			rego.Query(query),
			rego.Module("library.rego", library),
			rego.Store(store),
			rego.Capabilities(capabilities()),
			rego.StrictBuiltinErrors(true),
			rego.Strict(true),
		).PrepareForEval(ctx)
	}
	e := &Engine{compiled: c, cache: newCache()}
	if e.decide, err = prepare("data.doorward.decision"); err != nil {
		return nil, fmt.Errorf("cannot compile policies: %w", err)
	}
	if e.connect, err = prepare("data.doorward.connect"); err != nil {
		return nil, fmt.Errorf("cannot compile policies: %w", err)
	}
	return e, nil
}

// Decide answers for one operation, from the cache where the same operation was
// decided for the same class of callers.
func (e *Engine) Decide(ctx context.Context, caller identity.Principal, op policy.Operation) (policy.Decision, error) {
	var buffer [classWords]uint64
	who := e.compiled.subjects.classOf(&caller, buffer[:0])
	key := e.cache.key(who, op)
	if decision, ok := e.cache.get(key, who, op); ok {
		return *decision, nil
	}
	op = own(op)
	answer, err := e.evaluate(ctx, e.decide, callerTerm(&caller), operationTerm(op))
	if err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide operation: %w", err)
	}
	if err := agree(answer, who); err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide operation: %w", err)
	}
	decision, err := e.compiled.decision(answer, op)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide operation: %w", err)
	}
	e.cache.put(key, who, op, decision)
	return *decision, nil
}

// Connect says whether the caller may have a session at all. The effect is
// Allow or Deny; the rules name the policies that hold a rule which could let
// an operation of this caller through, without naming a rule.
func (e *Engine) Connect(ctx context.Context, caller identity.Principal) (policy.Decision, error) {
	answer, err := e.evaluate(ctx, e.connect, callerTerm(&caller), nil)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide session: %w", err)
	}
	var buffer [classWords]uint64
	if err := agree(answer, e.compiled.subjects.classOf(&caller, buffer[:0])); err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide session: %w", err)
	}
	numbers, err := numbersOf(answer, "policies")
	if err != nil {
		return policy.Decision{}, fmt.Errorf("cannot decide session: %w", err)
	}
	decision := policy.Decision{Effect: policy.Deny}
	for _, number := range numbers {
		if number < 0 || number >= len(e.compiled.set.Policies) {
			return policy.Decision{}, fmt.Errorf("cannot decide session: answer names no policy: %d", number)
		}
		p := e.compiled.set.Policies[number]
		decision.Effect = policy.Allow
		decision.Rules = append(decision.Rules, policy.RuleRef{Policy: p.Name, UID: p.UID, Generation: p.Generation})
	}
	return decision, nil
}

// evaluate runs a prepared query and returns its one answer. No answer, or
// more than one, is an error.
func (e *Engine) evaluate(ctx context.Context, query rego.PreparedEvalQuery, caller, operation *ast.Term) (ast.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, evaluationTimeout)
	defer cancel()
	input := ast.NewObject(ast.Item(ast.InternedTerm("caller"), caller))
	if operation != nil {
		input.Insert(ast.InternedTerm("operation"), operation)
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalGenerateJSON(keepTerm))
	if err != nil {
		return nil, err
	}
	// A cancelled evaluation may end without an error and without its answer.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, errors.New("the library gave no answer")
	}
	term, ok := results[0].Expressions[0].Value.(*ast.Term)
	if !ok {
		return nil, errors.New("the library gave no answer")
	}
	answer, ok := term.Value.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("the library's answer is no object: %s", ast.ValueName(term.Value))
	}
	return answer, nil
}

// keepTerm spares the conversion of an answer to JSON values.
func keepTerm(term *ast.Term, _ *rego.EvalContext) (any, error) { return term, nil }
