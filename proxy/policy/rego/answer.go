// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// words are the keys of the library's input. Making them anew would take a good part of
// the time of a decision.
var words = func() map[string]*ast.Term {
	terms := map[string]*ast.Term{}
	for _, word := range []string{
		"caller", "at", "audit", "user", "groups", "provider", "kind", "claims", "delegation", "issuer", "subject", "time", "client", "sharedCredential",
		"candidates", "operation", "accesses", "properties", "action", "resource", "indirect",
	} {
		terms[word] = ast.StringTerm(word)
	}
	return terms
}()

func key(word string) *ast.Term { return words[word] }

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
		ast.Item(key("user"), ast.StringTerm(caller.UserName)),
		ast.Item(key("groups"), ast.ArrayTerm(stringTerms(caller.Groups)...)),
		ast.Item(key("provider"), ast.StringTerm(caller.Provider)),
		ast.Item(key("kind"), ast.StringTerm(string(caller.Kind))),
		ast.Item(key("claims"), claimTerm(caller.Claims)),
		ast.Item(key("delegation"), delegationTerm(caller.Delegation)),
	)
}

func claimTerm(claims []identity.Claim) *ast.Term {
	object := ast.NewObject()
	for _, claim := range claims {
		object.Insert(ast.StringTerm(claim.Name), ast.ArrayTerm(stringTerms(claim.Values)...))
	}
	return ast.NewTerm(object)
}

func delegationTerm(chain []identity.Actor) *ast.Term {
	links := make([]*ast.Term, len(chain))
	for i, actor := range chain {
		links[i] = ast.ObjectTerm(
			ast.Item(key("issuer"), ast.StringTerm(actor.Issuer)),
			ast.Item(key("subject"), ast.StringTerm(actor.Subject)),
		)
	}
	return ast.ArrayTerm(links...)
}

// atTerm is input.at.
func atTerm(at policy.Circumstances) *ast.Term {
	client := ""
	if at.Client.IsValid() {
		client = at.Client.Unmap().WithZone("").String()
	}
	return ast.ObjectTerm(
		ast.Item(key("time"), ast.NumberTerm(json.Number(strconv.FormatInt(at.Time.UnixNano(), 10)))),
		ast.Item(key("client"), ast.StringTerm(client)),
		ast.Item(key("sharedCredential"), ast.InternedTerm(at.SharedCredential)),
	)
}

func setTerm(values []string) *ast.Term {
	if len(values) == 0 {
		return ast.InternedEmptySet
	}
	return ast.SetTerm(stringTerms(values)...)
}

// operationTerm is input.operation.
func operationTerm(op policy.Operation) *ast.Term {
	accesses := make([]*ast.Term, len(op.Accesses))
	for i, access := range op.Accesses {
		accesses[i] = ast.ObjectTerm(
			ast.Item(key("action"), ast.StringTerm(access.Action)),
			ast.Item(key("resource"), ast.StringTerm(access.Resource)),
			ast.Item(key("indirect"), ast.InternedTerm(access.Indirect)),
		)
	}
	return ast.ObjectTerm(
		ast.Item(key("accesses"), ast.ArrayTerm(accesses...)),
		ast.Item(key("properties"), setTerm(op.Properties)),
	)
}

// hit is a rule that matched the access at a position.
type hit struct{ position, rule int }

// rulebook are rules by the numbers that an answer names them by: those of policies, then
// what modules have answered.
type rulebook struct {
	rules   []compiledRule
	answers []custom
}

func (c rulebook) len() int { return len(c.rules) + len(c.answers) }

func (c rulebook) rule(number int) *compiledRule {
	if number < len(c.rules) {
		return &c.rules[number]
	}
	return &c.answers[number-len(c.rules)].rule
}

// decision reads the library's answer. Anything unexpected is an error.
func (c rulebook) decision(answer ast.Object, op policy.Operation) (*policy.Decision, error) {
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
		decision.Rules = append(decision.Rules, c.rule(rule).ref)
		if decision.Cause == "" {
			decision.Cause = c.rule(rule).cause
		}
	}
	// Modules answer several times by one rule, which is numbered after all others.
	slices.SortFunc(decision.Rules, compareRefs)
	decision.Rules = slices.Compact(decision.Rules)
	if decision.Effect == policy.RequireApproval {
		decision.Approval, err = c.terms(rules)
		for _, rule := range rules {
			if terms := c.rule(rule).terms; terms != nil && terms.Scope == policy.ScopeSession {
				decision.Sessions = append(decision.Sessions, c.rule(rule).ref)
			}
		}
	}
	return decision, err
}

// defaultDeny completes a decision that no rule was found for.
func (rulebook) defaultDeny(decision *policy.Decision, answer ast.Object, op policy.Operation) error {
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
func (c rulebook) message(hits []hit) string {
	for _, h := range hits {
		if text := c.rule(h.rule).message; text != "" && h.position == hits[0].position {
			return text
		}
	}
	for _, h := range hits {
		if text := c.rule(h.rule).message; text != "" {
			return text
		}
	}
	return ""
}

// terms collects the approval terms of the rules: equal ones once, sorted.
func (c rulebook) terms(rules []int) ([]policy.ApprovalTerms, error) {
	var terms []policy.ApprovalTerms
	for _, rule := range rules {
		if c.rule(rule).terms == nil {
			return nil, fmt.Errorf("answer asks for approval by a rule without terms: %q", c.rule(rule).ref.Rule)
		}
		terms = append(terms, *c.rule(rule).terms)
	}
	slices.SortFunc(terms, compareTerms)
	return slices.CompactFunc(terms, func(a, b policy.ApprovalTerms) bool { return compareTerms(a, b) == 0 }), nil
}

// hitsOf reads the answer's hits, sorted by position and rule.
func (c rulebook) hitsOf(answer ast.Object, op policy.Operation) ([]hit, error) {
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
		if !ok || pair.Len() != 3 {
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
		if position < 0 || position >= len(op.Accesses) || rule < 0 || rule >= c.len() {
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

// pairsOf reads a set of pairs of numbers.
func pairsOf(object ast.Object, key string) (map[[2]int]bool, error) {
	term := object.Get(ast.InternedTerm(key))
	if term == nil {
		return nil, fmt.Errorf("answer lacks %q", key)
	}
	set, ok := term.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("answer's %q is no set", key)
	}
	if set.Len() == 0 {
		return nil, nil
	}
	pairs := make(map[[2]int]bool, set.Len())
	return pairs, set.Iter(func(element *ast.Term) error {
		pair, ok := element.Value.(*ast.Array)
		if !ok || pair.Len() != 2 {
			return fmt.Errorf("answer's %q holds something else than pairs", key)
		}
		first, err := numberOf(pair.Elem(0))
		if err != nil {
			return err
		}
		second, err := numberOf(pair.Elem(1))
		pairs[[2]int{first, second}] = true
		return err
	})
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
