// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// TestCachedDecisionAllocatesNothing: whatever a known operation comes to, and also where
// policies in mode Audit have their say, an answer that is known makes no garbage.
func TestCachedDecisionAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	audit := withRule("audit", policy.Allow, "update")
	audit.Audit = true
	closed := withRule("closed", policy.Allow, "drop")
	closed.When = []policy.Condition{{Sources: []string{"192.0.2.0/24"}}}
	set := shop()
	cases := map[string]struct {
		reason string
		set    policy.Set
		op     policy.Operation
		want   policy.Effect
	}{
		"Allowed":  {reason: "an Allow rule", set: set, op: op("select public.orders"), want: policy.Allow},
		"Denied":   {reason: "a Deny rule", set: set, op: op("select public.secrets"), want: policy.Deny},
		"Unknown":  {reason: "no rule", set: set, op: op("drop public.orders"), want: policy.Deny},
		"Audited":  {reason: "policies in mode Audit come to the same", set: policy.Set{Policies: append(shop().Policies, audit)}, op: op("select public.orders"), want: policy.Allow},
		"Caused":   {reason: "no rule, and a policy that is not in force", set: policy.Set{Policies: append(shop().Policies, closed)}, op: op("drop public.orders"), want: policy.Deny},
		"Approval": {reason: "an approval is asked for", set: policy.Set{Policies: append(shop().Policies, withApproval("ask", "grant"))}, op: op("grant public.orders"), want: policy.RequireApproval},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := stands(t, engine(t, tc.set), caller("alice", "analysts"))
			work := func() {
				if got, err := s.Decide(t.Context(), tc.op, noon); err != nil || got.Effect != tc.want {
					t.Fatalf("%s: Decide = %+v, %v, want %s", tc.reason, got, err, tc.want)
				}
			}
			if n := testing.AllocsPerRun(100, work); n > 0 {
				t.Errorf("%s: %.1f allocations for each cached decision, want none", tc.reason, n)
			}
		})
	}
}

// withApproval is a policy for analysts by which an action needs an approval.
func withApproval(name, action string) policy.Policy {
	p := withRule(name, policy.RequireApproval, action)
	p.Rules[0].Approval = &leads
	return p
}
