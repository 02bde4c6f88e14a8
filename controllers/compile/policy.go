// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/policy"
)

// PolicyResult is what compiling says of one AccessPolicy or ClusterAccessPolicy.
type PolicyResult struct {
	Accepted kit.Verdict `json:"accepted"`
	// Connections are the names of the Connections it selects, sorted; for a
	// ClusterAccessPolicy namespace/name.
	Connections []string `json:"connections,omitempty"`
}

// fault is an error with a condition reason.
type fault struct {
	reason string
	err    error
}

// Policy judges one AccessPolicy.
func Policy(p *v1alpha1.AccessPolicy, world World) PolicyResult { return judge(ofPolicy(p), world) }

// ClusterPolicy judges one ClusterAccessPolicy. The world holds all Connections of the
// cluster, and all namespaces.
func ClusterPolicy(p *v1alpha1.ClusterAccessPolicy, world World) PolicyResult {
	return judge(ofClusterPolicy(p), world)
}

// Selects says whether an AccessPolicy is about a Connection.
func Selects(p *v1alpha1.AccessPolicy, c *v1alpha1.Connection) bool {
	return ofPolicy(p).selects(c, nil)
}

// ClusterSelects says whether a ClusterAccessPolicy is about a Connection. Namespaces
// are as in World.
func ClusterSelects(p *v1alpha1.ClusterAccessPolicy, c *v1alpha1.Connection, namespaces map[string]map[string]string) bool {
	return ofClusterPolicy(p).selects(c, namespaces)
}

func judge(p *written, world World) PolicyResult {
	result := PolicyResult{}
	for i := range world.Connections {
		c := &world.Connections[i]
		if !p.selects(c, world.Namespaces) {
			continue
		}
		name := c.Name
		if p.cluster {
			name = c.Namespace + "/" + c.Name
		}
		result.Connections = append(result.Connections, name)
	}
	sortStrings(result.Connections)
	if f := policyFault(p, world); f != nil {
		message := f.err.Error()
		if p.restricts() && len(result.Connections) > 0 {
			message += fmt.Sprintf("; since the policy restricts, its connections are closed until it is repaired: %s", shortList(result.Connections))
		}
		result.Accepted = kit.False(v1alpha1.ConditionAccepted, f.reason, message)
		return result
	}
	result.Accepted = kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	return result
}

// maxListed bounds how many Connections a message names.
const maxListed = 32

func shortList(names []string) string {
	if len(names) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}

// policyFault returns the first thing that is wrong with a policy, in the order
// of its fields, and at last what only an engine would refuse: proxies go on with what
// they have where they cannot take a snapshot, so that a revocation in it would be lost.
func policyFault(p *written, world World) *fault {
	if f := writtenFault(p, world); f != nil {
		return f
	}
	bare := *p
	bare.rego = nil
	out := compilePolicy(&bare, world)
	if err := out.Check(); err != nil {
		return &fault{v1alpha1.ReasonInvalid, err}
	}
	return nil
}

