// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// standing is what the library says of one caller.
type standing struct {
	engine   *Engine
	enforced *scope
	// audited is the scope in which policies in mode Audit count too; nil where it is
	// the same.
	audited *scope
	exempt  map[[2]int]bool
	// matched are the policies that are about the caller, in force or not; lapsed the
	// conditions of these that do not hold, as policy and place.
	matched []int
	lapsed  map[[2]int]bool
	// located says that the caller's address is known.
	located bool
	until   time.Time
	asker   asker
}

var _ policy.Standing = (*standing)(nil)

// scope are the policies that a decision rests on, by number, sorted.
type scope struct {
	bound, granting, connects []int
	// modules are those of bound that have a module.
	modules []int
	class   class
	// cause is what standing.missing says, found out once.
	cause func() string
}

// Standing asks the library which policies apply.
func (e *Engine) Standing(ctx context.Context, caller identity.Principal, at policy.Circumstances) (policy.Standing, error) {
	s := &standing{engine: e, located: at.Client.IsValid()}
	if len(e.compiled.modules) > 0 {
		s.asker = newAsker(&caller, at.Client, e.about)
	}
	who, circumstances := callerTerm(&caller), atTerm(at)
	answer, matched, err := s.ask(ctx, who, circumstances, false)
	if err != nil {
		return nil, fmt.Errorf("cannot find the caller's policies: %w", err)
	}
	s.enforced, s.matched = answer, matched
	if e.compiled.audits {
		would, _, err := s.ask(ctx, who, circumstances, true)
		if err != nil {
			return nil, fmt.Errorf("cannot find the caller's policies: %w", err)
		}
		if !slices.Equal(would.class, answer.class) {
			s.audited = would
		}
	}
	if slices.ContainsFunc(matched, func(number int) bool { return scheduled(&e.compiled.set.Policies[number]) }) {
		// Windows begin and end with minutes, whatever the time zone.
		s.until = at.Time.Truncate(time.Minute).Add(time.Minute)
	}
	return s, nil
}

// ask returns the scope and the policies that are about the caller, in force or not.
func (s *standing) ask(ctx context.Context, who, circumstances *ast.Term, audit bool) (*scope, []int, error) {
	answer, err := s.engine.library.ask(ctx, &s.engine.library.standing, s.engine.store, ast.NewObject(
		ast.Item(key("caller"), who),
		ast.Item(key("at"), circumstances),
		ast.Item(key("audit"), ast.InternedTerm(audit)),
	))
	if err != nil {
		return nil, nil, err
	}
	found := &scope{}
	var matched []int
	size := len(s.engine.compiled.set.Policies)
	for key, into := range map[string]*[]int{"matched": &matched, "bound": &found.bound, "granting": &found.granting, "connects": &found.connects} {
		if *into, err = numbersOf(answer, key); err != nil {
			return nil, nil, err
		}
		for _, number := range *into {
			if number < 0 || number >= size {
				return nil, nil, fmt.Errorf("answer names no policy: %d", number)
			}
		}
	}
	if s.exempt, err = pairsOf(answer, "exempt"); err != nil {
		return nil, nil, err
	}
	for _, number := range found.bound {
		if s.engine.compiled.modules[number] != nil {
			found.modules = append(found.modules, number)
		}
	}
	if s.lapsed, err = pairsOf(answer, "lapsed"); err != nil {
		return nil, nil, err
	}
	found.class = classOf(size, found.bound, found.granting)
	found.cause = sync.OnceValue(func() string { return s.missing(found) })
	return found, matched, nil
}

// Until is when other policies may apply, by the clock alone.
func (s *standing) Until() time.Time { return s.until }

// Connect says whether the caller may have a session at all. The effect is
// Allow or Deny; the rules name the policies that hold a rule which could let
// an operation of this caller through, without naming a rule.
func (s *standing) Connect(context.Context) (policy.Decision, error) {
	decision := s.connect(s.enforced)
	if s.audited != nil {
		if would := s.connect(s.audited); would.Effect != decision.Effect {
			decision.Audit = &would
		}
	}
	return decision, nil
}

func (s *standing) connect(in *scope) policy.Decision {
	decision := policy.Decision{Effect: policy.Deny}
	for _, number := range in.connects {
		decision.Effect = policy.Allow
		decision.Rules = append(decision.Rules, refOf(&s.engine.compiled.set.Policies[number]))
	}
	if decision.Effect == policy.Deny {
		decision.Cause = in.cause()
	}
	return decision
}

// errOver says that a standing was asked after its time.
var errOver = errors.New("cannot decide operation: the caller's standing is over")

// Decide answers for one operation, from the cache where the same operation was
// decided for the same class of callers.
func (s *standing) Decide(ctx context.Context, op policy.Operation, now time.Time) (policy.Decision, error) {
	if !s.until.IsZero() && !now.Before(s.until) {
		return policy.Decision{}, errOver
	}
	var modules *asked
	if len(s.enforced.modules) > 0 || (s.audited != nil && len(s.audited.modules) > 0) {
		modules = &asked{standing: s, op: op, now: now}
	}
	decision, err := s.decideIn(ctx, s.enforced, op, modules)
	if err != nil || s.audited == nil {
		return decision, err
	}
	would, err := s.decideIn(ctx, s.audited, op, modules)
	if err != nil {
		return policy.Decision{}, err
	}
	equal := func(a, b policy.ApprovalTerms) bool { return compareTerms(a, b) == 0 }
	if would.Effect != decision.Effect || !slices.EqualFunc(would.Approval, decision.Approval, equal) {
		audit := would
		decision.Audit = &audit
	}
	return decision, nil
}

func (e *Engine) decideIn(ctx context.Context, in *scope, op policy.Operation, modules *asked) (*policy.Decision, error) {
	if len(in.modules) > 0 {
		return e.decideCustom(ctx, in, op, modules)
	}
	key := e.cache.key(in.class, op)
	if decision, ok := e.cache.get(key, in.class, op); ok {
		return decision, nil
	}
	op = own(op)
	decision, err := e.evaluateDecision(ctx, in, op, nil)
	if err != nil {
		return nil, err
	}
	e.cache.put(key, in.class, op, decision)
	return decision, nil
}

// evaluateDecision asks the library, with what modules have answered.
func (e *Engine) evaluateDecision(ctx context.Context, in *scope, op policy.Operation, answers []custom) (*policy.Decision, error) {
	answer, err := e.library.ask(ctx, &e.library.decision, e.store, ast.NewObject(
		ast.Item(key("candidates"), e.compiled.index.candidates(op.Accesses, in.class, answers)),
		ast.Item(key("operation"), operationTerm(op)),
	))
	if err != nil {
		return nil, fmt.Errorf("cannot decide operation: %w", err)
	}
	decision, err := rulebook{e.compiled.rules, answers}.decision(answer, op)
	if err != nil {
		return nil, fmt.Errorf("cannot decide operation: %w", err)
	}
	return decision, nil
}
