// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
)

// maxNamed bounds the policies that a cause names.
const maxNamed = 8

// decideIn decides in a scope. What no rule lets through says which policies could have,
// at another time, from another address or to another caller; as that depends on more
// than the cache knows of a caller, it is no part of what is kept.
func (s *standing) decideIn(ctx context.Context, in *scope, op policy.Operation, modules *asked) (policy.Decision, error) {
	kept, err := s.engine.decideIn(ctx, in, op, modules)
	if err != nil {
		return policy.Decision{}, err
	}
	decision := *kept
	if decision.Effect == policy.Deny && len(decision.Rules) == 0 {
		decision.Cause = in.cause()
	}
	return decision, nil
}

// missing says why the policies that are about the caller, and could let something
// through, do not; empty where there are none.
func (s *standing) missing(in *scope) string {
	var all []string
	for _, number := range s.matched {
		p := &s.engine.compiled.set.Policies[number]
		if _, granting := slices.BinarySearch(in.granting, number); p.Cluster || (p.Audit && in != s.audited) {
			continue
		} else if granting {
			if m := s.engine.compiled.modules[number]; m != nil && m.fault != nil {
				all = append(all, moduleCause(p, m.fault))
			}
			continue
		}
		if p.Rego == "" && !slices.ContainsFunc(p.Rules, func(r policy.Rule) bool { return r.Effect != policy.Deny }) {
			continue
		}
		if s.unshared(number, p) {
			continue
		}
		all = append(all, fmt.Sprintf("AccessPolicy %q: %s", p.Name, s.absent(number, p)))
	}
	if more := len(all) - maxNamed; more > 0 {
		all = append(all[:maxNamed], fmt.Sprintf("and %d more policies", more))
	}
	return strings.Join(all, "; ")
}

// unshared says that a policy is for callers whose credential is shared, and this one's is
// not: nobody should make it so.
func (s *standing) unshared(number int, p *policy.Policy) bool {
	for i := range p.When {
		if p.When[i].SharedCredential && s.lapsed[[2]int{number, i}] {
			return true
		}
	}
	return false
}

// absent says why a policy lets nothing through.
func (s *standing) absent(number int, p *policy.Policy) string {
	var conditions []string
	for i := range p.When {
		if !s.lapsed[[2]int{number, i}] {
			continue
		}
		kind, why := "Schedule", ""
		if p.When[i].Schedule == nil {
			kind = "SourceCIDRs"
			if !s.located {
				why = ", as the caller's address is not known"
			}
		}
		conditions = append(conditions, fmt.Sprintf("spec.when[%d] (%s) does not hold%s", i, kind, why))
	}
	if len(conditions) == 0 {
		return "no subject of it names a delegation, and the caller acts for somebody"
	}
	return strings.Join(conditions, ", ")
}

// moduleCause is why a module gives no answer.
func moduleCause(p *policy.Policy, cause error) string {
	return fmt.Sprintf("AccessPolicy %q: spec.rego: %v", p.Name, cause)
}
