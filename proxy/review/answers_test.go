// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package review_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/review/wire"
	"github.com/doorward/doorward/proxy/server"
)

// shop are policies with everything that answers are made of. The names of policies,
// rules, masks and people in them are canaries: no answer shows one.
func shop() []policy.Policy {
	group := func(kind, name string) []policy.Subject { return []policy.Subject{{Kind: kind, Name: name}} }
	return []policy.Policy{
		{
			Name: "canary-analysts", UID: "p-1", Generation: 1, Subjects: group(policy.Group, "analysts"),
			Rules: []policy.Rule{
				{Name: "canary-read", Effect: policy.Allow, Actions: []string{"select"}, Resources: []string{"public.*"}},
				{
					Name: "canary-write", Effect: policy.RequireApproval, Actions: []string{"update"}, Resources: []string{"public.orders"}, Message: "changes to orders are looked at",
					Approval: &policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: policy.User, Name: "canary-carol"}}, Minimum: 1, TimeoutSeconds: 60},
				},
			},
			Masks: []policy.Mask{
				{Policy: "canary-analysts", Name: "canary-cards", Fields: []string{"public.orders.card", "canary.else.where"}, Method: policy.Method{Type: policy.KeepLast, KeepLast: 4}},
				{Policy: "canary-analysts", Name: "canary-else", Fields: []string{"canary.other.field"}, Method: policy.Method{Type: policy.Null}},
				{Policy: "canary-analysts", Name: "canary-mail", Detect: []string{"Email"}, Method: policy.Method{Type: policy.Redact}},
			},
			Limits: &policy.Limits{RowsPerStatement: 1000, SessionSeconds: 300, Windows: []policy.Window{{Seconds: 60, Rows: 5000}}},
		},
		{
			Name: "canary-floor", UID: "p-2", Generation: 1, Cluster: true, Subjects: []policy.Subject{{Kind: policy.Everyone}},
			Rules: []policy.Rule{
				{Name: "canary-secrets", Effect: policy.Deny, Actions: []string{"*"}, Resources: []string{"public.canary_secrets"}, Message: "secrets stay where they are"},
				{Name: "canary-drop", Effect: policy.Deny, Actions: []string{"drop"}, Resources: []string{"canary.elsewhere"}},
			},
		},
		{
			Name: "canary-alice", UID: "p-3", Generation: 1, Subjects: group(policy.User, "alice"),
			Rules: []policy.Rule{{Name: "canary-alice", Effect: policy.Deny, Actions: []string{"select"}, Resources: []string{"public.payroll"}, Message: "not you"}},
		},
		{
			Name: "canary-bots", UID: "p-4", Generation: 1, Subjects: group(policy.OnBehalfOfGroup, "analysts"),
			Rules: []policy.Rule{{Name: "canary-bot", Effect: policy.Allow, Actions: []string{"select"}, Resources: []string{"public.*"}}},
		},
		{
			Name: "canary-next", UID: "p-5", Generation: 1, Audit: true, Subjects: []policy.Subject{{Kind: policy.Everyone}},
			Rules: []policy.Rule{{Name: "canary-audit", Effect: policy.Deny, Actions: []string{"*"}}},
		},
	}
}

func actor(subject string) map[string]any {
	return map[string]any{"act": map[string]any{"sub": subject}, "kind": string(identity.Agent)}
}

