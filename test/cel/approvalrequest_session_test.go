// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// askForSession makes a request of scope Session as a user does, with changes.
func askForSession(t *testing.T, user client.Client, changes edits) *unstructured.Unstructured {
	t.Helper()
	object := edited(sample("approvalrequest_session.yaml"), changes)
	if err := user.Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create the ApprovalRequest: %v", err)
	}
	t.Cleanup(func() { remove(t, object) })
	return object
}

// acceptSession says, as the manager does, what the request asks for.
func acceptSession(t *testing.T, object *unstructured.Unstructured, phase string) {
	t.Helper()
	current := reload(t, object)
	set(current, "status", map[string]any{
		"phase": phase,
		"session": map[string]any{
			"digest": digest,
			"binding": map[string]any{
				"connectionUID": "c-1", "connectionGeneration": int64(1),
				"policies": []any{map[string]any{"name": "on-call", "uid": "p-1", "generation": int64(1), "rule": "incident"}},
			},
			"approvers": []any{
				map[string]any{"kind": "Group", "name": "shop-leads"}, map[string]any{"kind": "User", "name": requesterUser},
			},
		},
	})
	if err := as(managerUser).Status().Update(t.Context(), current); err != nil {
		t.Fatalf("the manager cannot write the status: %v", err)
	}
}

