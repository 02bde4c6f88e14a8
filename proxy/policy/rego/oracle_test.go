// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"
	"sort"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// oracle says the semantics of the whole language once more, in plain loops over the
// policies as they are written: no index, no classes, no cache, no Rego. It shares no
// code with the library.
type oracle struct {
	set    policy.Set
	caller identity.Principal
	at     policy.Circumstances
}

// about says what a policy is to the caller: it binds him, and lets him through.
func (o oracle) about(p policy.Policy, audit bool) (binds, grants bool) {
	if p.Audit && !audit {
		return false, false
	}
	restrictsNow, permitsNow := inForce(p.When, o.at)
	for _, s := range p.Subjects {
		restricts, permits := subjectIs(s, o.caller)
		binds = binds || restricts && restrictsNow
		grants = grants || permits && permitsNow
	}
	return binds, grants && !p.Cluster
}

// verdict is a Decision with rules by name.
type verdict struct {
	Effect  policy.Effect
	Rules   []string
	Access  policy.Access
	Message string
	// Minimums are those of the terms that must be met.
	Minimums []int32
}

// found is a rule that matches the access at a place.
type found struct {
	rule  policy.Rule
	name  string
	place int
}

func nameOf(p policy.Policy, rule string) string {
	name := p.Name + "/" + rule
	if p.Cluster {
		name = p.Name + "(cluster)/" + rule
	}
	return name
}

func ruleMatches(r policy.Rule, access policy.Access, properties []string) bool {
	for _, property := range r.Properties {
		if !oneOf(property, properties) {
			return false
		}
	}
	if len(r.Resources) > 0 && !anyGlobMatches(r.Resources, access.Resource) {
		return false
	}
	if access.Action == "unknown" {
		return oneOf("unknown", r.Actions)
	}
	return anyGlobMatches(r.Actions, access.Action)
}

func (o oracle) decide(op policy.Operation, audit bool) verdict {
	hits := map[policy.Effect][]found{}
	covered := map[int]bool{}
	for _, p := range o.set.Policies {
		binds, grants := o.about(p, audit)
		if !binds {
			continue
		}
		for _, r := range p.Rules {
			for place, access := range op.Accesses {
				if !ruleMatches(r, access, op.Properties) || r.Effect == policy.Allow && !grants {
					continue
				}
				hits[r.Effect] = append(hits[r.Effect], found{r, nameOf(p, r.Name), place})
				if r.Effect != policy.Deny && grants {
					covered[place] = true
				}
			}
		}
	}
	if len(hits[policy.Deny]) > 0 {
		return verdictOf(policy.Deny, hits[policy.Deny], op)
	}
	named := false
	for _, access := range op.Accesses {
		named = named || !access.Indirect
	}
	if !named {
		return verdict{Effect: policy.Deny}
	}
	for place, access := range op.Accesses {
		if (!access.Indirect || access.Action == "unknown") && !covered[place] {
			return verdict{Effect: policy.Deny, Access: access}
		}
	}
	if len(hits[policy.RequireApproval]) > 0 {
		return verdictOf(policy.RequireApproval, hits[policy.RequireApproval], op)
	}
	var allowing []found
	for _, f := range hits[policy.Allow] {
		if access := op.Accesses[f.place]; !access.Indirect || access.Action == "unknown" {
			allowing = append(allowing, f)
		}
	}
	return verdictOf(policy.Allow, allowing, op)
}

func verdictOf(effect policy.Effect, hits []found, op policy.Operation) verdict {
	v := verdict{Effect: effect}
	first := len(op.Accesses)
	for _, f := range hits {
		v.Rules = append(v.Rules, f.name)
		first = min(first, f.place)
		if effect == policy.RequireApproval {
			v.Minimums = append(v.Minimums, f.rule.Approval.Minimum)
		}
	}
	sort.Strings(v.Rules)
	v.Rules = slices.Compact(v.Rules)
	slices.Sort(v.Minimums)
	v.Minimums = slices.Compact(v.Minimums)
	if effect == policy.Allow {
		return v
	}
	v.Access = op.Accesses[first]
	// The text is that of the first rule which has one, by place and then by name.
	best := found{place: len(op.Accesses)}
	for _, f := range hits {
		if f.rule.Message != "" && (f.place < best.place || f.place == best.place && f.name < best.name) {
			best = f
		}
	}
	v.Message = best.rule.Message
	return v
}

// duties are what follows for a session, besides its decisions.
type duties struct {
	Connect []string // policies that a session can rest on
	Masks   []string
	Limits  []string
	Roles   []string
}

func (o oracle) duties(audit bool) duties {
	var d duties
	for _, p := range o.set.Policies {
		binds, grants := o.about(p, audit)
		name := nameOf(p, "")
		lets := false
		for _, r := range p.Rules {
			lets = lets || r.Effect != policy.Deny
		}
		if grants && lets {
			d.Connect = append(d.Connect, name)
		}
		if !binds {
			continue
		}
		for _, m := range p.Masks {
			spared := false
			for _, s := range m.Exempt {
				_, permits := subjectIs(s, o.caller)
				spared = spared || permits
			}
			if !spared {
				d.Masks = append(d.Masks, p.Name+"/"+m.Name)
			}
		}
		if p.Limits != nil {
			d.Limits = append(d.Limits, name)
		}
		if p.TargetRole != "" {
			d.Roles = append(d.Roles, p.TargetRole)
		}
	}
	for _, list := range []*[]string{&d.Connect, &d.Masks, &d.Limits, &d.Roles} {
		sort.Strings(*list)
	}
	d.Roles = slices.Compact(d.Roles)
	return d
}
