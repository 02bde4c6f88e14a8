// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"errors"
	"fmt"
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

// checkDuties refuses masks and limits that this engine does not know: one that
// did nothing would be a leak.
func checkDuties(p *policy.Policy) error {
	for i := range p.Masks {
		if err := checkMask(&p.Masks[i]); err != nil {
			return fmt.Errorf("mask %q: %w", p.Masks[i].Name, err)
		}
	}
	if p.Limits == nil {
		return nil
	}
	if p.Limits.RowsPerStatement < 0 || p.Limits.BytesPerStatement < 0 {
		return errors.New("limits: a negative bound: want 0 for none")
	}
	for _, w := range p.Limits.Windows {
		if w.Seconds < 1 || w.Rows < 0 || w.Bytes < 0 {
			return fmt.Errorf("limits: window of %d seconds: want at least 1 second and no negative bound", w.Seconds)
		}
	}
	return nil
}

func checkMask(m *policy.Mask) error {
	if len(m.Fields)+len(m.Detect) == 0 {
		return errors.New("no fields and no detectors: name at least one")
	}
	for _, glob := range m.Fields {
		if err := checkGlob(glob); err != nil {
			return err
		}
	}
	for _, name := range m.Detect {
		if !slices.Contains(policy.Detectors(), name) {
			return fmt.Errorf("unknown detector: want one of %q: %q", policy.Detectors(), name)
		}
	}
	if !slices.Contains(policy.Methods(), m.Method.Type) {
		return fmt.Errorf("unknown method: want one of %q: %q", policy.Methods(), m.Method.Type)
	}
	if m.Method.Type == policy.KeepLast && m.Method.KeepLast < 1 {
		return errors.New("KeepLast needs a count of at least 1")
	}
	return nil
}
