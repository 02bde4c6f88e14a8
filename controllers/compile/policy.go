// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/policy"
)

// PolicyResult is what compiling says of one AccessPolicy.
type PolicyResult struct {
	Accepted kit.Verdict `json:"accepted"`
	// Connections are the names of the Connections it selects, sorted.
	Connections []string `json:"connections,omitempty"`
}

// fault is an error with a condition reason.
type fault struct {
	reason string
	err    error
}

// Policy judges one AccessPolicy.
func Policy(p *v1alpha1.AccessPolicy, world World) PolicyResult {
	result := PolicyResult{}
	for i := range world.Connections {
		if selects(p, world.Connections[i].Name) {
			result.Connections = append(result.Connections, world.Connections[i].Name)
		}
	}
	sortStrings(result.Connections)
	if f := policyFault(p, world); f != nil {
		message := f.err.Error()
		if restricts(p) && len(result.Connections) > 0 {
			message += fmt.Sprintf("; since the policy restricts, its connections are closed until it is repaired: %s", strings.Join(result.Connections, ", "))
		}
		result.Accepted = kit.False(v1alpha1.ConditionAccepted, f.reason, message)
		return result
	}
	result.Accepted = kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	return result
}

func selects(p *v1alpha1.AccessPolicy, connection string) bool {
	return slices.ContainsFunc(p.Spec.Connections, func(s v1alpha1.ConnectionSelector) bool {
		return policy.Match(s.Name, connection)
	})
}

// restricts says whether leaving the policy out would widen access.
func restricts(p *v1alpha1.AccessPolicy) bool {
	return len(p.Spec.Masks) > 0 || len(p.Spec.Limits) > 0 || p.Spec.TargetRole != "" || slices.ContainsFunc(p.Spec.Rules, func(r v1alpha1.Rule) bool {
		return r.Effect != v1alpha1.EffectAllow
	})
}

// policyFault returns the first thing that is wrong with a policy, in the order
// of its fields. A policy is judged against every Connection that it selects: one
// that fits only some of them is a fault on all.
func policyFault(p *v1alpha1.AccessPolicy, world World) *fault {
	for i, subject := range p.Spec.Subjects {
		name := subject.RequiredProvider()
		if name != "" && !slices.ContainsFunc(world.Providers, func(idp v1alpha1.IdentityProvider) bool { return idp.Name == name }) {
			names := make([]string, 0, len(world.Providers))
			for _, idp := range world.Providers {
				names = append(names, idp.Name)
			}
			return &fault{v1alpha1.ReasonReferenceNotFound, fmt.Errorf("spec.subjects[%d]: no IdentityProvider is named %q%s: create it or correct the name",
				i, name, didYouMean(name, names))}
		}
	}
	selected, judged := false, map[string]bool{}
	for i := range world.Connections {
		connection := &world.Connections[i]
		if !selects(p, connection.Name) {
			continue
		}
		selected = true
		protocol, known := world.Protocols[connection.Spec.Protocol]
		if !known || judged[connection.Spec.Protocol] {
			continue // an unknown one: the Connection itself is at fault and closed
		}
		judged[connection.Spec.Protocol] = true
		if err := fits(p, protocol.Vocabulary()); err != nil {
			return &fault{v1alpha1.ReasonUnknownPattern, fmt.Errorf("for Connection %q of protocol %s: %w", connection.Name, protocol.Name(), err)}
		}
	}
	if !selected {
		names := make([]string, 0, len(world.Connections))
		for i := range world.Connections {
			names = append(names, world.Connections[i].Name)
		}
		hint := ""
		if len(p.Spec.Connections) > 0 {
			hint = didYouMean(p.Spec.Connections[0].Name, names)
		}
		return &fault{v1alpha1.ReasonNoConnection, fmt.Errorf("spec.connections selects no Connection of this namespace%s", hint)}
	}
	return nil
}

// fits says whether every pattern of the policy can match something.
func fits(p *v1alpha1.AccessPolicy, vocabulary policy.Vocabulary) error {
	actions, properties := words(vocabulary.Actions), words(vocabulary.Properties)
	for _, rule := range p.Spec.Rules {
		for _, glob := range rule.Actions {
			if !slices.ContainsFunc(actions, func(name string) bool { return policy.Match(glob, name) }) {
				return fmt.Errorf("rule %q: no action matches %q%s", rule.Name, glob, didYouMean(glob, actions))
			}
		}
		for _, property := range rule.Properties {
			if !slices.Contains(properties, property) {
				return fmt.Errorf("rule %q: no property is named %q%s", rule.Name, property, didYouMean(property, properties))
			}
		}
	}
	for i := range p.Spec.Masks {
		if err := maskFits(&p.Spec.Masks[i], vocabulary); err != nil {
			return fmt.Errorf("mask %q: %w", p.Spec.Masks[i].Name, err)
		}
	}
	return dutiesFit(p, vocabulary)
}

func words(terms []policy.Term) []string {
	names := make([]string, 0, len(terms))
	for _, term := range terms {
		names = append(names, term.Name)
	}
	return sortStrings(names)
}

func compilePolicy(p *v1alpha1.AccessPolicy) policy.Policy {
	out := policy.Policy{Name: p.Name, UID: string(p.UID), Generation: p.Generation}
	for _, s := range p.Spec.Subjects {
		out.Subjects = append(out.Subjects, policy.Subject{Kind: string(s.Kind), Name: s.Name, Provider: s.RequiredProvider()})
	}
	for _, r := range p.Spec.Rules {
		rule := policy.Rule{
			Name: r.Name, Effect: policy.Effect(r.Effect), Actions: r.Actions, Resources: r.Resources,
			Properties: r.Properties, Message: r.Message,
		}
		if r.Approval != nil {
			rule.Approval = &policy.ApprovalTerms{Minimum: r.Approval.Minimum, TimeoutSeconds: r.Approval.TimeoutSeconds}
			for _, approver := range r.Approval.Approvers {
				rule.Approval.Approvers = append(rule.Approval.Approvers, policy.Subject{Kind: string(approver.Kind), Name: approver.Name})
			}
		}
		out.Rules = append(out.Rules, rule)
	}
	for i := range p.Spec.Masks {
		out.Masks = append(out.Masks, compileMask(p.Name, &p.Spec.Masks[i]))
	}
	out.Limits, out.TargetRole = compileLimits(p.Spec.Limits), p.Spec.TargetRole
	return out
}
