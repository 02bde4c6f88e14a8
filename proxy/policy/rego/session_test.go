// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
)

// TestSessionScope: a decision says which of its rules ask for an approval in advance.
func TestSessionScope(t *testing.T) {
	leads := []policy.Subject{{Kind: policy.Group, Name: "leads"}}
	held := policy.ApprovalTerms{Approvers: leads, Minimum: 1, TimeoutSeconds: 60}
	lasting := policy.ApprovalTerms{Scope: policy.ScopeSession, MaxDurationSeconds: 3600, Approvers: leads, Minimum: 1, TimeoutSeconds: 60}
	set := policy.Set{Policies: []policy.Policy{{
		Name: "oncall", UID: "u", Generation: 2, Subjects: []policy.Subject{{Kind: policy.Everyone}},
		Rules: []policy.Rule{
			{Name: "each", Effect: policy.RequireApproval, Actions: []string{"update", "delete"}, Approval: &held},
			{Name: "lasts", Effect: policy.RequireApproval, Actions: []string{"update", "insert"}, Approval: &lasting},
		},
	}}}
	rule := func(name string) policy.RuleRef {
		return policy.RuleRef{Policy: "oncall", UID: "u", Generation: 2, Rule: name}
	}
	e := engine(t, set)
	for name, tc := range map[string]struct {
		reason          string
		op              string
		sessions, rules []policy.RuleRef
		terms           int
	}{
		"Each":  {"it is held", "delete orders", nil, []policy.RuleRef{rule("each")}, 1},
		"Lasts": {"nothing is held", "insert orders", []policy.RuleRef{rule("lasts")}, nil, 0},
		"Both":  {"it needs the one to be held for the other", "update orders", []policy.RuleRef{rule("lasts")}, []policy.RuleRef{rule("each")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := decide(t.Context(), e, caller("alice"), op(tc.op))
			if err != nil || d.Effect != policy.RequireApproval {
				t.Fatalf("%+v, %v", d, err)
			}
			terms, rules := d.PerOperation()
			if diff := cmp.Diff(tc.sessions, d.Sessions) + cmp.Diff(tc.rules, rules); diff != "" || len(terms) != tc.terms {
				t.Errorf("%s: %d terms, -want +got:\n%s", tc.reason, len(terms), diff)
			}
		})
	}
	for name, broken := range map[string]policy.ApprovalTerms{
		"unknown scope":    {Scope: "session", Approvers: leads, Minimum: 1, TimeoutSeconds: 60},
		"longest duration": {Scope: policy.ScopeSession, Approvers: leads, Minimum: 1, TimeoutSeconds: 60},
	} {
		bad := set
		bad.Policies = []policy.Policy{set.Policies[0]}
		bad.Policies[0].Rules = []policy.Rule{{Name: "x", Effect: policy.RequireApproval, Actions: []string{"*"}, Approval: &broken}}
		if _, err := New(t.Context(), bad, policy.About{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("checklist 40: %s: %v, want that no engine takes it", name, err)
		}
	}
}
