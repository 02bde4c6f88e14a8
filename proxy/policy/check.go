// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxGlob bounds a glob, in bytes, well above what the API admits.
const MaxGlob = 4096

// Check says what is wrong with a compiled policy, but for its module of Rego. An Engine
// takes no Set with such a policy, and a proxy then goes on with the Set that it has; so
// whoever publishes one asks before.
func (p *Policy) Check() error {
	if len(p.Subjects) == 0 {
		return errors.New("no subjects: name at least one")
	}
	for i := range p.Subjects {
		if err := checkSubject(&p.Subjects[i]); err != nil {
			return err
		}
	}
	if err := checkDuties(p); err != nil {
		return err
	}
	for i := range p.When {
		if err := checkCondition(&p.When[i]); err != nil {
			return err
		}
	}
	if p.Rego != "" && (p.Cluster || len(p.Rules) > 0) {
		return errors.New("a module belongs to an AccessPolicy without rules")
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if err := checkRule(r); err != nil {
			return fmt.Errorf("rule %q: %w", r.Name, err)
		}
		if p.Cluster && r.Effect == Allow {
			return fmt.Errorf("rule %q: a ClusterAccessPolicy allows nothing", r.Name)
		}
	}
	return nil
}

// checkSubject refuses what matches nobody, or more than it says.
func checkSubject(s *Subject) error {
	if !slices.Contains(SubjectKinds(), s.Kind) {
		return fmt.Errorf("unknown kind of subject: want one of %q: %q", SubjectKinds(), s.Kind)
	}
	named := slices.Contains([]string{User, Group, Claim, Actor, OnBehalfOfUser, OnBehalfOfGroup}, s.Kind)
	if named && s.Name == "" {
		return fmt.Errorf("subject without a name: kind %q", s.Kind)
	}
	if !named && s.Name != "" {
		return fmt.Errorf("subject of kind %q has no name: %q", s.Kind, s.Name)
	}
	if (s.Kind == Claim) != (len(s.Values) > 0) {
		return fmt.Errorf("subject of kind %q has values, or lacks them", s.Kind)
	}
	for _, glob := range s.Values {
		if err := CheckGlob(glob); err != nil {
			return err
		}
	}
	if (s.Kind == AllOf) != (len(s.All) > 0) {
		return fmt.Errorf("subject of kind %q has parts, or lacks them", s.Kind)
	}
	for i := range s.All {
		part := &s.All[i]
		if part.Kind == AllOf || part.Provider != "" {
			return fmt.Errorf("a part of %s is one subject without a provider of its own: kind %q", AllOf, part.Kind)
		}
		if err := checkSubject(part); err != nil {
			return err
		}
	}
	return nil
}

// checkDuties refuses masks and limits that this engine does not know: one that
// did nothing would be a leak.
func checkDuties(p *Policy) error {
	for i := range p.Masks {
		if err := checkMask(&p.Masks[i]); err != nil {
			return fmt.Errorf("mask %q: %w", p.Masks[i].Name, err)
		}
	}
	if p.Limits == nil {
		return nil
	}
	l := p.Limits
	if min(l.RowsPerStatement, l.BytesPerStatement, l.SessionSeconds, l.IdleSeconds, l.ConcurrentSessions) < 0 || l.OutliveTokenSeconds < EndsWithToken {
		return errors.New("limits: a negative bound: want 0 for none")
	}
	for _, w := range p.Limits.Windows {
		if w.Seconds < 1 || min(w.Rows, w.Bytes, w.Operations) < 0 {
			return fmt.Errorf("limits: window of %d seconds: want at least 1 second and no negative bound", w.Seconds)
		}
	}
	return nil
}

func checkMask(m *Mask) error {
	if len(m.Fields)+len(m.Detect) == 0 {
		return errors.New("no fields and no detectors: name at least one")
	}
	for i := range m.Exempt {
		if err := checkSubject(&m.Exempt[i]); err != nil {
			return fmt.Errorf("exempt: %w", err)
		}
	}
	for _, glob := range m.Fields {
		if err := CheckGlob(glob); err != nil {
			return err
		}
	}
	for _, name := range m.Detect {
		if !slices.Contains(Detectors(), name) {
			return fmt.Errorf("unknown detector: want one of %q: %q", Detectors(), name)
		}
	}
	if !slices.Contains(Methods(), m.Method.Type) {
		return fmt.Errorf("unknown method: want one of %q: %q", Methods(), m.Method.Type)
	}
	if m.Method.Type == KeepLast && m.Method.KeepLast < 1 {
		return errors.New("KeepLast needs a count of at least 1")
	}
	return nil
}

func checkRule(r *Rule) error {
	switch r.Effect {
	case Allow, Deny:
		if r.Approval != nil {
			return fmt.Errorf("approval terms belong to effect %s only: effect is %q", RequireApproval, r.Effect)
		}
	case RequireApproval:
		if r.Approval == nil || len(r.Approval.Approvers) == 0 || r.Approval.Minimum < 1 || r.Approval.TimeoutSeconds < 1 {
			return fmt.Errorf("effect %s needs approvers, a minimum and a timeout of at least 1", RequireApproval)
		}
		if r.Approval.Scope != "" && r.Approval.Scope != ScopeSession {
			return fmt.Errorf("unknown scope of approval: want %s, or none for one operation: %q", ScopeSession, r.Approval.Scope)
		}
		if (r.Approval.Scope == ScopeSession) != (r.Approval.MaxDurationSeconds > 0) {
			return fmt.Errorf("an approval of scope %s, and no other, has a longest duration", ScopeSession)
		}
		for _, s := range r.Approval.Approvers {
			if (s.Kind != User && s.Kind != Group) || s.Name == "" {
				return fmt.Errorf("an approver has the kind %s or %s, and a name: %q %q", User, Group, s.Kind, s.Name)
			}
		}
		if err := checkBreakGlass(r.Approval.BreakGlass); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown effect: want %s, %s or %s: %q", Allow, RequireApproval, Deny, r.Effect)
	}
	if len(r.Actions) == 0 {
		return fmt.Errorf("no actions: name at least one, %q for any", "*")
	}
	for _, glob := range slices.Concat(r.Actions, r.Resources) {
		if err := CheckGlob(glob); err != nil {
			return err
		}
	}
	if slices.Contains(r.Actions, "") || slices.Contains(r.Properties, "") {
		return errors.New("empty action or property: remove it")
	}
	return nil
}

// CheckGlob refuses globs that two matchers could read differently: RE2 takes every byte
// that is not UTF-8 for U+FFFD.
func CheckGlob(glob string) error {
	if !utf8.ValidString(glob) || strings.ContainsRune(glob, utf8.RuneError) {
		return fmt.Errorf("invalid glob: not UTF-8, or holds U+FFFD: %q", glob)
	}
	if len(glob) > MaxGlob {
		return fmt.Errorf("invalid glob: %d bytes, at most %d are allowed", len(glob), MaxGlob)
	}
	return nil
}

func checkBreakGlass(b *BreakGlass) error {
	if b == nil {
		return nil
	}
	if len(b.Subjects) == 0 || b.MaxDurationSeconds < 1 {
		return errors.New("going ahead without approvals needs subjects and a longest duration")
	}
	for _, s := range b.Subjects {
		if (s.Kind != User && s.Kind != Group) || s.Name == "" {
			return fmt.Errorf("who may go ahead without approvals has the kind %s or %s, and a name: %q %q", User, Group, s.Kind, s.Name)
		}
	}
	return nil
}
