// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"slices"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// applying calls f with each policy that applies to the caller, in the order of
// their names.
func (e *Engine) applying(caller *identity.Principal, f func(p *policy.Policy)) {
	var buffer [classWords]uint64
	e.compiled.subjects.classOf(caller, buffer[:0]).each(func(number int) {
		f(&e.compiled.set.Policies[number])
	})
}

// Masks returns all masks of the policies that apply to the caller.
func (e *Engine) Masks(caller identity.Principal) []policy.Mask {
	var masks []policy.Mask
	e.applying(&caller, func(p *policy.Policy) {
		for _, m := range p.Masks {
			m.Policy = p.Name
			masks = append(masks, m)
		}
	})
	return masks
}

// Limits returns the limits of the policies that apply to the caller.
func (e *Engine) Limits(caller identity.Principal) []policy.Limits {
	var limits []policy.Limits
	e.applying(&caller, func(p *policy.Policy) {
		if p.Limits != nil {
			own := *p.Limits
			own.Policy = refOf(p)
			limits = append(limits, own)
		}
	})
	return limits
}

// TargetRole returns the role that the policies which apply to the caller name,
// if they agree.
func (e *Engine) TargetRole(caller identity.Principal) (string, error) {
	var roles []policy.TargetRole
	e.applying(&caller, func(p *policy.Policy) {
		known := func(r policy.TargetRole) bool { return r.Role == p.TargetRole }
		if p.TargetRole != "" && !slices.ContainsFunc(roles, known) {
			roles = append(roles, policy.TargetRole{Policy: refOf(p), Role: p.TargetRole})
		}
	})
	switch len(roles) {
	case 0:
		return "", nil
	case 1:
		return roles[0].Role, nil
	}
	return "", &policy.ConflictError{Roles: roles}
}

func refOf(p *policy.Policy) policy.RuleRef {
	return policy.RuleRef{Policy: p.Name, UID: p.UID, Generation: p.Generation}
}
