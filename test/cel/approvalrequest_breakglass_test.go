// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// goneAhead is a request of break-glass that the manager put in force, and that came to a phase.
func goneAhead(t *testing.T, phase string, conditions ...any) *unstructured.Unstructured {
	t.Helper()
	object := askForSession(t, as(requesterUser, "analysts"), edits{"spec.session.breakGlass": "Declared"})
	putInForce(t, object, phase, conditions...)
	return object
}

func putInForce(t *testing.T, object *unstructured.Unstructured, phase string, conditions ...any) {
	t.Helper()
	acceptSession(t, object, phase)
	current := reload(t, object)
	set(current, "status.breakGlass", map[string]any{"reasonDigest": digest, "enforcement": strings.Repeat("a", 64)})
	set(current, "status.conditions", conditions)
	if err := as(managerUser).Status().Update(t.Context(), current); err != nil {
		t.Fatalf("the manager cannot write the status: %v", err)
	}
}

func reviewedBy(name string, more ...string) map[string]any {
	groups := make([]any, len(more))
	for i := range more {
		groups[i] = more[i]
	}
	return map[string]any{"username": name, "groups": groups}
}

// checklist 31, 32: a review is by somebody else, entitled, as the API server authenticated
// them, afterwards, of this.
func TestBreakGlassReview(t *testing.T) {
	review := func(change map[string]any) []map[string]any {
		value := map[string]any{"reason": "seen", "operationDigest": digest}
		for k, v := range change {
			value[k] = v
		}
		return []map[string]any{{"op": "add", "path": "/spec/review", "value": value}}
	}
	bob := func() client.Client { return as("company:bob", "shop-leads") }
	cases := map[string]struct {
		reason string
		user   client.Client
		phase  string
		ops    []map[string]any
		want   string
	}{
		"Approver":     {reason: "an approver by group", user: bob(), phase: "Expired", ops: review(nil)},
		"Revoked":      {reason: "also of what was ended before its time", user: bob(), phase: "Revoked", ops: review(nil)},
		"Honest":       {reason: "an honest stamp is left alone", user: bob(), phase: "Expired", ops: review(map[string]any{"reviewer": reviewedBy("company:bob", "shop-leads", "system:authenticated")})},
		"Forged":       {reason: "checklist 31: a forged reviewer", user: bob(), phase: "Expired", ops: review(map[string]any{"reviewer": reviewedBy("company:carol", "shop-leads", "system:authenticated")}), want: "must be the user who makes the review"},
		"ForgedGroups": {reason: "checklist 31: forged groups", user: bob(), phase: "Expired", ops: review(map[string]any{"reviewer": reviewedBy("company:bob", "security", "system:authenticated")}), want: "must be the user who makes the review"},
		"Requester":    {reason: "checklist 32: the requester is named, entitled, and refused", user: as(requesterUser, "shop-leads"), phase: "Expired", ops: review(nil), want: "requester and reviewer must differ"},
		"NotNamed":     {reason: "the policy does not name the group", user: as("company:mallory", "others"), phase: "Expired", ops: review(nil), want: "not among the approvers"},
		"Proxy":        {reason: "checklist 32: no proxy", user: as(proxyUser, "shop-leads"), phase: "Expired", ops: review(nil), want: "cannot review"},
		"TooEarly":     {reason: "it goes on", user: bob(), phase: "Approved", ops: review(nil), want: "it is not over"},
		"OtherDigest":  {reason: "checklist 34: it is of exactly this", user: bob(), phase: "Expired", ops: review(map[string]any{"operationDigest": otherDigest}), want: "operationDigest of the review must equal"},
		"NoReason":     {reason: "it says what it came to", user: bob(), phase: "Expired", ops: review(map[string]any{"reason": ""}), want: "should be at least 1 chars long"},
		"LongReason":   {reason: "checklist 38: within bounds", user: bob(), phase: "Expired", ops: review(map[string]any{"reason": longText(1025)}), want: "Too long"},
		"Bidi":         {reason: "checklist 37: it deceives nobody", user: bob(), phase: "Expired", ops: review(map[string]any{"reason": "\u202eenif"}), want: "should match"},
		"WithRevoke": {
			reason: "not together with anything else", user: bob(), phase: "Approved", want: "spec.review can be set once, alone",
			ops: append(review(nil), map[string]any{"op": "add", "path": "/spec/revoke", "value": map[string]any{"reason": "done"}}),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.reason, patch(t, tc.user, goneAhead(t, tc.phase), tc.ops), tc.want)
		})
	}
	t.Run("Stamp", func(t *testing.T) {
		object := goneAhead(t, "Expired")
		expect(t, "review", patch(t, bob(), object, review(nil)), "")
		diff(t, "reviewer", any(reviewedBy("company:bob", "shop-leads", "system:authenticated")), field(reload(t, object).Object, "spec.review.reviewer"))
		expect(t, "it stays", patch(t, bob(), object, []map[string]any{{"op": "remove", "path": "/spec/review"}}), "cannot be taken back")
		expect(t, "as it is", patch(t, as("company:dora", "shop-leads"), object, review(nil)), "can be set once, alone")
	})
	t.Run("Again", func(t *testing.T) {
		void := map[string]any{"type": "Reviewed", "status": "False", "reason": "AdmissionNotEnforced", "message": "", "lastTransitionTime": "2027-01-01T00:00:00Z"}
		object := goneAhead(t, "Expired", void)
		expect(t, "review", patch(t, bob(), object, review(nil)), "")
		expect(t, "one that does not count is replaced", patch(t, bob(), object, review(map[string]any{"reason": "seen again"})), "")
	})
	t.Run("Nothing", func(t *testing.T) {
		object := askForSession(t, as(requesterUser, "analysts"), nil)
		acceptSession(t, object, "Expired")
		expect(t, "what was approved needs none", patch(t, bob(), object, review(nil)), "review is forbidden unless session.breakGlass is Declared")
	})
	t.Run("NeverInForce", func(t *testing.T) {
		object := askForSession(t, as(requesterUser, "analysts"), edits{"spec.session.breakGlass": "Declared"})
		acceptSession(t, object, "Void")
		expect(t, "what never was in force needs none", patch(t, bob(), object, review(nil)), "there is nothing to review")
	})
}

