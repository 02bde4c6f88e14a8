// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// compiled is a Set as the library reads it, and what its numbers mean.
type compiled struct {
	set   policy.Set
	rules []compiledRule
	index *ruleIndex
	data  map[string]any
	// audits says that some policy is in mode Audit.
	audits bool
	// modules are those of policies with Rego, by the policy's number.
	modules map[int]*policyModule
}

// compiledRule is what an answer that names a rule by number stands for.
type compiledRule struct {
	ref     policy.RuleRef
	message string
	terms   *policy.ApprovalTerms
	// cause is why the rule refuses, for operators; see policy.Decision.
	cause string
}

// compile checks a Set and turns it into the library's data. Rules are
// numbered in the order of their references, so that sorted numbers are sorted
// references.
func compile(ctx context.Context, set policy.Set) (*compiled, error) {
	c := &compiled{set: sorted(set), index: newRuleIndex(), modules: map[int]*policyModule{}}
	subjects, parts := newSubjectIndex(), setData{}
	for number := range c.set.Policies {
		p := &c.set.Policies[number]
		if err := c.add(ctx, number, p, subjects, &parts); err != nil {
			return nil, fmt.Errorf("policy does not compile: %q: %w", p.Name, err)
		}
	}
	c.data = map[string]any{"set": map[string]any{
		"users":    indexData(subjects.users),
		"groups":   indexData(subjects.groups),
		"others":   subjects.others,
		"when":     anys(parts.when),
		"cluster":  anys(parts.cluster),
		"audit":    anys(parts.audit),
		"connects": anys(parts.connects),
		"exempt":   anys(parts.exempt),
	}}
	c.audits = len(parts.audit) > 0
	return c, nil
}

// setData are the lists of data.set; the library says what they are.
type setData struct {
	when, exempt             []any
	cluster, audit, connects []int
}

func (c *compiled) add(ctx context.Context, number int, p *policy.Policy, subjects *subjectIndex, parts *setData) error {
	if err := p.Check(); err != nil {
		return err
	}
	subjects.add(number, p.Subjects)
	parts.when = append(parts.when, conditionData(p.When))
	if p.Cluster {
		parts.cluster = append(parts.cluster, number)
	}
	if p.Audit {
		parts.audit = append(parts.audit, number)
	}
	for i := range p.Masks {
		for j := range p.Masks[i].Exempt {
			parts.exempt = append(parts.exempt, map[string]any{"policy": number, "mask": i, "subject": subjectData(&p.Masks[i].Exempt[j])})
		}
	}
	lets, err := c.addModule(ctx, number, p)
	if err != nil {
		return err
	}
	for _, r := range p.Rules {
		lets = lets || r.Effect != policy.Deny
		c.index.add(&r, number)
		ref := refOf(p)
		ref.Rule = r.Name
		c.rules = append(c.rules, compiledRule{ref: ref, message: r.Message, terms: normalTerms(r.Approval)})
	}
	if lets {
		parts.connects = append(parts.connects, number)
	}
	return nil
}

// sorted is a copy of the Set with policies and rules in the order of their names.
func sorted(set policy.Set) policy.Set {
	policies := slices.Clone(set.Policies)
	slices.SortStableFunc(policies, func(a, b policy.Policy) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), compareBool(a.Cluster, b.Cluster), strings.Compare(a.UID, b.UID))
	})
	for i := range policies {
		policies[i].Rules = slices.Clone(policies[i].Rules)
		slices.SortStableFunc(policies[i].Rules, func(a, b policy.Rule) int { return strings.Compare(a.Name, b.Name) })
		policies[i].Masks = slices.Clone(policies[i].Masks)
		slices.SortStableFunc(policies[i].Masks, func(a, b policy.Mask) int { return strings.Compare(a.Name, b.Name) })
	}
	return policy.Set{Policies: policies}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// normalTerms is a copy with sorted approvers, each once, so that equal terms
// are equal values.
func normalTerms(terms *policy.ApprovalTerms) *policy.ApprovalTerms {
	if terms == nil {
		return nil
	}
	normal := *terms
	normal.Approvers = normalSubjects(terms.Approvers)
	if terms.BreakGlass != nil {
		normal.BreakGlass = &policy.BreakGlass{Subjects: normalSubjects(terms.BreakGlass.Subjects), MaxDurationSeconds: terms.BreakGlass.MaxDurationSeconds}
	}
	return &normal
}

func normalSubjects(subjects []policy.Subject) []policy.Subject {
	subjects = slices.Clone(subjects)
	slices.SortFunc(subjects, compareSubjects)
	return slices.CompactFunc(subjects, func(a, b policy.Subject) bool { return compareSubjects(a, b) == 0 })
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
		cmp.Compare(a.Scope, b.Scope),
		cmp.Compare(a.MaxDurationSeconds, b.MaxDurationSeconds),
		compareBreakGlass(a.BreakGlass, b.BreakGlass),
	)
}

func compareBreakGlass(a, b *policy.BreakGlass) int {
	if a == nil || b == nil {
		return compareBool(a != nil, b != nil)
	}
	return cmp.Or(slices.CompareFunc(a.Subjects, b.Subjects, compareSubjects), cmp.Compare(a.MaxDurationSeconds, b.MaxDurationSeconds))
}
