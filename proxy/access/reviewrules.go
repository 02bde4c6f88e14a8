// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"cmp"
	"slices"

	"github.com/doorward/doorward/proxy/policy"
)

// Permitted is what rules permit a caller, without saying whose rules these are.
type Permitted struct {
	Rules []PermittedRule
	// Restricted says that other rules refuse some of it.
	Restricted bool
	// Incomplete says that the list lacks what cannot be listed: policies that decide by
	// a program, or rules beyond MaxPermitted.
	Incomplete bool
}

// PermittedRule is one of them: globs, where no resource stands for any and none.
type PermittedRule struct {
	// Effect is Allow, or RequireApproval, also of a rule that asks for an approval of
	// what another allows.
	Effect                         policy.Effect
	Actions, Resources, Properties []string
}

// MaxPermitted is the greatest number of rules in a Permitted.
const MaxPermitted = 1024

// permitted lists the rules that let the caller through, and those that ask for an
// approval of what they let through. What else restricts is not listed, since what is
// closed to somebody is not his to read; that there is something is said.
func permitted(set policy.Set, standing policy.Standing) Permitted {
	scoped, ok := standing.(policy.Scoped)
	if !ok {
		return Permitted{Incomplete: true}
	}
	var found Permitted
	binds, permits := scoped.Scope()
	in := func(refs []policy.RuleRef, p *policy.Policy) bool {
		return slices.ContainsFunc(refs, func(r policy.RuleRef) bool { return r.Policy == p.Name && r.Cluster == p.Cluster })
	}
	for number := range set.Policies {
		p := &set.Policies[number]
		if !in(permits, p) {
			continue
		}
		found.Incomplete = found.Incomplete || p.Rego != ""
		for i := range p.Rules {
			if p.Rules[i].Effect != policy.Deny {
				found.Rules = append(found.Rules, listed(&p.Rules[i]))
			}
		}
	}
	own := found.Rules
	for number := range set.Policies {
		p := &set.Policies[number]
		if !in(binds, p) {
			continue
		}
		found.Restricted = found.Restricted || p.Rego != ""
		for i := range p.Rules {
			r := &p.Rules[i]
			also := r.Effect == policy.RequireApproval && !in(permits, p)
			if !also && r.Effect != policy.Deny || !slices.ContainsFunc(own, func(o PermittedRule) bool { return o.meets(r) }) {
				continue
			}
			if r.Effect == policy.Deny {
				found.Restricted = true
			} else {
				found.Rules = append(found.Rules, listed(r))
			}
		}
	}
	// In an order of their own, which tells nothing of the policies'.
	slices.SortFunc(found.Rules, PermittedRule.compare)
	found.Rules = slices.CompactFunc(found.Rules, func(a, b PermittedRule) bool { return a.compare(b) == 0 })
	if len(found.Rules) > MaxPermitted {
		found.Rules, found.Incomplete = found.Rules[:MaxPermitted], true
	}
	return found
}

func listed(r *policy.Rule) PermittedRule {
	return PermittedRule{Effect: r.Effect, Actions: r.Actions, Resources: r.Resources, Properties: r.Properties}
}

func (r PermittedRule) compare(other PermittedRule) int {
	return cmp.Or(cmp.Compare(r.Effect, other.Effect), slices.Compare(r.Actions, other.Actions),
		slices.Compare(r.Resources, other.Resources), slices.Compare(r.Properties, other.Properties))
}

// meets says whether both may be about one access.
func (r PermittedRule) meets(other *policy.Rule) bool {
	return overlap(r.Actions, other.Actions) &&
		(len(r.Resources) == 0 || len(other.Resources) == 0 || overlap(r.Resources, other.Resources))
}

func overlap(some, others []string) bool {
	return slices.ContainsFunc(some, func(a string) bool {
		return slices.ContainsFunc(others, func(b string) bool { return policy.Overlap(a, b) })
	})
}

// strictest are the bounds of all policies and of the Connection at once.
func strictest(list []policy.Limits, st *state) policy.Limits {
	session := &st.snapshot.Session
	all := policy.Limits{SessionSeconds: max(int64(session.MaxDurationSeconds), 0), IdleSeconds: max(int64(session.IdleTimeoutSeconds), 0)}
	all.OutliveTokenSeconds = outlives(list)
	narrow := func(bound *int64, most int64) {
		if most > 0 && (*bound == 0 || most < *bound) {
			*bound = most
		}
	}
	for i := range list {
		l := &list[i]
		narrow(&all.RowsPerStatement, l.RowsPerStatement)
		narrow(&all.BytesPerStatement, l.BytesPerStatement)
		narrow(&all.SessionSeconds, l.SessionSeconds)
		narrow(&all.IdleSeconds, l.IdleSeconds)
		narrow(&all.ConcurrentSessions, l.ConcurrentSessions)
		all.Windows = append(all.Windows, l.Windows...)
	}
	order := func(a, b policy.Window) int {
		return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(a.Rows, b.Rows), cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Operations, b.Operations))
	}
	slices.SortFunc(all.Windows, order)
	all.Windows = slices.Compact(all.Windows)
	return all
}