// What a request to go ahead without approvals may say; checklist 38: all of it is bounded.
func TestBreakGlassRequest(t *testing.T) {
	rule := func(change map[string]any) []any {
		value := map[string]any{"kind": "AccessPolicy", "policy": "on-call", "rule": "incident"}
		for k, v := range change {
			value[k] = v
		}
		return []any{value}
	}
	texts := func(n, size int) []any {
		all := make([]any, n)
		for i := range all {
			all[i] = strings.Repeat("a", size-1) + string(rune('a'+i))
		}
		return all
	}
	many := func(n int) []any {
		var all []any
		for i := range n {
			all = append(all, rule(map[string]any{"rule": "r" + string(rune('a'+i))})...)
		}
		return all
	}
	for name, tc := range map[string]struct {
		reason  string
		changes edits
		want    string
	}{
		"Declared":      {reason: "everybody may declare it", changes: edits{"spec.session.breakGlass": "Declared"}},
		"Typo":          {reason: "checklist 40: a typo is an error", changes: edits{"spec.session.breakGlass": "declared"}, want: "Unsupported value"},
		"Later":         {reason: "it begins at once", changes: edits{"spec.session.breakGlass": "Declared", "spec.session.notBefore": "2027-01-01T00:00:00Z"}, want: "notBefore is forbidden"},
		"NoReason":      {reason: "it has a reason", changes: edits{"spec.session.breakGlass": "Declared", "spec.session.reason": absent{}}, want: "spec.session.reason"},
		"WithReview":    {reason: "it is not born reviewed", changes: edits{"spec.session.breakGlass": "Declared", "spec.review": map[string]any{"reason": "x", "operationDigest": digest}}, want: "review must be absent on create"},
		"Rules":         {reason: "eight rules", changes: edits{"spec.session.rules": many(8)}},
		"ManyRules":     {reason: "and no more", changes: edits{"spec.session.rules": many(9)}, want: "must have at most 8 items"},
		"ManyActions":   {reason: "16 globs of actions", changes: edits{"spec.session.rules": rule(map[string]any{"actions": texts(17, 8)})}, want: "must have at most 16 items"},
		"LongResource":  {reason: "of 256 characters each", changes: edits{"spec.session.rules": rule(map[string]any{"resources": texts(1, 257)})}, want: "Too long"},
		"MuchTogether":  {reason: "and of 4096 together", changes: edits{"spec.session.rules": rule(map[string]any{"actions": texts(1, 2), "resources": texts(16, 256)})}, want: "at most 4096 characters together"},
		"Issuer":        {reason: "what a requester says of an issuer is a URL", changes: edits{"spec.requester": map[string]any{"issuer": "https://login.shop.example"}}},
		"IssuerEscape":  {reason: "checklist 37: that draws on no terminal", changes: edits{"spec.requester": map[string]any{"issuer": "https://login\u202e.example"}}, want: "requester.issuer is an https URL"},
		"IssuerPlain":   {reason: "over TLS", changes: edits{"spec.requester": map[string]any{"issuer": "http://login.example"}}, want: "requester.issuer is an https URL"},
		"SubjectEscape": {reason: "checklist 37: nor does the subject", changes: edits{"spec.requester": map[string]any{"subject": "a\x1b[2K"}}, want: "requester.subject has no control"},
		"Subject":       {reason: "which is a text", changes: edits{"spec.requester": map[string]any{"subject": "Ünal|4711 x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.reason, as(requesterUser, "analysts").Create(t.Context(), edited(sample("approvalrequest_session.yaml"), tc.changes), client.DryRunAll), tc.want)
		})
	}
}

// Who may go ahead without approvals is named, and for how long.
func TestBreakGlassTerms(t *testing.T) {
	terms := func(breakGlass map[string]any) edits {
		return edits{"spec.rules.2.approval": map[string]any{
			"approvers": []any{map[string]any{"kind": "Group", "name": "shop-leads"}}, "minimum": int64(1), "timeoutSeconds": int64(600), "breakGlass": breakGlass,
		}}
	}
	named := func(kind, name string) []any { return []any{map[string]any{"kind": kind, "name": name}} }
	for name, tc := range map[string]struct {
		reason     string
		breakGlass map[string]any
		want       string
	}{
		"Group":     {reason: "a group", breakGlass: map[string]any{"subjects": named("Group", "on-call"), "maxDurationSeconds": int64(900)}},
		"Everybody": {reason: "not everybody", breakGlass: map[string]any{"subjects": named("Group", "system:authenticated"), "maxDurationSeconds": int64(900)}, want: "system:"},
		"Machine":   {reason: "nor a machine", breakGlass: map[string]any{"subjects": named("User", "system:serviceaccount:ci:bot"), "maxDurationSeconds": int64(900)}, want: "for named people"},
		"Nobody":    {reason: "somebody", breakGlass: map[string]any{"subjects": []any{}, "maxDurationSeconds": int64(900)}, want: "at least 1 items"},
		"Endless":   {reason: "it has a bound", breakGlass: map[string]any{"subjects": named("Group", "on-call")}, want: "maxDurationSeconds"},
		"TooLong":   {reason: "a day at most", breakGlass: map[string]any{"subjects": named("Group", "on-call"), "maxDurationSeconds": int64(86401)}, want: "less than or equal to 86400"},
		"Typo":      {reason: "checklist 40: a typo is an error", breakGlass: map[string]any{"subject": named("Group", "on-call"), "maxDurationSeconds": int64(900)}, want: "subjects"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.reason, admin.Create(t.Context(), edited(sample("accesspolicy.yaml"), terms(tc.breakGlass)), client.DryRunAll), tc.want)
		})
	}
}
