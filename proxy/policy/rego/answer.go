// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

func stringTerms(values []string) []*ast.Term {
	terms := make([]*ast.Term, len(values))
	for i, value := range values {
		terms[i] = ast.StringTerm(value)
	}
	return terms
}

// callerTerm is input.caller.
func callerTerm(caller *identity.Principal) *ast.Term {
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("user"), ast.StringTerm(caller.UserName)),
		ast.Item(ast.InternedTerm("groups"), ast.ArrayTerm(stringTerms(caller.Groups)...)),
		ast.Item(ast.InternedTerm("provider"), ast.StringTerm(caller.Provider)),
	)
}

// operationTerm is input.operation.
func operationTerm(op policy.Operation) *ast.Term {
	accesses := make([]*ast.Term, len(op.Accesses))
	for i, access := range op.Accesses {
		accesses[i] = ast.ObjectTerm(
			ast.Item(ast.InternedTerm("action"), ast.StringTerm(access.Action)),
			ast.Item(ast.InternedTerm("resource"), ast.StringTerm(access.Resource)),
			ast.Item(ast.InternedTerm("indirect"), ast.InternedTerm(access.Indirect)),
		)
	}
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("accesses"), ast.ArrayTerm(accesses...)),
		ast.Item(ast.InternedTerm("properties"), ast.SetTerm(stringTerms(op.Properties)...)),
	)
}

// hit is a rule that matched the access at a position.
type hit struct{ position, rule int }

// decision reads the library's answer. Anything unexpected is an error.
func (c *compiled) decision(answer ast.Object, op policy.Operation) (*policy.Decision, error) {
	effect, err := stringOf(answer, "effect")
	if err != nil {
		return nil, err
	}
	decision := &policy.Decision{Effect: policy.Effect(effect)}
	switch decision.Effect {
	case policy.Allow, policy.RequireApproval, policy.Deny:
	default:
		return nil, fmt.Errorf("answer has an unknown effect: %q", effect)
	}
	hits, err := c.hitsOf(answer, op)
	if err != nil {
		return nil, err
	}
	if len(hits) == 0 {
		return decision, c.defaultDeny(decision, answer, op)
	}
	if decision.Effect != policy.Allow {
		decision.Access = op.Accesses[hits[0].position]
		decision.Message = c.message(hits)
	}
	rules := make([]int, len(hits))
	for i, h := range hits {
		rules[i] = h.rule
	}
	slices.Sort(rules)
	rules = slices.Compact(rules)
	for _, rule := range rules {
		decision.Rules = append(decision.Rules, c.rules[rule].ref)
	}
	if decision.Effect == policy.RequireApproval {
		decision.Approval, err = c.terms(rules)
	}
	return decision, err
}

// defaultDeny completes a decision that no rule was found for.
func (c *compiled) defaultDeny(decision *policy.Decision, answer ast.Object, op policy.Operation) error {
	if decision.Effect != policy.Deny {
		return fmt.Errorf("answer rests on no rule: effect %q", decision.Effect)
	}
	if term := answer.Get(ast.InternedTerm("uncovered")); term != nil {
		position, err := numberOf(term)
		if err != nil {
			return err
		}
		if position < 0 || position >= len(op.Accesses) {
			return fmt.Errorf("answer names no access: %d", position)
		}
		decision.Access = op.Accesses[position]
	}
	return nil
}

// message is the first text of the rules that match the first offending
// access; where they have none, the first of all.
func (c *compiled) message(hits []hit) string {
	for _, h := range hits {
		if text := c.rules[h.rule].message; text != "" && h.position == hits[0].position {
			return text
		}
	}
	for _, h := range hits {
		if text := c.rules[h.rule].message; text != "" {
			return text
		}
	}
	return ""
}

// terms collects the approval terms of the rules: equal ones once, sorted.
func (c *compiled) terms(rules []int) ([]policy.ApprovalTerms, error) {
	var terms []policy.ApprovalTerms
	for _, rule := range rules {
		if c.rules[rule].terms == nil {
			return nil, fmt.Errorf("answer asks for approval by a rule without terms: %q", c.rules[rule].ref.Rule)
		}
		terms = append(terms, *c.rules[rule].terms)
	}
	slices.SortFunc(terms, compareTerms)
	return slices.CompactFunc(terms, func(a, b policy.ApprovalTerms) bool { return compareTerms(a, b) == 0 }), nil
}

// hitsOf reads the answer's hits, sorted by position and rule.
func (c *compiled) hitsOf(answer ast.Object, op policy.Operation) ([]hit, error) {
	term := answer.Get(ast.InternedTerm("hits"))
	if term == nil {
		return nil, errors.New("answer has no hits")
	}
	set, ok := term.Value.(ast.Set)
	if !ok {
		return nil, errors.New("answer's hits are no set")
	}
	var hits []hit
	err := set.Iter(func(element *ast.Term) error {
		pair, ok := element.Value.(*ast.Array)
		if !ok || pair.Len() != 2 {
			return errors.New("answer has a malformed hit")
		}
		position, err := numberOf(pair.Elem(0))
		if err != nil {
			return err
		}
		rule, err := numberOf(pair.Elem(1))
		if err != nil {
			return err
		}
		if position < 0 || position >= len(op.Accesses) || rule < 0 || rule >= len(c.rules) {
			return fmt.Errorf("answer names no access or rule: %d, %d", position, rule)
		}
		hits = append(hits, hit{position, rule})
		return nil
	})
	slices.SortFunc(hits, func(a, b hit) int {
		if a.position != b.position {
			return a.position - b.position
		}
		return a.rule - b.rule
	})
	return hits, err
}

// agree checks that the library found the same policies for the caller as the
// index that keys the cache. A difference would let a cached decision serve a
// caller it was not made for.
func agree(answer ast.Object, who class) error {
	numbers, err := numbersOf(answer, "applies")
	if err != nil {
		return err
	}
	size := 0
	who.each(func(int) { size++ })
	if len(numbers) != size {
		return fmt.Errorf("library and index disagree on the caller's policies: %d and %d", len(numbers), size)
	}
	for _, number := range numbers {
		if !who.has(number) {
			return fmt.Errorf("library and index disagree on the caller's policies: policy %d", number)
		}
	}
	return nil
}

func stringOf(object ast.Object, key string) (string, error) {
	term := object.Get(ast.InternedTerm(key))
	if term == nil {
		return "", fmt.Errorf("answer lacks %q", key)
	}
	value, ok := term.Value.(ast.String)
	if !ok {
		return "", fmt.Errorf("answer's %q is no string", key)
	}
	return string(value), nil
}

// numbersOf reads a set of numbers, sorted.
func numbersOf(object ast.Object, key string) ([]int, error) {
	term := object.Get(ast.InternedTerm(key))
	if term == nil {
		return nil, fmt.Errorf("answer lacks %q", key)
	}
	set, ok := term.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("answer's %q is no set", key)
	}
	numbers := make([]int, 0, set.Len())
	err := set.Iter(func(element *ast.Term) error {
		number, err := numberOf(element)
		numbers = append(numbers, number)
		return err
	})
	slices.Sort(numbers)
	return numbers, err
}

func numberOf(term *ast.Term) (int, error) {
	value, ok := term.Value.(ast.Number)
	if !ok {
		return 0, errors.New("answer has no number where one belongs")
	}
	number, ok := value.Int()
	if !ok {
		return 0, fmt.Errorf("answer has a number out of range: %s", value.String())
	}
	return number, nil
}
