// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestTruncated: checklist 37: whatever field is cut, the message says so.
func TestTruncated(t *testing.T) {
	long := strings.Repeat("a", 4096)
	cases := map[string]struct {
		reason string
		scope  v1alpha1.ApprovalScope
		event  v1alpha1.NotifierEvent
		change func(*v1alpha1.ApprovalRequest)
		want   bool
	}{
		"Operation":  {"all of it is shown", v1alpha1.ApprovalScopeOperation, "", nil, false},
		"Session":    {"all of it is shown", v1alpha1.ApprovalScopeSession, "", nil, false},
		"Statement":  {"the statement is cut", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Operation.Statement = long }, true},
		"CutByProxy": {"the proxy cut it", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Operation.Truncation = v1alpha1.TruncationTruncated }, true},
		"Access":     {"an access is cut", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Operation.Accesses[0].Resource = long }, true},
		"Accesses": {"accesses are left out", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) {
			r.Spec.Operation.Accesses = slices.Repeat(r.Spec.Operation.Accesses, maxAccesses+1)
		}, true},
		"Policies": {"rules are left out", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) {
			r.Spec.Binding.Policies = slices.Repeat(r.Spec.Binding.Policies, maxRules+1)
		}, true},
		"BoundRule": {"a rule is cut", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Binding.Policies[0].Name = long }, true},
		"Requester": {"the requester is cut", v1alpha1.ApprovalScopeOperation, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Requester.Username = long }, true},
		"Reason":    {"the reason is cut", v1alpha1.ApprovalScopeSession, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Reason = long }, true},
		"Rule":      {"a rule is cut", v1alpha1.ApprovalScopeSession, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Rules[0].Rule = long }, true},
		"Rules": {"rules are left out", v1alpha1.ApprovalScopeSession, "", func(r *v1alpha1.ApprovalRequest) {
			r.Spec.Session.Rules = slices.Repeat(r.Spec.Session.Rules, maxRules+1)
		}, true},
		"LookAlikes":     {"a letter that passes for another hides behind harmless ones", v1alpha1.ApprovalScopeSession, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Reason = "äöüßéèêç а" }, true},
		"RuleIsNarrowed": {"what a rule is narrowed to is never shown", v1alpha1.ApprovalScopeSession, "", func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Rules[0].Resources = []string{"x"} }, true},
		"Comment":        {"the comment is cut", v1alpha1.ApprovalScopeOperation, v1alpha1.NotifyDenied, func(r *v1alpha1.ApprovalRequest) { r.Spec.Decisions[0].Comment = long }, true},
		"By":             {"who revoked is cut", v1alpha1.ApprovalScopeSession, v1alpha1.NotifyRevoked, func(r *v1alpha1.ApprovalRequest) { r.Spec.Revoke.Username = long }, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := examples()[0]
			if tc.scope == v1alpha1.ApprovalScopeSession {
				r = examples()[1]
				r.Spec.Session.Reason, r.Spec.Session.Rules[0].Resources = "INC-4711", nil
				r.Spec.Revoke = &v1alpha1.Revocation{Username: "carol"}
			} else {
				r.Spec.Operation = v1alpha1.HeldOperation{Statement: "DELETE", Truncation: v1alpha1.TruncationNone, Accesses: []v1alpha1.Access{{Action: "delete", Resource: "orders"}}}
				r.Spec.Decisions[0].Comment, r.Spec.Decisions[0].Approver.Username = "", "bob"
			}
			r.Spec.Requester.Username = "alice"
			if tc.change != nil {
				tc.change(r)
			}
			event := tc.event
			if event == "" {
				event = v1alpha1.NotifyRequested
			}
			if m := newMessage(r, event, time.Unix(0, 0), v1alpha1.MarkupPlain); m.Truncated != tc.want {
				t.Errorf("%s: truncated %t, want %t", tc.reason, m.Truncated, tc.want)
			}
		})
	}
}