// writtenFault is about what is written, in the order of the fields. A policy is judged
// against every Connection that it selects: one that fits only some of them is a fault on
// all.
func writtenFault(p *written, world World) *fault {
	if f := subjectFault(p, world); f != nil {
		return f
	}
	if err := cmp.Or(conditionsFit(p.when), sharedFits(p)); err != nil {
		return &fault{v1alpha1.ReasonInvalid, err}
	}
	if p.rego != nil {
		if _, _, f := module(p, world); f != nil {
			return f
		}
	}
	if p.cluster {
		if err := clusterFits(p, world.Protocols); err != nil {
			return &fault{v1alpha1.ReasonUnknownPattern, err}
		}
		return nil
	}
	selected, judged := false, map[string]bool{}
	for i := range world.Connections {
		connection := &world.Connections[i]
		if !p.selects(connection, world.Namespaces) {
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
		return noConnection(p, world)
	}
	return nil
}

func noConnection(p *written, world World) *fault {
	names := make([]string, 0, len(world.Connections))
	for i := range world.Connections {
		names = append(names, world.Connections[i].Name)
	}
	hint := ""
	if len(p.connections) > 0 && p.connections[0].Name != "" {
		hint = didYouMean(p.connections[0].Name, names)
	}
	return &fault{v1alpha1.ReasonNoConnection, fmt.Errorf("spec.connections selects no Connection of this namespace%s", hint)}
}

// fits says whether every pattern of the policy can match something.
func fits(p *written, vocabulary policy.Vocabulary) error {
	if err := rulesFit(p, vocabulary); err != nil {
		return err
	}
	for i := range p.masks {
		if err := maskFits(&p.masks[i], vocabulary); err != nil {
			return fmt.Errorf("mask %q: %w", p.masks[i].Name, err)
		}
	}
	return dutiesFit(p, vocabulary)
}

func rulesFit(p *written, vocabulary policy.Vocabulary) error {
	actions, properties := words(vocabulary.Actions), words(vocabulary.Properties)
	for i := range p.rules {
		rule := &p.rules[i]
		// Absent is any to an engine. Admission sees to it.
		if rule.Effect == v1alpha1.EffectAllow && len(rule.Resources) == 0 {
			return fmt.Errorf("rule %q: an Allow rule names its resources: write \"*\" for any", rule.Name)
		}
		for _, glob := range rule.Actions {
			if !slices.ContainsFunc(actions, func(name string) bool { return policy.Match(glob, name) }) {
				return fmt.Errorf("rule %q: no action matches %q%s", rule.Name, glob, didYouMean(glob, actions))
			}
		}
		for _, name := range rule.Properties {
			if !slices.Contains(properties, name) {
				return fmt.Errorf("rule %q: no property is named %q%s", rule.Name, name, didYouMean(name, properties))
			}
		}
	}
	return nil
}

func words(terms []policy.Term) []string {
	names := make([]string, 0, len(terms))
	for _, term := range terms {
		names = append(names, term.Name)
	}
	return sortStrings(names)
}

// compilePolicy makes of a policy without fault what the engine evaluates.
func compilePolicy(p *written, world World) policy.Policy {
	out := policy.Policy{
		Name: p.Name, UID: string(p.UID), Generation: p.Generation, Cluster: p.cluster, Audit: p.mode == v1alpha1.PolicyModeAudit,
		Subjects: compileSubjects(p.subjects), When: compileConditions(p.when),
	}
	if p.rego != nil {
		out.Rego, out.Claims, _ = module(p, world)
	}
	for i := range p.rules {
		out.Rules = append(out.Rules, compileRule(&p.rules[i]))
	}
	for i := range p.masks {
		out.Masks = append(out.Masks, compileMask(p.Name, &p.masks[i]))
	}
	out.Limits, out.TargetRole = compileLimits(p.limits), p.targetRole
	return out
}

func compileRule(r *v1alpha1.Rule) policy.Rule {
	rule := policy.Rule{
		Name: r.Name, Effect: policy.Effect(r.Effect), Actions: r.Actions, Resources: r.Resources,
		Properties: r.Properties, Message: r.Message,
	}
	if r.Approval != nil {
		rule.Approval = &policy.ApprovalTerms{
			Minimum: r.Approval.Minimum, TimeoutSeconds: r.Approval.TimeoutSeconds, MaxDurationSeconds: r.Approval.MaxDurationSeconds,
		}
		// Without a scope it is for one operation, as the word for that says.
		if r.Approval.Scope != v1alpha1.ApprovalScopeOperation {
			rule.Approval.Scope = string(r.Approval.Scope)
		}
		for _, approver := range r.Approval.Approvers {
			rule.Approval.Approvers = append(rule.Approval.Approvers, policy.Subject{Kind: string(approver.Kind), Name: approver.Name})
		}
		if b := r.Approval.BreakGlass; b != nil {
			rule.Approval.BreakGlass = &policy.BreakGlass{MaxDurationSeconds: b.MaxDurationSeconds}
			for _, subject := range b.Subjects {
				rule.Approval.BreakGlass.Subjects = append(rule.Approval.BreakGlass.Subjects, policy.Subject{Kind: string(subject.Kind), Name: subject.Name})
			}
		}
	}
	return rule
}