// TestAnswers: an operation is answered as a session would have it decided, with what
// the rule says, what is masked and what limits there are, and with no word of whose
// policy it is. Each answer is on record, with the rule.
func TestAnswers(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	masks := []wire.Mask{{Detect: []string{"Email"}}, {Fields: []string{"public.orders.card"}}}
	limits := wire.Limits{SessionSeconds: 300, RowsPerStatement: 1000, Windows: []wire.Window{{Seconds: 60, Rows: 5000}}}
	cases := map[string]struct {
		reason   string
		token    string
		accesses []wire.Access
		want     wire.AccessStatus
		rule     string
	}{
		"Allowed": {
			"masks of what was asked about are named by field, the others not at all", h.token("bob"),
			[]wire.Access{{Action: "select", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "Allow", Masks: masks, Limits: limits},
			"canary-read",
		},
		"Approval": {
			"nobody is named who could approve", h.token("bob"),
			[]wire.Access{{Action: "update", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "RequireApproval", Approvals: []string{"Operation"}, Message: "changes to orders are looked at", Masks: masks, Limits: limits},
			"canary-write",
		},
		"Denied": {
			"the rule speaks, and is not named", h.token("bob"),
			[]wire.Access{{Action: "select", Resource: "public.canary_secrets"}, {Action: "select", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "Deny", Reason: "Denied", Message: "secrets stay where they are"},
			"canary-secrets",
		},
		"NotAllowed": {
			"nothing allows it", h.token("bob"), []wire.Access{{Action: "delete", Resource: "public.orders"}}, wire.AccessStatus{Effect: "Deny", Reason: "NotAllowed"}, "",
		},
		"Person": {
			"a rule about one person is about her", h.token("alice"),
			[]wire.Access{{Action: "select", Resource: "public.payroll"}},
			wire.AccessStatus{Effect: "Deny", Reason: "Denied", Message: "not you"},
			"canary-alice",
		},
		"RestrictedPersonThroughAgent": {
			"what restricts somebody binds whoever acts for her", h.token("alice", actor("assistant")),
			[]wire.Access{{Action: "select", Resource: "public.payroll"}},
			wire.AccessStatus{Effect: "Deny", Reason: "Denied", Message: "not you"},
			"canary-alice",
		},
		"Agent": {
			"an agent has what is permitted to agents", h.token("bob", actor("assistant")),
			[]wire.Access{{Action: "select", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "Allow", Masks: masks, Limits: limits},
			"canary-bot",
		},
		"AgentNotPerson": {
			"and not what is permitted to the person", h.token("bob", actor("assistant")),
			[]wire.Access{{Action: "update", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "Deny", Reason: "NotAllowed"},
			"",
		},
		"Stranger": {
			"who may not have a session hears that, whatever he asks", h.token("eve", map[string]any{"groups": []string{}}),
			[]wire.Access{{Action: "select", Resource: "public.orders"}},
			wire.AccessStatus{Effect: "Deny", Reason: "NotAllowed"},
			"",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(h.log.OfType(record.AccessReviewed))
			got, raw := h.ask(tc.token, tc.accesses...)
			if raw.code != http.StatusOK || got == nil {
				t.Fatalf("%s: %d %s", tc.reason, raw.code, raw.body)
			}
			until := got.Until
			got.Until = time.Time{}
			tc.want.Connection = wire.Connection{Namespace: "data", Name: "shop"}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if left := time.Until(until); name != "Stranger" && (left <= 0 || left > 5*time.Minute) {
				t.Errorf("a session would last until %v, want within spec.session and the policy's 300 s", until)
			}
			// What the caller asked is his own word, and may hold anything.
			if answer := strings.ReplaceAll(string(raw.body), "public.canary_secrets", ""); strings.Contains(answer, "canary") {
				t.Errorf("the answer names what is not the caller's: %s", answer)
			}
			reviews := h.log.OfType(record.AccessReviewed)
			if len(reviews) != before+1 {
				t.Fatalf("%d records of one question", len(reviews)-before)
			}
			event := reviews[before]
			rule := ""
			if len(event.Decision.Rules) > 0 {
				rule = event.Decision.Rules[0].Rule
			}
			if string(event.Decision.Effect) != got.Effect || rule != tc.rule || event.Actor == nil || event.Operation.Accesses[0].Action != tc.accesses[0].Action ||
				!strings.HasPrefix(event.ClientAddress, "127.0.0.1:") || event.Revision != 1 || event.Session != "" {
				t.Errorf("on record: %+v by %+v", event, event.Decision)
			}
		})
	}
	for _, event := range h.log.Events() {
		if event.Type == record.SessionStart || event.Type == record.OperationDecided || event.Type == record.OperationHeld {
			t.Errorf("a question left a %s", event.Type)
		}
	}
}

// TestLists: without an operation, whether there may be a session and what rules permit.
func TestLists(t *testing.T) {
	h := newHouse(t, server.Options{}, shop()...)
	got, raw := h.list(h.token("bob"))
	if raw.code != http.StatusOK {
		t.Fatalf("%d %s", raw.code, raw.body)
	}
	want := &wire.RulesStatus{
		Connection: wire.Connection{Namespace: "data", Name: "shop"}, Connect: "Allow",
		Rules: []wire.Rule{
			{Effect: "Allow", Actions: []string{"select"}, Resources: []string{"public.*"}},
			{Effect: "RequireApproval", Actions: []string{"update"}, Resources: []string{"public.orders"}},
		},
		Restricted: true, // by the floor; of what, is not his to read
		Masks:      []wire.Mask{{Detect: []string{"Email"}}, {Fields: []string{"public.orders.card"}}},
		Limits:     wire.Limits{SessionSeconds: 300, RowsPerStatement: 1000, Windows: []wire.Window{{Seconds: 60, Rows: 5000}}},
	}
	got.Until = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if strings.Contains(string(raw.body), "canary") {
		t.Errorf("the list names what is not the caller's: %s", raw.body)
	}
	if got, _ := h.list(h.token("eve", map[string]any{"groups": []string{}})); got.Connect != "Deny" || got.Reason != "NotAllowed" || len(got.Rules) != 0 || !got.Until.IsZero() {
		t.Errorf("to a stranger: %+v", got)
	}
	if events := h.log.OfType(record.AccessReviewed); len(events) != 2 || events[0].Operation != nil || events[0].Decision.Effect != policy.Allow || events[1].Decision.Effect != policy.Deny {
		t.Errorf("on record: %+v", events)
	}
	// A module decides by a program, which no list can show.
	module := policy.Policy{
		Name: "module", UID: "p-6", Generation: 1, Subjects: []policy.Subject{{Kind: policy.Everyone}},
		Rego: "package custom\n\nimport rego.v1\n\neffect := \"Allow\"\n",
	}
	h.apply(append(shop(), module)...)
	if got, raw := h.list(h.token("bob")); got == nil || !got.Incomplete {
		t.Errorf("with a module: %d %s", raw.code, raw.body)
	}
}

// TestConflictingRoles: policies that name different roles refuse the session; neither
// they nor the roles are named.
func TestConflictingRoles(t *testing.T) {
	policies := shop()
	policies[0].TargetRole, policies[2].TargetRole = "canary_role", "canary_other"
	policies[2].Rules[0].Effect = policy.Allow
	h := newHouse(t, server.Options{}, policies...)
	got, raw := h.ask(h.token("alice"), wire.Access{Action: "select", Resource: "public.orders"})
	if got == nil || got.Effect != "Deny" || got.Reason != "TargetRoleConflict" || strings.Contains(string(raw.body), "canary") {
		t.Errorf("%d %s", raw.code, raw.body)
	}
}
