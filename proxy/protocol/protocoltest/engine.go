// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package protocoltest

import (
	"context"
	"slices"
	"sync"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/policy/policytest"
)

// Engine decides by a function; nil allows everything.
type Engine struct {
	mu     sync.Mutex
	decide func(policy.Operation) policy.Decision
	masks  []policy.Mask
	limits []policy.Limits
	role   string
	refuse bool
	audit  []policy.Mask
}

// Set changes what is decided from the next Apply on.
func (e *Engine) Set(decide func(policy.Operation) policy.Decision, masks ...policy.Mask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.decide, e.masks = decide, masks
}

// Limit bounds what is returned from the next Apply on.
func (e *Engine) Limit(limits ...policy.Limits) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.limits = limits
}

// Audit sets masks of policies in mode Audit from the next Apply on, beside those in
// force.
func (e *Engine) Audit(masks ...policy.Mask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.audit = masks
}

// SetTargetRole changes the role at the target from the next Apply on.
func (e *Engine) SetTargetRole(role string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.role = role
}

// RefuseConnect makes the next Apply take away every right.
func (e *Engine) RefuseConnect() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse = true
}

func (e *Engine) freeze() policytest.Rules {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := &frozen{decide: e.decide, masks: slices.Clone(e.masks), limits: slices.Clone(e.limits), role: e.role, refuse: e.refuse}
	if len(e.audit) > 0 {
		f.audit = slices.Concat(e.masks, e.audit)
	}
	return f
}

type frozen struct {
	decide func(policy.Operation) policy.Decision
	masks  []policy.Mask
	limits []policy.Limits
	role   string
	refuse bool
	audit  []policy.Mask
}

// Rule is the rule that the fake engine names.
var Rule = policy.RuleRef{Policy: "test", UID: "uid-test", Generation: 1, Rule: "rule"}

// DenyAction denies every operation with an access of the action and allows the rest.
func DenyAction(action string) func(policy.Operation) policy.Decision {
	return decideAction(action, policy.Decision{Effect: policy.Deny, Rules: []policy.RuleRef{Rule}, Message: "not today"})
}

// HoldAction asks for approval of every operation with an access of the action.
func HoldAction(action string) func(policy.Operation) policy.Decision {
	return decideAction(action, policy.Decision{
		Effect: policy.RequireApproval, Rules: []policy.RuleRef{Rule},
		Approval: []policy.ApprovalTerms{{Minimum: 1, TimeoutSeconds: 600}},
	})
}

func decideAction(action string, decision policy.Decision) func(policy.Operation) policy.Decision {
	return func(op policy.Operation) policy.Decision {
		for _, a := range op.Accesses {
			if a.Action == action {
				decision.Access = a
				return decision
			}
		}
		return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{Rule}}
	}
}

func (f *frozen) Connect(context.Context, identity.Principal) (policy.Decision, error) {
	if f.refuse {
		return policy.Decision{Effect: policy.Deny}, nil
	}
	return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{Rule}}, nil
}

func (f *frozen) Decide(_ context.Context, _ identity.Principal, op policy.Operation) (policy.Decision, error) {
	if f.refuse {
		return policy.Decision{Effect: policy.Deny}, nil
	}
	if f.decide == nil {
		return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{Rule}}, nil
	}
	return f.decide(op), nil
}

func (f *frozen) Masks(identity.Principal) []policy.Mask { return f.masks }

func (f *frozen) AuditMasks(identity.Principal) []policy.Mask { return f.audit }

func (f *frozen) Limits(identity.Principal) []policy.Limits { return f.limits }

func (f *frozen) TargetRole(identity.Principal) (string, error) { return f.role, nil }
