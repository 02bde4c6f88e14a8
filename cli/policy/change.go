// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// changer finds out, by trying on the engine, what would have to change for an operation
// to be let through.
type changer struct {
	*compiled
	deps     *Dependencies
	question question
	policies []applied
	said     []string
}

func (c *changer) say(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

// changes lists them, in the order in which the engine would come upon them.
func (c *changer) changes(ctx context.Context, o outcome) ([]string, error) {
	if c.closed {
		for i := range c.refused {
			c.say("have %s repaired or deleted, which closes the Connection to everybody: %s", c.refused[i].Policy, c.refused[i].Source)
		}
		return c.said, nil
	}
	if o.conflict != nil {
		c.say("have all policies that apply name the same targetRole, or none")
		return c.said, nil //nolint:nilerr // the conflict is what is explained
	}
	if c.question.operation == nil {
		c.letIn()
		return c.said, nil
	}
	if err := c.policyChanges(ctx, o); err != nil {
		return nil, err
	}
	return c.said, c.properties(ctx, o)
}

// policyChanges takes away what refuses, and then looks for what is missing.
func (c *changer) policyChanges(ctx context.Context, o outcome) error {
	set := c.snapshot.Policies
	for o.decision.Effect == policy.Deny && len(o.decision.Rules) > 0 {
		for _, ref := range o.decision.Rules {
			c.say("no longer be refused by rule %s: %s", nameOf(ref), c.place(ref))
		}
		// Each round takes at least one rule away.
		before := set
		set = without(set, o.decision.Rules)
		var err error
		if o, err = c.with(ctx, c.deps, set, c.question); err != nil {
			return err
		}
		if slices.EqualFunc(before.Policies, set.Policies, func(a, b policy.Policy) bool { return len(a.Rules) == len(b.Rules) && a.Name == b.Name }) {
			break
		}
	}
	if o.decision.Effect == policy.Deny {
		return c.allow(ctx, set)
	}
	if o.decision.Effect == policy.RequireApproval {
		c.say("be approved, as rule %s asks", rulesAt(c.compiled, o.decision.Rules))
	}
	return nil
}

// properties tries the operation without each of its properties.
func (c *changer) properties(ctx context.Context, o outcome) error {
	for _, property := range c.question.operation.Properties {
		other := *c.question.operation
		other.Properties = slices.DeleteFunc(slices.Clone(other.Properties), func(p string) bool { return p == property })
		q := c.question
		q.operation = &other
		would, err := ask(ctx, c.engine, q)
		if err != nil {
			return err
		}
		if would.decision.Effect != o.decision.Effect {
			c.say("or lack the property %s: the answer is then %s", property, would.decision.Effect)
		}
	}
	return nil
}

// allow names, for each access that nothing lets through, the rules that would if their
// policies applied to the caller, and otherwise the rule that is missing.
func (c *changer) allow(ctx context.Context, set policy.Set) error {
	own, opened := 0, policy.Set{Policies: slices.Clone(set.Policies)}
	for _, access := range c.question.operation.Accesses {
		if !access.NeedsAllow() {
			continue
		}
		own++
		q := c.question
		one := policy.Operation{Accesses: []policy.Access{{Action: access.Action, Resource: access.Resource}}, Properties: q.operation.Properties}
		q.operation = &one
		would, err := c.with(ctx, c.deps, set, q)
		if err != nil {
			return err
		}
		if would.decision.Effect != policy.Deny || len(would.decision.Rules) > 0 {
			continue
		}
		found, err := c.lets(ctx, one)
		if err != nil {
			return err
		}
		for _, ref := range found {
			c.elsewhere(ref, access)
		}
		if len(found) == 0 {
			c.missing(access)
		}
		opened.Policies = append(opened.Policies, c.grant(access, len(opened.Policies)))
	}
	if own == 0 {
		c.say("name something that it does: an operation that accesses nothing by name is not understood, and refused")
		return nil
	}
	would, err := c.with(ctx, c.deps, opened, c.question)
	if err != nil {
		return err
	}
	if would.decision.Effect == policy.RequireApproval {
		c.say("be approved then, as rule %s asks", rulesAt(c.compiled, would.decision.Rules))
	}
	return nil
}

// grant is a policy that allows the caller one access, whoever he is.
func (c *changer) grant(access policy.Access, number int) policy.Policy {
	subject := policy.Subject{Kind: policy.Everyone}
	if len(c.question.caller.Delegation) > 0 {
		subject = policy.Subject{Kind: policy.OnBehalfOfUser, Name: c.question.caller.UserName}
	}
	return policy.Policy{
		// No object can have this name.
		Name: fmt.Sprintf("/allowed-%d", number), Subjects: []policy.Subject{subject},
		Rules: []policy.Rule{{Name: "allowed", Effect: policy.Allow, Actions: []string{access.Action}}},
	}
}

// lets are the rules of all policies which, whoever asks, let an access through, at once
// or when approved.
func (c *changer) lets(ctx context.Context, op policy.Operation) ([]policy.RuleRef, error) {
	var set policy.Set
	for _, p := range c.snapshot.Policies.Policies {
		if p.Cluster {
			continue
		}
		every := policy.Policy{Name: p.Name, UID: p.UID, Generation: p.Generation, Subjects: []policy.Subject{{Kind: policy.Everyone}}}
		for _, r := range p.Rules {
			if r.Effect != policy.Deny {
				// The engine lists all rules that refuse.
				every.Rules = append(every.Rules, policy.Rule{Name: r.Name, Effect: policy.Deny, Actions: r.Actions, Resources: r.Resources, Properties: r.Properties})
			}
		}
		set.Policies = append(set.Policies, every)
	}
	q := c.question
	q.operation = &op
	would, err := c.with(ctx, c.deps, set, q)
	return would.decision.Rules, err
}

// elsewhere names a rule of a policy that does not let the caller through, and why.
func (c *changer) elsewhere(ref policy.RuleRef, access policy.Access) {
	for i := range c.policies {
		p := &c.policies[i]
		if p.Policy != ref.Policy || p.Kind != kindOf(ref.Cluster) {
			continue
		}
		c.say("be let through by rule %s, which is about %s, but whose policy does not let this caller through: %s: %s",
			nameOf(ref), words(access), strings.Join(p.Because, "; "), c.place(ref))
	}
}

// missing says what to write, and where.
func (c *changer) missing(access policy.Access) {
	resource := access.Resource
	if resource == "" {
		resource = "*"
	}
	rule := fmt.Sprintf("{name: ..., effect: Allow, actions: [%s], resources: [%q]}", access.Action, resource)
	var where []string
	for i := range c.policies {
		if p := &c.policies[i]; p.Permits && !c.module(p.Policy) {
			where = append(where, fmt.Sprintf("%s (%s)", p.Policy, p.Source))
		}
	}
	for i := range c.policies {
		if p := &c.policies[i]; p.Permits && c.module(p.Policy) {
			c.say("be allowed by the module of Rego of AccessPolicy %s: %s: %s", p.Policy, words(access), c.origin(p.Policy, false).at("spec", "rego"))
		}
	}
	if len(where) == 0 {
		c.say("be allowed by an AccessPolicy with this caller as a subject and a rule for %s: %s", words(access), rule)
		return
	}
	c.say("be allowed by a rule for %s: %s, in a policy that applies: %s", words(access), rule, strings.Join(where, ", "))
}

func (c *changer) module(name string) bool {
	return slices.ContainsFunc(c.snapshot.Policies.Policies, func(p policy.Policy) bool { return !p.Cluster && p.Name == name && p.Rego != "" })
}

// letIn names the policies that could let the caller into a session, and why they do not.
func (c *changer) letIn() {
	found := false
	for i := range c.policies {
		p := &c.policies[i]
		own := &c.snapshot.Policies.Policies[i]
		lets := own.Rego != "" || slices.ContainsFunc(own.Rules, func(r policy.Rule) bool { return r.Effect != policy.Deny })
		if own.Cluster || !lets || p.Permits {
			continue
		}
		found = true
		c.say("be let in by AccessPolicy %s, which does not let this caller through: %s: %s", p.Policy, strings.Join(p.Because, "; "), p.Source)
	}
	if !found {
		c.say("have an AccessPolicy with this caller as a subject and a rule that allows something")
	}
}

func rulesAt(c *compiled, refs []policy.RuleRef) string {
	all := make([]string, len(refs))
	for i, ref := range refs {
		all[i] = fmt.Sprintf("%s (%s)", nameOf(ref), c.place(ref))
	}
	return strings.Join(all, ", ")
}
