// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy decides. It defines the Operation a protocol asks about, the
// Decision that comes back, the compiled form of AccessPolicies, and the Engine
// that evaluates them. Everything here is pure: no I/O and no clock.
package policy

import "slices"

// Access is one thing an operation does: an action on a resource, in the words
// of the protocol's vocabulary. Resource is empty where the action has none.
type Access struct {
	Action   string `json:"action"`
	Resource string `json:"resource,omitempty"`
	// Indirect says that the caller did not name it: it is reached through a view,
	// a rule or inheritance. Such an access needs no Allow, but Deny and
	// RequireApproval hold for it. The action "unknown" always needs its Allow.
	Indirect bool `json:"indirect,omitempty"`
}

// ActionUnknown is what a protocol could not read. No pattern matches it.
const ActionUnknown = "unknown"

// NeedsAllow says whether the access must be allowed by a rule of its own.
func (a Access) NeedsAllow() bool { return !a.Indirect || a.Action == ActionUnknown }

// Operation is what is decided: every Access that is not indirect must be
// allowed, and there must be one.
//
// Accesses and Properties are sorted and without duplicates, so that equal
// operations have equal keys.
type Operation struct {
	Accesses   []Access
	Properties []string
}

// Effect is what a rule does, and what an operation comes to.
type Effect string

// The effects, weakest first; Deny wins over RequireApproval over Allow.
const (
	Allow           Effect = "Allow"
	RequireApproval Effect = "RequireApproval"
	Deny            Effect = "Deny"
)

// RuleRef names the rule that decided. The zero value means that no rule
// matched (default deny).
type RuleRef struct {
	// Cluster says that Policy is a ClusterAccessPolicy.
	Cluster    bool   `json:"cluster,omitempty"`
	Policy     string `json:"policy,omitempty"`
	UID        string `json:"uid,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	Rule       string `json:"rule,omitempty"`
}

// Decision is the engine's answer to one Operation for one caller.
// It is shared between callers of the cache: never modify one.
type Decision struct {
	Effect Effect
	// Rules are the rules the effect rests on, one per distinct rule, sorted:
	// for Deny and RequireApproval those that demand it, for Allow those that
	// allow each access. Empty with Effect Deny means default deny.
	Rules []RuleRef
	// Access is the first access that was refused or needs approval.
	Access Access
	// Message is the admin's text for the caller; may be empty.
	Message string
	// Cause is why it came to a Deny, where Rules do not say it: why a policy could not
	// decide, and so refuses, or, where no rule let it through, why policies that are about
	// the caller did not. It is for operators, never for the caller; may be empty.
	Cause string
	// Approval holds the terms where Effect is RequireApproval: the union of
	// the approver lists is not enough for anyone, so each entry must be met.
	Approval []ApprovalTerms
	// Sessions are those of Rules whose approval is of scope Session: each must have one
	// before the operation is asked about, which is never held for it.
	Sessions []RuleRef
	// Audit is what it would come to if policies in mode Audit were enforced; nil
	// where that is the same.
	Audit *Decision
}

// ScopeSession is the scope of an approval that is asked for in advance and lasts for a
// time; without a scope it is for one operation.
const ScopeSession = "Session"

// ApprovalTerms says what an approval is for, who may give it, how many must, and how long
// it may take.
type ApprovalTerms struct {
	// Scope is ScopeSession, or empty for one operation.
	Scope string `json:"scope,omitempty"`
	// MaxDurationSeconds is how long an approval of ScopeSession may last.
	MaxDurationSeconds int32 `json:"maxDurationSeconds,omitempty"`

	Approvers      []Subject `json:"approvers"`
	Minimum        int32     `json:"minimum"`
	TimeoutSeconds int32     `json:"timeoutSeconds"`

	// BreakGlass says who may go ahead without approvals; nil for nobody.
	BreakGlass *BreakGlass `json:"breakGlass,omitempty"`
}

// BreakGlass names who may go ahead without approvals, as the API server knows them, and
// for how long at most.
type BreakGlass struct {
	Subjects           []Subject `json:"subjects"`
	MaxDurationSeconds int32     `json:"maxDurationSeconds"`
}

// PerOperation are the terms and the rules for which an operation is held.
func (d *Decision) PerOperation() (terms []ApprovalTerms, rules []RuleRef) {
	for _, t := range d.Approval {
		if t.Scope != ScopeSession {
			terms = append(terms, t)
		}
	}
	for _, rule := range d.Rules {
		if !slices.Contains(d.Sessions, rule) {
			rules = append(rules, rule)
		}
	}
	return terms, rules
}
