// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"

	"github.com/doorward/doorward/proxy/identity"
)

// Set is the compiled form of all AccessPolicies that select one Connection,
// sorted by name. It is data: the controllers write it, the proxy evaluates it.
type Set struct {
	Policies []Policy `json:"policies"`
}

// Policy is one compiled AccessPolicy.
type Policy struct {
	Name       string    `json:"name"`
	UID        string    `json:"uid"`
	Generation int64     `json:"generation"`
	Subjects   []Subject `json:"subjects"`
	Rules      []Rule    `json:"rules,omitempty"`
	Masks      []Mask    `json:"masks,omitempty"`
	// Limits is nil where the policy has none.
	Limits *Limits `json:"limits,omitempty"`
	// TargetRole is the role that sessions assume at the target; empty for none.
	TargetRole string `json:"targetRole,omitempty"`
}

// Subject matches callers. Kind is User or Group. Provider, where set, is the
// IdentityProvider that must have proven the caller.
type Subject struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Provider string `json:"provider,omitempty"`
}

// Rule is one compiled rule. Resources is empty where any resource, and none,
// matches; all of Properties must be present. In globs, '*' stands for any run
// of characters. The action "unknown" is matched by that very word only.
type Rule struct {
	Name       string         `json:"name"`
	Effect     Effect         `json:"effect"`
	Actions    []string       `json:"actions"`
	Resources  []string       `json:"resources,omitempty"`
	Properties []string       `json:"properties,omitempty"`
	Message    string         `json:"message,omitempty"`
	Approval   *ApprovalTerms `json:"approval,omitempty"`
}

// Engine evaluates one immutable Set. It is safe for concurrent use.
type Engine interface {
	// Connect says whether any Allow or RequireApproval rule could apply to
	// the caller at all. A caller without one is refused the session. The
	// decision's Rules name the policies the session rests on.
	Connect(ctx context.Context, caller identity.Principal) (Decision, error)
	// Decide answers for one operation. An error means refuse.
	Decide(ctx context.Context, caller identity.Principal, op Operation) (Decision, error)
	// Masks returns all masks that apply to the caller, sorted by policy and name.
	Masks(caller identity.Principal) []Mask
	// Limits returns the limits of all policies that apply to the caller, sorted
	// by policy. All of them hold.
	Limits(caller identity.Principal) []Limits
	// TargetRole returns the role that the caller's sessions assume at the
	// target, or none. The error is a *ConflictError where policies disagree.
	TargetRole(caller identity.Principal) (string, error)
}

// NewEngine makes an Engine of a Set; it fails where the Set does not compile.
type NewEngine func(ctx context.Context, set Set) (Engine, error)
