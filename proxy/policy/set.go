// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// Set is the compiled form of all AccessPolicies that select one Connection,
// sorted by name. It is data: the controllers write it, the proxy evaluates it.
type Set struct {
	Policies []Policy `json:"policies"`
}

// Policy is one compiled AccessPolicy or ClusterAccessPolicy.
type Policy struct {
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
	// Cluster says that it is a ClusterAccessPolicy: it restricts and never allows,
	// nor does its RequireApproval let through what nothing else does.
	Cluster bool `json:"cluster,omitempty"`
	// Audit says that it decides nothing; see Decision.Audit.
	Audit    bool      `json:"audit,omitempty"`
	Subjects []Subject `json:"subjects"`
	// When are the conditions that must all hold; always, where there are none.
	When []Condition `json:"when,omitempty"`
	// Rego is a module that decides instead of Rules; empty for none.
	Rego string `json:"rego,omitempty"`
	// Claims are those of the caller's token that the module reads, sorted.
	Claims []string `json:"claims,omitempty"`
	Rules  []Rule   `json:"rules,omitempty"`
	Masks  []Mask   `json:"masks,omitempty"`
	// Limits is nil where the policy has none.
	Limits *Limits `json:"limits,omitempty"`
	// TargetRole is the role that sessions assume at the target; empty for none.
	TargetRole string `json:"targetRole,omitempty"`
}

// Concerns says whether callers whom a provider has proven can be subjects of the policy.
func (p *Policy) Concerns(provider string) bool {
	return slices.ContainsFunc(p.Subjects, func(s Subject) bool { return s.Provider == "" || s.Provider == provider })
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

// Matches says whether the rule is about an access, whatever properties it asks for.
func (r *Rule) Matches(access Access) bool {
	matches := func(glob string) bool { return Match(glob, access.Action) }
	if access.Action == ActionUnknown {
		matches = func(glob string) bool { return glob == ActionUnknown }
	}
	return slices.ContainsFunc(r.Actions, matches) &&
		(len(r.Resources) == 0 || slices.ContainsFunc(r.Resources, func(glob string) bool { return Match(glob, access.Resource) }))
}

// Rule finds a rule that a decision rests on; nil where the Set has it not, or not in that
// generation.
func (s *Set) Rule(ref RuleRef) *Rule {
	for i := range s.Policies {
		p := &s.Policies[i]
		if p.UID != ref.UID || p.Generation != ref.Generation {
			continue
		}
		for j := range p.Rules {
			if p.Rules[j].Name == ref.Rule {
				return &p.Rules[j]
			}
		}
	}
	return nil
}

// Engine evaluates one immutable Set. It is safe for concurrent use.
type Engine interface {
	// Standing is what the Set makes of a caller under circumstances. An error means
	// refuse.
	Standing(ctx context.Context, caller identity.Principal, at Circumstances) (Standing, error)
}

// Circumstances are what policies look at besides the caller and the operation.
type Circumstances struct {
	// Time is when it is decided.
	Time time.Time
	// Client is the caller's address; not valid where it is not known.
	Client netip.Addr
	// SharedCredential says that the caller's credential was found to be used from several
	// places.
	SharedCredential bool
}

// Standing is one caller's place among the policies: which apply to him, and what
// follows. It is immutable and safe for concurrent use.
type Standing interface {
	// Until is when other policies may apply to the caller, by the clock alone; zero
	// for never. From then on it must be asked for anew.
	Until() time.Time
	// Connect says whether any Allow or RequireApproval rule could apply to
	// the caller at all. A caller without one is refused the session. The
	// decision's Rules name the policies the session rests on.
	Connect(ctx context.Context) (Decision, error)
	// Decide answers for one operation. An error means refuse; one comes also
	// where now is not before Until.
	Decide(ctx context.Context, op Operation, now time.Time) (Decision, error)
	// Masks returns all masks that apply to the caller, sorted by policy and name.
	Masks() []Mask
	// AuditMasks returns the masks that would apply if policies in mode Audit were
	// enforced; nil where these are the same.
	AuditMasks() []Mask
	// Limits returns the limits of all policies that apply to the caller, sorted
	// by policy. All of them hold.
	Limits() []Limits
	// TargetRole returns the role that the caller's sessions assume at the
	// target, or none. The error is a *ConflictError where policies disagree.
	TargetRole() (string, error)
}

// About are what an Engine's decisions are about.
type About struct {
	// Namespace, Name and Labels are the Connection's, for modules of Rego.
	Namespace, Name string
	Labels          map[string]string
}

// NewEngine makes an Engine of a Set; it fails where the Set does not compile.
type NewEngine func(ctx context.Context, set Set, about About) (Engine, error)

// CacheCounter is an Engine that keeps decisions, and counts: those that it found
// again, and those that it had to evaluate, since it was made.
type CacheCounter interface {
	CacheStats() (hits, misses uint64)
}
