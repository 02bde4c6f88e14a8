// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policytest makes policy engines of a few words, for tests of what stands on
// one.
package policytest

import (
	"context"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// Rules answer for callers, whatever the time and wherever they are. The methods are
// those of policy.Standing.
type Rules interface {
	Connect(ctx context.Context, caller identity.Principal) (policy.Decision, error)
	Decide(ctx context.Context, caller identity.Principal, op policy.Operation) (policy.Decision, error)
	Masks(caller identity.Principal) []policy.Mask
	Limits(caller identity.Principal) []policy.Limits
	TargetRole(caller identity.Principal) (string, error)
}

// Auditor are Rules with masks that would be in force if policies in mode Audit were
// enforced; nil for the same.
type Auditor interface {
	AuditMasks(caller identity.Principal) []policy.Mask
}

// Engine is a policy.Engine of Rules, which may be an Auditor.
func Engine(rules Rules) policy.Engine { return engine{rules} }

type engine struct{ Rules }

func (e engine) Standing(_ context.Context, caller identity.Principal, _ policy.Circumstances) (policy.Standing, error) {
	return standing{e.Rules, caller}, nil
}

type standing struct {
	rules  Rules
	caller identity.Principal
}

func (s standing) Until() time.Time            { return time.Time{} }
func (s standing) Masks() []policy.Mask        { return s.rules.Masks(s.caller) }
func (s standing) Limits() []policy.Limits     { return s.rules.Limits(s.caller) }
func (s standing) TargetRole() (string, error) { return s.rules.TargetRole(s.caller) }

func (s standing) AuditMasks() []policy.Mask {
	if auditor, ok := s.rules.(Auditor); ok {
		return auditor.AuditMasks(s.caller)
	}
	return nil
}

func (s standing) Connect(ctx context.Context) (policy.Decision, error) {
	return s.rules.Connect(ctx, s.caller)
}

func (s standing) Decide(ctx context.Context, op policy.Operation, _ time.Time) (policy.Decision, error) {
	return s.rules.Decide(ctx, s.caller, op)
}
