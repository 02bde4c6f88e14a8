// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// compiled is a Set as the library reads it, and what its numbers mean.
type compiled struct {
	set      policy.Set
	rules    []compiledRule
	subjects subjectIndex
	data     map[string]any
}

// compiledRule is what an answer that names a rule by number stands for.
type compiledRule struct {
	ref     policy.RuleRef
	message string
	terms   *policy.ApprovalTerms
}

// compile checks a Set and turns it into the library's data. Rules are
// numbered in the order of their references, so that sorted numbers are sorted
// references.
func compile(set policy.Set) (*compiled, error) {
	c := &compiled{set: sorted(set), subjects: subjectIndex{users: map[string][]entry{}, groups: map[string][]entry{}}}
	rules, connects := []any{}, []any{}
	for number, p := range c.set.Policies {
		if err := c.subjects.add(number, p.Subjects); err != nil {
			return nil, fmt.Errorf("policy does not compile: %q: %w", p.Name, err)
		}
		if err := checkDuties(&p); err != nil {
			return nil, fmt.Errorf("policy does not compile: %q: %w", p.Name, err)
		}
		index := newRuleIndex()
		lets := false
		for _, r := range p.Rules {
			if err := checkRule(r); err != nil {
				return nil, fmt.Errorf("policy does not compile: %q: rule %q: %w", p.Name, r.Name, err)
			}
			lets = lets || r.Effect != policy.Deny
			index.add(r, len(c.rules))
			c.rules = append(c.rules, compiledRule{
				ref:     policy.RuleRef{Policy: p.Name, UID: p.UID, Generation: p.Generation, Rule: r.Name},
				message: r.Message,
				terms:   normalTerms(r.Approval),
			})
		}
		rules = append(rules, index.data())
		if lets {
			connects = append(connects, number)
		}
	}
	c.data = map[string]any{"set": map[string]any{
		"users":    c.subjects.data(c.subjects.users),
		"groups":   c.subjects.data(c.subjects.groups),
		"rules":    rules,
		"connects": connects,
	}}
	return c, nil
}

// sorted is a copy of the Set with policies and rules in the order of their names.
func sorted(set policy.Set) policy.Set {
	policies := slices.Clone(set.Policies)
	slices.SortStableFunc(policies, func(a, b policy.Policy) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.UID, b.UID))
	})
	for i := range policies {
		policies[i].Rules = slices.Clone(policies[i].Rules)
		slices.SortStableFunc(policies[i].Rules, func(a, b policy.Rule) int { return strings.Compare(a.Name, b.Name) })
		policies[i].Masks = slices.Clone(policies[i].Masks)
		slices.SortStableFunc(policies[i].Masks, func(a, b policy.Mask) int { return strings.Compare(a.Name, b.Name) })
	}
	return policy.Set{Policies: policies}
}

func checkRule(r policy.Rule) error {
	switch r.Effect {
	case policy.Allow, policy.Deny:
		if r.Approval != nil {
			return fmt.Errorf("approval terms belong to effect %s only: effect is %q", policy.RequireApproval, r.Effect)
		}
	case policy.RequireApproval:
		if r.Approval == nil || len(r.Approval.Approvers) == 0 || r.Approval.Minimum < 1 || r.Approval.TimeoutSeconds < 1 {
			return fmt.Errorf("effect %s needs approvers, a minimum and a timeout of at least 1", policy.RequireApproval)
		}
	default:
		return fmt.Errorf("unknown effect: want %s, %s or %s: %q", policy.Allow, policy.RequireApproval, policy.Deny, r.Effect)
	}
	if len(r.Actions) == 0 {
		return fmt.Errorf("no actions: name at least one, %q for any", "*")
	}
	for _, glob := range slices.Concat(r.Actions, r.Resources) {
		if err := checkGlob(glob); err != nil {
			return err
		}
	}
	if slices.Contains(r.Actions, "") || slices.Contains(r.Properties, "") {
		return fmt.Errorf("empty action or property: remove it")
	}
	return nil
}

// normalTerms is a copy with sorted approvers, each once, so that equal terms
// are equal values.
func normalTerms(terms *policy.ApprovalTerms) *policy.ApprovalTerms {
	if terms == nil {
		return nil
	}
	normal := *terms
	normal.Approvers = slices.Clone(terms.Approvers)
	slices.SortFunc(normal.Approvers, compareSubjects)
	normal.Approvers = slices.Compact(normal.Approvers)
	return &normal
}

func compareSubjects(a, b policy.Subject) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Provider, b.Provider))
}

// compareTerms orders terms in their normal form.
func compareTerms(a, b policy.ApprovalTerms) int {
	return cmp.Or(
		slices.CompareFunc(a.Approvers, b.Approvers, compareSubjects),
		cmp.Compare(a.Minimum, b.Minimum),
		cmp.Compare(a.TimeoutSeconds, b.TimeoutSeconds),
	)
}
