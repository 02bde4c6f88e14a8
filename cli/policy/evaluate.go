// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// question is who asks for what, and when.
type question struct {
	caller    identity.Principal
	at        policy.Circumstances
	operation *policy.Operation // nil asks for the session alone
}

// outcome is what the engine says.
type outcome struct {
	standing policy.Standing
	decision policy.Decision
	// connects is whether the caller is let into a session.
	connects bool
	// conflict says that policies name different roles, which refuses the session.
	conflict *policy.ConflictError
}

// ask puts a question as the proxy does: first whether the caller is let in at all, then
// the operation.
func ask(ctx context.Context, engine policy.Engine, q question) (outcome, error) {
	var o outcome
	var err error
	if o.standing, err = engine.Standing(ctx, q.caller, q.at); err != nil {
		return o, err
	}
	if o.decision, err = o.standing.Connect(ctx); err != nil {
		return o, err
	}
	o.connects = o.decision.Effect != policy.Deny
	if o.connects {
		if _, err := o.standing.TargetRole(); err != nil && !errors.As(err, &o.conflict) {
			return o, err
		}
		if o.conflict != nil {
			o.connects = false
			o.decision = policy.Decision{Effect: policy.Deny, Message: o.conflict.Error()}
			for _, role := range o.conflict.Roles {
				o.decision.Rules = append(o.decision.Rules, role.Policy)
			}
			return o, nil
		}
	}
	if q.operation == nil {
		return o, nil
	}
	connect := o.decision
	if o.decision, err = o.standing.Decide(ctx, *q.operation, q.at.Time); err != nil {
		return o, err
	}
	if !o.connects && o.decision.Effect != policy.Deny {
		return o, fmt.Errorf("the engine lets an operation through and its session not: %q", connect.Effect)
	}
	return o, nil
}

// with asks the same of another set of policies.
func (c *compiled) with(ctx context.Context, deps *Dependencies, set policy.Set, q question) (outcome, error) {
	engine, err := deps.Engine(ctx, set, c.snapshot.About())
	if err != nil {
		return outcome{}, err
	}
	return ask(ctx, engine, q)
}

// without is the set without some rules; a reference without a rule takes the whole
// policy out, as does one to a rule that a module of Rego has named.
func without(set policy.Set, refs []policy.RuleRef) policy.Set {
	var kept policy.Set
	for _, p := range set.Policies {
		gone := false
		rules := slices.Clone(p.Rules)
		for _, ref := range refs {
			if ref.Policy != p.Name || ref.Cluster != p.Cluster {
				continue
			}
			rules = slices.DeleteFunc(rules, func(r policy.Rule) bool { return r.Name == ref.Rule })
			gone = gone || ref.Rule == "" || len(rules) == len(p.Rules)
		}
		if p.Rules = rules; !gone {
			kept.Policies = append(kept.Policies, p)
		}
	}
	return kept
}

// origin says where a policy of the set is written.
func (c *compiled) origin(name string, cluster bool) origin {
	if cluster {
		return c.objects.origins[objectName("ClusterAccessPolicy", "", name)]
	}
	return c.objects.origins[objectName("AccessPolicy", c.connection.Namespace, name)]
}

// place says where a rule is written.
func (c *compiled) place(ref policy.RuleRef) place {
	own := c.origin(ref.Policy, ref.Cluster)
	if ref.Rule == "" {
		return own.at("metadata", "name")
	}
	for i := range c.snapshot.Policies.Policies {
		p := &c.snapshot.Policies.Policies[i]
		if p.Name == ref.Policy && p.Cluster == ref.Cluster && p.Rego != "" {
			return own.at("spec", "rego")
		}
	}
	return own.named("rules", ref.Rule)
}

// nameOf names a rule to people: policy/rule.
func nameOf(ref policy.RuleRef) string {
	if ref.Rule == "" {
		return ref.Policy
	}
	return ref.Policy + "/" + ref.Rule
}

func kindOf(cluster bool) string {
	if cluster {
		return "ClusterAccessPolicy"
	}
	return "AccessPolicy"
}
