// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/doorward/doorward/proxy/policy"
)

// ruleIndex finds the rules that may match an access, so that the library is asked about
// few of them. It may find one too many, and never one too few.
type ruleIndex struct {
	// literal holds rules by the actions they name in full, open those with patterns.
	literal map[string]*table
	open    []openRules
	// owners are the policies of rules, effects theirs by place in effectsOfRules, terms the
	// rules as the library reads them.
	owners  []int
	effects []int
	terms   []*ast.Term
}

// effectsOfRules are those that candidates are sorted by, with their names as terms.
var (
	effectsOfRules = []policy.Effect{policy.Deny, policy.RequireApproval, policy.Allow}
	effectTerms    = func() []*ast.Term {
		terms := make([]*ast.Term, len(effectsOfRules))
		for i, effect := range effectsOfRules {
			terms[i] = ast.StringTerm(string(effect))
		}
		return terms
	}()
)

// openRules are rules with the same patterns of actions.
type openRules struct {
	actions []string
	rules   *table
}

func newRuleIndex() *ruleIndex { return &ruleIndex{literal: map[string]*table{}} }

// add files the next rule: under every action it names in full, and under its patterns.
func (x *ruleIndex) add(r *policy.Rule, owner int) {
	number := len(x.terms)
	x.owners = append(x.owners, owner)
	x.effects = append(x.effects, slices.Index(effectsOfRules, r.Effect))
	x.terms = append(x.terms, ruleTerm(r, number))
	var patterns []string
	for _, action := range r.Actions {
		if strings.Contains(action, "*") {
			patterns = append(patterns, action)
			continue
		}
		if x.literal[action] == nil {
			x.literal[action] = newTable()
		}
		x.literal[action].add(r.Resources, number)
	}
	if len(patterns) == 0 {
		return
	}
	at := slices.IndexFunc(x.open, func(o openRules) bool { return slices.Equal(o.actions, patterns) })
	if at < 0 {
		at = len(x.open)
		x.open = append(x.open, openRules{patterns, newTable()})
	}
	x.open[at].rules.add(r.Resources, number)
}

// ruleTerm is a rule as the library describes it.
func ruleTerm(r *policy.Rule, number int) *ast.Term {
	resources := r.Resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("id"), ast.InternedTerm(number)),
		ast.Item(ast.InternedTerm("actions"), globsTerm(r.Actions)),
		ast.Item(ast.InternedTerm("resources"), globsTerm(resources)),
		ast.Item(ast.InternedTerm("properties"), ast.SetTerm(stringTerms(r.Properties)...)),
	)
}

// candidates is input.candidates: the rules of the policies that bind a class of callers
// which may match an access, and what modules have answered about one. Answers are rules
// with the numbers after all others.
func (x *ruleIndex) candidates(accesses []policy.Access, who class, answers []custom) *ast.Term {
	var lists [3][]*ast.Term // as effectsOfRules
	var numbers []int
	for position := range accesses {
		numbers = x.find(numbers[:0], &accesses[position])
		slices.Sort(numbers)
		for i, number := range numbers {
			if (i > 0 && numbers[i-1] == number) || !who.binds(x.owners[number]) {
				continue
			}
			into := &lists[x.effects[number]]
			*into = append(*into, candidateTerm(position, x.terms[number], who.grants(x.owners[number])))
		}
	}
	for i := range answers {
		a := &answers[i]
		effect := slices.Index(effectsOfRules, a.effect)
		lists[effect] = append(lists[effect], candidateTerm(a.position, answerTerm(&accesses[a.position], len(x.terms)+i), a.covers))
	}
	byEffect := ast.NewObject()
	for i, list := range lists {
		if len(list) > 0 {
			byEffect.Insert(effectTerms[i], ast.ArrayTerm(list...))
		}
	}
	return ast.NewTerm(byEffect)
}

func candidateTerm(position int, rule *ast.Term, lets bool) *ast.Term {
	return ast.ArrayTerm(ast.InternedTerm(position), rule, ast.InternedTerm(lets))
}

// answerTerm is what a module answers about an access: a rule about nothing else.
func answerTerm(access *policy.Access, number int) *ast.Term {
	exactly := func(name string) *ast.Term {
		return ast.ObjectTerm(
			ast.Item(ast.InternedTerm("exact"), ast.SetTerm(ast.StringTerm(name))),
			ast.Item(ast.InternedTerm("prefixes"), ast.InternedEmptyArray),
			ast.Item(ast.InternedTerm("patterns"), ast.InternedEmptyArray),
		)
	}
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("id"), ast.InternedTerm(number)),
		ast.Item(ast.InternedTerm("actions"), exactly(access.Action)),
		ast.Item(ast.InternedTerm("resources"), exactly(access.Resource)),
		ast.Item(ast.InternedTerm("properties"), ast.InternedEmptySet),
	)
}

func (x *ruleIndex) find(into []int, access *policy.Access) []int {
	if rules := x.literal[access.Action]; rules != nil {
		into = rules.find(into, access.Resource)
	}
	for i := range x.open {
		if slices.ContainsFunc(x.open[i].actions, func(glob string) bool { return policy.Match(glob, access.Action) }) {
			into = x.open[i].rules.find(into, access.Resource)
		}
	}
	return into
}

// table finds rules by resource.
type table struct {
	any   []int
	exact map[string][]int
	globs []globRule
}

type globRule struct {
	glob string
	rule int
}

func newTable() *table { return &table{exact: map[string][]int{}} }

// add files a rule under each of its resource globs; under any where it has none.
func (t *table) add(resources []string, rule int) {
	if len(resources) == 0 {
		t.any = append(t.any, rule)
	}
	for _, resource := range resources {
		switch {
		case resource == "*":
			t.any = append(t.any, rule)
		case strings.Contains(resource, "*"):
			t.globs = append(t.globs, globRule{resource, rule})
		default:
			t.exact[resource] = append(t.exact[resource], rule)
		}
	}
}

func (t *table) find(into []int, resource string) []int {
	into = append(append(into, t.any...), t.exact[resource]...)
	for i := range t.globs {
		if policy.Match(t.globs[i].glob, resource) {
			into = append(into, t.globs[i].rule)
		}
	}
	return into
}
