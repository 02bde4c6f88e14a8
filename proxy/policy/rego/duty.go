// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"reflect"
	"slices"

	"github.com/doorward/doorward/proxy/policy"
)

// Masks returns all masks of the policies that bind the caller, but for those that he
// is exempt from.
func (s *standing) Masks() []policy.Mask { return s.masks(s.enforced) }

// AuditMasks returns the masks that would apply if policies in mode Audit were
// enforced; nil where these are the same.
func (s *standing) AuditMasks() []policy.Mask {
	if s.audited == nil {
		return nil
	}
	would := s.masks(s.audited)
	if reflect.DeepEqual(would, s.Masks()) {
		return nil
	}
	return would
}

func (s *standing) masks(of *scope) []policy.Mask {
	var masks []policy.Mask
	for _, number := range of.bound {
		p := &s.engine.compiled.set.Policies[number]
		for i := range p.Masks {
			if s.exempt[[2]int{number, i}] {
				continue
			}
			m := p.Masks[i]
			m.Policy, m.Exempt = p.Name, nil
			masks = append(masks, m)
		}
	}
	return masks
}

// Limits returns the limits of the policies that bind the caller.
func (s *standing) Limits() []policy.Limits {
	var limits []policy.Limits
	for _, number := range s.enforced.bound {
		p := &s.engine.compiled.set.Policies[number]
		if p.Limits != nil {
			own := *p.Limits
			own.Policy = refOf(p)
			limits = append(limits, own)
		}
	}
	return limits
}

// TargetRole returns the role that the policies which bind the caller name, if they
// agree.
func (s *standing) TargetRole() (string, error) {
	var roles []policy.TargetRole
	for _, number := range s.enforced.bound {
		p := &s.engine.compiled.set.Policies[number]
		known := func(r policy.TargetRole) bool { return r.Role == p.TargetRole }
		if p.TargetRole != "" && !slices.ContainsFunc(roles, known) {
			roles = append(roles, policy.TargetRole{Policy: refOf(p), Role: p.TargetRole})
		}
	}
	switch len(roles) {
	case 0:
		return "", nil
	case 1:
		return roles[0].Role, nil
	}
	return "", &policy.ConflictError{Roles: roles}
}

func refOf(p *policy.Policy) policy.RuleRef {
	return policy.RuleRef{Cluster: p.Cluster, Policy: p.Name, UID: p.UID, Generation: p.Generation}
}
