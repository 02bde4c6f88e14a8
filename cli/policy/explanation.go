// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// explanation is everything that explain says of one operation; its JSON form is the
// output of -o json.
type explanation struct {
	Connection string `json:"connection"`
	Caller     caller `json:"caller"`
	Time       string `json:"time"`
	From       string `json:"from,omitempty"`
	// SharedCredential says that the question is about a credential that was found shared.
	SharedCredential bool `json:"sharedCredential,omitempty"`
	// Accesses are empty where the session alone is asked about.
	Accesses   []policy.Access `json:"accesses,omitempty"`
	Properties []string        `json:"properties,omitempty"`
	Decision   explained       `json:"decision"`
	Audit      *explained      `json:"audit,omitempty"`
	Policies   []applied       `json:"policies"`
	Refused    []refusedPolicy `json:"refused,omitempty"`
	Masks      []duty          `json:"masks,omitempty"`
	Limits     []duty          `json:"limits,omitempty"`
	TargetRole string          `json:"targetRole,omitempty"`
	Changes    []string        `json:"changes,omitempty"`
	Notes      []string        `json:"notes,omitempty"`
	Statement  string          `json:"statement,omitempty"`
	effect     policy.Effect
}

// explained is a decision with the places of its rules.
type explained struct {
	Effect  policy.Effect `json:"effect"`
	Rules   []ruleAt      `json:"rules"`
	Access  string        `json:"access,omitempty"`
	Message string        `json:"message,omitempty"`
	// Cause is what the record has besides, for operators.
	Cause string `json:"cause,omitempty"`
	// Approval are the terms, all of which must be met.
	Approval []policy.ApprovalTerms `json:"approval,omitempty"`
}

type ruleAt struct {
	Policy string `json:"policy"`
	Kind   string `json:"kind"`
	Rule   string `json:"rule,omitempty"`
	Source place  `json:"source"`
}

func (c *compiled) explained(d *policy.Decision) explained {
	out := explained{Effect: d.Effect, Rules: []ruleAt{}, Message: d.Message, Cause: d.Cause, Approval: d.Approval}
	if d.Access.Action != "" {
		out.Access = words(d.Access)
	}
	for _, ref := range d.Rules {
		out.Rules = append(out.Rules, ruleAt{Policy: ref.Policy, Kind: kindOf(ref.Cluster), Rule: ref.Rule, Source: c.place(ref)})
	}
	return out
}

// explain answers one question.
func (c *compiled) explain(ctx context.Context, deps *Dependencies, q question) (*explanation, error) {
	o, err := ask(ctx, c.engine, q)
	if err != nil {
		return nil, fmt.Errorf("the engine gives no answer, so it is refused: %w", err)
	}
	e := &explanation{
		Connection: c.connection.Namespace + "/" + c.connection.Name, Caller: callerOf(q), Time: q.at.Time.Format(time.RFC3339),
		Decision: c.explained(&o.decision), Refused: c.refused, Limits: c.limits(o), effect: o.decision.Effect,
	}
	e.SharedCredential = q.at.SharedCredential
	if q.at.Client.IsValid() {
		e.From = q.at.Client.String()
	}
	if q.operation != nil {
		e.Accesses, e.Properties = q.operation.Accesses, q.operation.Properties
	}
	if o.decision.Audit != nil {
		would := c.explained(o.decision.Audit)
		e.Audit = &would
	}
	if e.Policies, err = applications(ctx, c, deps, q); err != nil {
		return nil, err
	}
	if e.Masks, err = c.masks(ctx, deps, o, e.Policies, q); err != nil {
		return nil, err
	}
	if o.conflict == nil {
		e.TargetRole, _ = o.standing.TargetRole()
	}
	if o.decision.Effect != policy.Allow {
		changer := &changer{compiled: c, deps: deps, question: q, policies: e.Policies}
		if e.Changes, err = changer.changes(ctx, o); err != nil {
			return nil, err
		}
	}
	if others := c.others(); len(others) > 0 {
		e.Notes = append(e.Notes, "not about this Connection: "+strings.Join(others, ", "))
	}
	if len(e.Limits) > 0 && e.effect != policy.Deny {
		e.Notes = append(e.Notes, "limits are counted by proxies: an operation that they leave nothing for is refused all the same")
	}
	if until := o.standing.Until(); !until.IsZero() {
		e.Notes = append(e.Notes, "schedules of policies about this caller: proxies ask anew every minute")
	}
	return e, nil
}

// maxOthers bounds how many policies are named that are about other Connections.
const maxOthers = 32

// others are the policies that could be about the Connection, and do not select it.
func (c *compiled) others() []string {
	var all []string
	note := func(cluster bool, namespace, name string) {
		own := objectName(kindOf(cluster), namespace, name)
		in := slices.ContainsFunc(c.snapshot.Policies.Policies, func(p policy.Policy) bool { return p.Name == name && p.Cluster == cluster })
		if !in && !slices.ContainsFunc(c.refused, func(r refusedPolicy) bool { return r.Policy == own }) {
			all = append(all, own)
		}
	}
	if c.closed {
		return nil // the policies that closed it stand in the place of all
	}
	for i := range c.objects.policies {
		if p := &c.objects.policies[i]; p.Namespace == c.connection.Namespace {
			note(false, p.Namespace, p.Name)
		}
	}
	for i := range c.objects.clusterPolicies {
		note(true, "", c.objects.clusterPolicies[i].Name)
	}
	slices.Sort(all)
	if len(all) > maxOthers {
		all = append(all[:maxOthers], fmt.Sprintf("and %d more", len(all)-maxOthers))
	}
	return all
}

func callerOf(q question) caller {
	c := caller{User: q.caller.UserName, Groups: q.caller.Groups, Provider: q.caller.Provider, Kind: string(q.caller.Kind)}
	for _, claim := range q.caller.Claims {
		if c.Claims == nil {
			c.Claims = map[string][]string{}
		}
		c.Claims[claim.Name] = claim.Values
	}
	for _, actor := range q.caller.Delegation {
		c.Actors = append(c.Actors, actor.Subject)
	}
	return c
}

// worst is the strictest effect of several.
func worst(all []*explanation) policy.Effect {
	effects := []policy.Effect{policy.Allow, policy.RequireApproval, policy.Deny}
	most := 0
	for _, e := range all {
		most = max(most, slices.Index(effects, e.effect))
	}
	return effects[most]
}

// what names the operation to people.
func (e *explanation) what() string {
	if len(e.Accesses) == 0 {
		return "connect to"
	}
	all := make([]string, 0, len(e.Accesses))
	for _, a := range e.Accesses {
		text := words(a)
		if a.Indirect {
			text += " (indirect)"
		}
		all = append(all, text)
	}
	text := strings.Join(all, ", ")
	if len(e.Properties) > 0 {
		text += " with " + strings.Join(e.Properties, ", ")
	}
	return text + " on"
}