// checklist 31: who asks is what the API server authenticated.
func TestSessionRequestCreate(t *testing.T) {
	alice := func() client.Client { return as(requesterUser, "analysts") }
	cases := map[string]struct {
		reason  string
		user    client.Client
		changes edits
		want    string
	}{
		"ByUser":         {reason: "everybody asks in their own name", user: alice()},
		"Honest":         {reason: "an honest stamp is left alone", user: alice(), changes: edits{"spec.requester": map[string]any{"username": requesterUser, "groups": []any{"analysts", "system:authenticated"}}}},
		"ForAnother":     {reason: "checklist 31: nobody asks in another's name", user: as("company:mallory"), changes: edits{"spec.requester.username": requesterUser}, want: "for the user who makes it"},
		"ByProxy":        {reason: "nor does a proxy", user: as(proxyUser), changes: edits{"spec.requester.username": requesterUser}, want: "for the user who makes it"},
		"ForgedGroups":   {reason: "checklist 31: forged groups", user: alice(), changes: edits{"spec.requester": map[string]any{"groups": []any{"shop-leads"}}}, want: "groups must be those of the user"},
		"OtherLabel":     {reason: "it is found by the proxies of its Connection", user: alice(), changes: edits{"metadata.labels": map[string]any{"doorward.dev/connection": "payments-db"}}, want: "by which proxies find it"},
		"OtherScope":     {reason: "and by its scope", user: alice(), changes: edits{"metadata.labels": map[string]any{"doorward.dev/scope": "Operation"}}, want: "by which proxies find it"},
		"MoreLabels":     {reason: "checklist 38: no other labels, of which there could be any number", user: alice(), changes: edits{"metadata.labels": map[string]any{"team": "shop"}}, want: "has no labels but"},
		"Annotation":     {reason: "checklist 38: no annotations, which could be of 256 KiB", user: alice(), changes: edits{"metadata.annotations": map[string]any{"team": "shop"}}, want: "has no annotations"},
		"SaveConfig":     {reason: "checklist 38: nor kubectl's, which nothing applies", user: alice(), changes: edits{"metadata.annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, want: "leave out --save-config"},
		"Finalizer":      {reason: "nobody keeps it from being deleted", user: alice(), changes: edits{"metadata.finalizers": []any{"example.com/hold"}}, want: "no finalizers"},
		"Owner":          {reason: "nor has it deleted with something else", user: alice(), changes: edits{"metadata.ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "1"}}}, want: "no finalizers and no ownerReferences"},
		"WithName":       {reason: "names are generated", user: alice(), changes: edits{"metadata.generateName": absent{}, "metadata.name": "mine"}, want: "is generated"},
		"WithDecision":   {reason: "a request is not born approved", user: alice(), changes: edits{"spec.decisions": []any{stamped("Approve", "company:bob", "shop-leads")}}, want: "must be empty on create"},
		"WithRevoke":     {reason: "nor revoked", user: alice(), changes: edits{"spec.revoke": map[string]any{"reason": "no"}}, want: "must be absent on create"},
		"WithApprovers":  {reason: "nobody names their approvers", user: alice(), changes: edits{"spec.approvers": []any{map[string]any{"kind": "User", "name": "company:mallory"}}}, want: "are required when scope is Operation"},
		"WithMinimum":    {reason: "nobody sets the quorum", user: alice(), changes: edits{"spec.minimumApprovals": int64(1)}, want: "are required when scope is Operation"},
		"WithBinding":    {reason: "nobody says what it is bound to", user: alice(), changes: edits{"spec.binding": field(sample("approvalrequest.yaml").Object, "spec.binding")}, want: "are required when scope is Operation"},
		"WithOperation":  {reason: "it is not for one operation", user: alice(), changes: edits{"spec.operation": field(sample("approvalrequest.yaml").Object, "spec.operation")}, want: "are required when scope is Operation"},
		"WithExpiry":     {reason: "it ends a duration after it is approved", user: alice(), changes: edits{"spec.expiresAt": "2030-01-01T00:00:00Z"}, want: "are required when scope is Operation"},
		"WithoutSession": {reason: "it says what it asks for", user: alice(), changes: edits{"spec.session": absent{}}, want: "session is required when scope is Session"},
		"OperationScope": {reason: "an operation is asked for by proxies", user: alice(), changes: edits{"spec.scope": "Operation"}, want: "spec"},
		"NoRules":        {reason: "it names a rule", user: alice(), changes: edits{"spec.session.rules": []any{}}, want: "should have at least 1 items"},
		"NoReason":       {reason: "it gives a reason", user: alice(), changes: edits{"spec.session.reason": absent{}}, want: "spec.session.reason"},
		"LongReason":     {reason: "checklist 38: a reason is bounded", user: alice(), changes: edits{"spec.session.reason": longText(1025)}, want: "Too long"},
		"Escape":         {reason: "checklist 37: no control characters", user: alice(), changes: edits{"spec.session.reason": "fine\x1b[2K"}, want: "should match"},
		"Bidi":           {reason: "checklist 37: no bidirectional characters", user: alice(), changes: edits{"spec.session.reason": "fine \u202eenif"}, want: "should match"},
		"Invisible":      {reason: "checklist 37: no invisible characters", user: alice(), changes: edits{"spec.session.reason": "fi\u200bne"}, want: "should match"},
		"Filler":         {reason: "checklist 37: nor letters that show nothing", user: alice(), changes: edits{"spec.session.reason": "fi\u3164ne"}, want: "should match"},
		"Words":          {reason: "people write in their own language", user: alice(), changes: edits{"spec.session.reason": "Bestellungen prüfen — 注文を確認 (INC-7)"}},
		"TooShort":       {reason: "a minute at least", user: alice(), changes: edits{"spec.session.durationSeconds": int64(59)}, want: "should be greater than or equal to 60"},
		"TooLong":        {reason: "a week at most", user: alice(), changes: edits{"spec.session.durationSeconds": int64(604801)}, want: "should be less than or equal to 604800"},
		"Kind":           {reason: "a rule is of one of two kinds", user: alice(), changes: edits{"spec.session.rules.0.kind": "Role"}, want: "Unsupported value"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.user.Create(t.Context(), edited(sample("approvalrequest_session.yaml"), tc.changes), client.DryRunAll)
			expect(t, tc.reason, err, tc.want)
		})
	}
}

// What the user left out is filled in from the authenticated request.
func TestSessionRequestStamp(t *testing.T) {
	object := reload(t, askForSession(t, as(requesterUser, "analysts"), nil))
	diff(t, "requester", map[string]any{"username": requesterUser, "groups": []any{"analysts", "system:authenticated"}}, field(object.Object, "spec.requester").(map[string]any))
	diff(t, "labels", map[string]string{v1alpha1.LabelConnection: "orders-db", v1alpha1.LabelScope: "Session"}, object.GetLabels())
	diff(t, "decisions", []any{}, field(object.Object, "spec.decisions").([]any))
}

// checklist 31, 32, 34: decisions on what lasts are made like those on one operation.
func TestSessionRequestDecide(t *testing.T) {
	cases := map[string]struct {
		reason   string
		user     client.Client
		phase    string
		decision map[string]any
		want     string
	}{
		"Approve":     {reason: "an approver by group", user: as("company:bob", "shop-leads"), phase: "Pending", decision: decision("Approve")},
		"TooEarly":    {reason: "nobody knows yet what it asks for", user: as("company:bob", "shop-leads"), decision: decision("Approve"), want: "try again when its status has a session"},
		"Requester":   {reason: "checklist 32: the requester is named, entitled, and refused", user: as(requesterUser, "shop-leads"), phase: "Pending", decision: decision("Approve"), want: "requester and approver must differ"},
		"NotNamed":    {reason: "the policy does not name the group", user: as("company:mallory", "others"), phase: "Pending", decision: decision("Approve"), want: "not among the approvers"},
		"OtherDigest": {reason: "checklist 34: it is for exactly this", user: as("company:bob", "shop-leads"), phase: "Pending", decision: map[string]any{"verdict": "Approve", "operationDigest": otherDigest}, want: "operationDigest must equal"},
		"Forged":      {reason: "checklist 31: a forged approver", user: as("company:bob", "shop-leads"), phase: "Pending", decision: stamped("Approve", "company:carol", "shop-leads", "system:authenticated"), want: "must be the user who makes it"},
		"Revoked":     {reason: "it is over", user: as("company:bob", "shop-leads"), phase: "Revoked", decision: decision("Approve"), want: "its phase is Revoked"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := askForSession(t, as(requesterUser, "analysts"), nil)
			if tc.phase != "" {
				acceptSession(t, object, tc.phase)
			}
			expect(t, tc.reason, decide(t, tc.user, object, tc.decision), tc.want)
		})
	}
}

// checklist 36: who revokes is what the API server authenticated, and it is not taken back.
func TestSessionRequestRevoke(t *testing.T) {
	revoke := func(more ...string) []map[string]any {
		value := map[string]any{"reason": "the incident is over"}
		if len(more) > 0 {
			value["username"] = more[0]
		}
		return []map[string]any{{"op": "add", "path": "/spec/revoke", "value": value}}
	}
	cases := map[string]struct {
		reason string
		user   client.Client
		ops    []map[string]any
		phase  string
		want   string
	}{
		"Requester":  {reason: "their own", user: as(requesterUser), ops: revoke(), phase: "Approved"},
		"Approver":   {reason: "whoever may approve", user: as("company:carol", "others"), ops: revoke(), phase: "Approved"},
		"Terminator": {reason: "whoever may end sessions", user: as(namedServiceAccount), ops: revoke(), phase: "Approved"},
		"Pending":    {reason: "also what waits", user: as(requesterUser), ops: revoke(), phase: "Pending"},
		"Stranger":   {reason: "nobody else", user: as("company:mallory"), ops: revoke(), phase: "Approved", want: "is not the requester and holds neither"},
		"Proxy":      {reason: "no proxy", user: as(proxyUser), ops: revoke(), phase: "Approved", want: "is not the requester and holds neither"},
		"Forged":     {reason: "checklist 31: in one's own name", user: as(requesterUser), ops: revoke("company:bob"), phase: "Approved", want: "must be the user who revokes"},
		"Over":       {reason: "what is over stays as it is", user: as(requesterUser), ops: revoke(), phase: "Expired", want: "its phase is Expired"},
		"WithDecision": {
			reason: "not together with a decision", user: as("company:bob", "shop-leads"), phase: "Pending", want: "spec.revoke",
			ops: append(revoke(), map[string]any{"op": "add", "path": "/spec/decisions/-", "value": decision("Approve")}),
		},
		"WithLabel": {
			reason: "nor with anything else", user: as(requesterUser), phase: "Approved", want: "labels, annotations",
			ops: append(revoke(), map[string]any{"op": "add", "path": "/metadata/labels/a", "value": "b"}),
		},
		"Bidi": {
			reason: "checklist 37: the reason deceives nobody", user: as(requesterUser), phase: "Approved", want: "should match",
			ops: []map[string]any{{"op": "add", "path": "/spec/revoke", "value": map[string]any{"reason": "\u202edone"}}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := askForSession(t, as(requesterUser, "analysts"), nil)
			acceptSession(t, object, tc.phase)
			expect(t, tc.reason, patch(t, tc.user, object, tc.ops), tc.want)
		})
	}
	t.Run("Once", func(t *testing.T) {
		object := askForSession(t, as(requesterUser, "analysts"), nil)
		acceptSession(t, object, "Approved")
		expect(t, "revoke", patch(t, as(requesterUser), object, revoke()), "")
		diff(t, "who", any(requesterUser), field(reload(t, object).Object, "spec.revoke.username"))
		expect(t, "it stays", patch(t, as(requesterUser), object, []map[string]any{{"op": "remove", "path": "/spec/revoke"}}), "cannot be changed once it is set")
		expect(t, "as it is", patch(t, as(requesterUser), object, []map[string]any{{"op": "replace", "path": "/spec/revoke/reason", "value": "x"}}), "cannot be changed once it is set")
	})
	t.Run("Operation", func(t *testing.T) {
		expect(t, "what is held is denied", patch(t, as(requesterUser), request(t, nil), revoke()), "revoke is forbidden unless scope is Session")
	})
}

// checklist 33, 35: what was asked for stays, and is not used like one operation.
func TestSessionRequestImmutable(t *testing.T) {
	object := askForSession(t, as(requesterUser, "analysts"), nil)
	acceptSession(t, object, "Approved")
	for name, ops := range map[string][]map[string]any{
		"Duration":  {{"op": "replace", "path": "/spec/session/durationSeconds", "value": 7200}},
		"Rules":     {{"op": "replace", "path": "/spec/session/rules/0/rule", "value": "all"}},
		"Resources": {{"op": "remove", "path": "/spec/session/rules/0/resources"}},
		"Requester": {{"op": "replace", "path": "/spec/requester/username", "value": "company:zoe"}},
		"Issuer":    {{"op": "add", "path": "/spec/requester/issuer", "value": "https://login.shop.example"}},
		"Scope":     {{"op": "replace", "path": "/spec/scope", "value": "Operation"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, "checklist 33", patch(t, as(requesterUser), object, ops), "cannot be changed")
		})
	}
	expect(t, "checklist 35", patch(t, as(proxyUser), object, []map[string]any{{
		"op": "add", "path": "/spec/use", "value": map[string]any{"usedAt": "2027-01-01T11:55:00Z", "proxyInstance": "p"},
	}}), "scope is Session")
}

// The terms of a rule say how long what they approve may last, and of what scope it is.
func TestApprovalTermsSchema(t *testing.T) {
	terms := func(changes map[string]any) edits {
		all := map[string]any{"approvers": []any{map[string]any{"kind": "Group", "name": "shop-leads"}}, "minimum": int64(1), "timeoutSeconds": int64(600)}
		for key, value := range changes {
			all[key] = value
		}
		return edits{"spec.rules.2.approval": all}
	}
	for name, tc := range map[string]struct {
		reason  string
		changes map[string]any
		want    string
	}{
		"Neither":        {reason: "unset is for one operation"},
		"Operation":      {reason: "as is the word for it", changes: map[string]any{"scope": "Operation"}},
		"Session":        {reason: "what lasts says how long", changes: map[string]any{"scope": "Session", "maxDurationSeconds": int64(3600)}},
		"Endless":        {reason: "it has a bound", changes: map[string]any{"scope": "Session"}, want: "maxDurationSeconds is required"},
		"OperationBound": {reason: "one operation does not last", changes: map[string]any{"scope": "Operation", "maxDurationSeconds": int64(3600)}, want: "maxDurationSeconds is required"},
		"Bound":          {reason: "nor does it without the word", changes: map[string]any{"maxDurationSeconds": int64(3600)}, want: "maxDurationSeconds is required"},
		"TooLong":        {reason: "a week at most", changes: map[string]any{"scope": "Session", "maxDurationSeconds": int64(604801)}, want: "should be less than or equal to 604800"},
		"Unknown":        {reason: "checklist 40: a typo is an error", changes: map[string]any{"scope": "session"}, want: "Unsupported value"},
	} {
		t.Run(name, func(t *testing.T) {
			object := edited(sample("accesspolicy.yaml"), terms(tc.changes))
			expect(t, tc.reason, admin.Create(t.Context(), object, client.DryRunAll), tc.want)
		})
	}
}

// checklist 38: whoever makes a request says nothing of the owners of its fields, which the API
// server keeps whether or not there are such fields.
func TestSessionRequestManagedFields(t *testing.T) {
	entry := func(fields map[string]any) map[string]any {
		return map[string]any{
			"manager": "me", "operation": "Update", "apiVersion": "doorward.dev/v1alpha1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
		}
	}
	large := map[string]any{"f:" + longText(100_000): map[string]any{}}
	cases := map[string]struct {
		reason  string
		entries []any
	}{
		"Top":      {"of what there is not", []any{entry(large)}},
		"Metadata": {"within metadata", []any{entry(map[string]any{"f:metadata": large})}},
		"Labels":   {"within labels", []any{entry(map[string]any{"f:metadata": map[string]any{"f:labels": large}})}},
		"Status":   {"of a subresource", []any{map[string]any{"manager": "me", "operation": "Update", "apiVersion": "doorward.dev/v1alpha1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "subresource": "status", "fieldsV1": map[string]any{"f:status": large}}}},
		"Session":  {"within spec", []any{entry(map[string]any{"f:spec": map[string]any{"f:session": map[string]any{"f:reason": large}}})}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := edited(sample("approvalrequest_session.yaml"), edits{"metadata.managedFields": tc.entries})
			err := as(requesterUser, "analysts").Create(t.Context(), object, client.DryRunAll, client.FieldOwner("me"))
			expect(t, tc.reason, err, "without metadata.managedFields")
		})
	}
}

// checklist 38: nor does whoever decides on one, or takes one back.
func TestManagedFieldsOnUpdate(t *testing.T) {
	object := askForSession(t, as(requesterUser, "analysts"), nil)
	acceptSession(t, object, "Pending")
	large := map[string]any{"f:" + longText(100_000): map[string]any{}}
	for name, fields := range map[string]map[string]any{
		"Top": large, "Metadata": {"f:metadata": large}, "Spec": {"f:spec": large}, "Session": {"f:spec": map[string]any{"f:session": large}},
		"Reason": {"f:spec": map[string]any{"f:session": map[string]any{"f:reason": large}}},
		"Review": {"f:spec": map[string]any{"f:review": map[string]any{"f:reviewer": large}}},
	} {
		t.Run(name, func(t *testing.T) {
			entry := map[string]any{
				"manager": "another", "operation": "Update", "apiVersion": "doorward.dev/v1alpha1", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields,
			}
			err := patchDryRun(t, as(requesterUser, "analysts"), object, []map[string]any{{"op": "add", "path": "/metadata/managedFields/-", "value": entry}})
			expect(t, "of what there is not", err, "managedFields of an ApprovalRequest are the API server's")
		})
	}
	var many []any
	for range 17 {
		many = append(many, map[string]any{
			"manager": longText(100) + string(rune('a'+len(many))), "operation": "Apply", "apiVersion": "doorward.dev/v1alpha1", "time": "2026-01-01T00:00:00Z",
			"fieldsType": "FieldsV1", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:scope": map[string]any{}}},
		})
	}
	err := patchDryRun(t, as(requesterUser, "analysts"), object, []map[string]any{{"op": "replace", "path": "/metadata/managedFields", "value": many}})
	expect(t, "nor are there many", err, "managedFields of an ApprovalRequest are the API server's")
}
