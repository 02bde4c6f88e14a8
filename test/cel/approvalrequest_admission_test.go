// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Users of these tests. Only what they say they are in.
const (
	proxyUser           = "system:serviceaccount:shop-access:doorward-orders-db"
	otherProxyUser      = "system:serviceaccount:shop-access:doorward-payments-db"
	requesterUser       = "company:alice"
	namedServiceAccount = "system:serviceaccount:shop-access:approver"
	otherServiceAccount = "system:serviceaccount:flux-system:kustomize-controller"
)

// digest is the one of the sample.
const digest = "sha256:3b7f3b0f1a5d2c64e0a49d1be1a0a6f1f7a2d6c86a2f1c0d9e8b7a6f5e4d3c2b"

const otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

func decision(verdict string) map[string]any {
	return map[string]any{"verdict": verdict, "operationDigest": digest}
}

func stamped(verdict, username string, groups ...any) map[string]any {
	d := decision(verdict)
	d["approver"] = map[string]any{"username": username, "groups": groups}
	return d
}

// request creates an ApprovalRequest as the proxy does, with changes, and removes it later.
func request(t *testing.T, changes edits) *unstructured.Unstructured {
	t.Helper()
	object := edited(sample("approvalrequest.yaml"), changes)
	if err := as(proxyUser).Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create the ApprovalRequest: %v", err)
	}
	t.Cleanup(func() { remove(t, object) })
	return object
}

// decide patches as the documentation says: test the uid, add at the end.
func decide(t *testing.T, user client.Client, object *unstructured.Unstructured, decisions ...map[string]any) error {
	t.Helper()
	ops := []map[string]any{{"op": "test", "path": "/metadata/uid", "value": string(object.GetUID())}}
	for _, d := range decisions {
		ops = append(ops, map[string]any{"op": "add", "path": "/spec/decisions/-", "value": d})
	}
	return patch(t, user, object, ops)
}

func patch(t *testing.T, user client.Client, object *unstructured.Unstructured, ops []map[string]any) error {
	t.Helper()
	data, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	return user.Patch(t.Context(), object.DeepCopy(), client.RawPatch(types.JSONPatchType, data))
}

func patchDryRun(t *testing.T, user client.Client, object *unstructured.Unstructured, ops []map[string]any) error {
	t.Helper()
	return patch(t, client.NewDryRunClient(user), object, ops)
}

func phase(t *testing.T, object *unstructured.Unstructured, phase string) {
	t.Helper()
	current := reload(t, object)
	set(current, "status.phase", phase)
	if err := as(managerUser).Status().Update(t.Context(), current); err != nil {
		t.Fatalf("the manager cannot write the status: %v", err)
	}
}

func reload(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	current := object.DeepCopy()
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), current); err != nil {
		t.Fatal(err)
	}
	return current
}

func TestApprovalRequestCreate(t *testing.T) {
	cases := map[string]struct {
		reason  string
		user    client.Client
		changes edits
		want    string
	}{
		"ByProxy": {
			reason: "whoever holds serve on the Connection may create", user: as(proxyUser),
		},
		"ByUser": {
			reason: "Operation requests are made by proxies only", user: as(requesterUser), want: "does not hold the verb serve",
		},
		"ByApprover": {
			reason: "approve is not serve", user: as("company:bob", "shop-leads"), want: "does not hold the verb serve",
		},
		"ByUserForAnother": {
			reason: "nobody without serve names another requester", user: as("company:mallory"), want: "does not hold the verb serve",
		},
		"ByProxyOfAnotherConnection": {
			reason: "serve holds for one Connection by name", user: as(proxyUser),
			changes: edits{"spec.connectionRef.name": "payments-db"}, want: "does not hold the verb serve",
		},
		"WithName": {
			reason: "names are generated", user: as(proxyUser),
			changes: edits{"metadata.generateName": absent{}, "metadata.name": "mine"}, want: "is generated",
		},
		"WithNameAndGenerateName": {
			reason: "a chosen name does not hide behind generateName", user: as(proxyUser),
			changes: edits{"metadata.name": "orders-db-mine"}, want: "is generated",
		},
		"WithDecision": {
			reason: "a request is not born approved", user: as(proxyUser),
			changes: edits{"spec.decisions": []any{stamped("Approve", "company:bob", "shop-leads")}}, want: "must be empty on create",
		},
		"WithUse": {
			reason: "a request is not born used", user: as(proxyUser),
			changes: edits{"spec.use": map[string]any{"usedAt": "2027-01-01T12:00:00Z", "proxyInstance": "doorward-orders-db-7d9c5b6f4-x2x9q"}},
			want:    "must be absent on create",
		},
		"WithoutDecisions": {
			reason: "the list is always present, so that a JSON patch can add to it", user: as(proxyUser),
			changes: edits{"spec.decisions": absent{}}, want: "spec.decisions",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.user.Create(t.Context(), edited(sample("approvalrequest.yaml"), tc.changes), client.DryRunAll)
			expect(t, tc.reason, err, tc.want)
		})
	}
}

// checklist 31: who approved is what the API server authenticated.
func TestApprovalRequestDecide(t *testing.T) {
	bob := func() client.Client { return as("company:bob", "shop-leads") }
	withUser := edits{"spec.approvers": []any{
		map[string]any{"kind": "Group", "name": "shop-leads"},
		map[string]any{"kind": "User", "name": namedServiceAccount},
		map[string]any{"kind": "User", "name": requesterUser},
	}}
	cases := map[string]struct {
		reason    string
		user      client.Client
		changes   edits
		phase     string
		decisions []map[string]any
		want      string
	}{
		"Approve":         {reason: "an approver by group", user: bob(), decisions: []map[string]any{decision("Approve")}},
		"Deny":            {reason: "an approver by group", user: bob(), decisions: []map[string]any{decision("Deny")}},
		"StampedByCaller": {reason: "an honest stamp is left alone", user: bob(), decisions: []map[string]any{stamped("Approve", "company:bob", "shop-leads", "system:authenticated")}},
		"ForgedName": {
			reason: "checklist 31: a forged approver", user: bob(),
			decisions: []map[string]any{stamped("Approve", "company:carol", "shop-leads", "system:authenticated")}, want: "must be the user who makes it",
		},
		"ForgedGroups": {
			reason: "checklist 31: forged groups", user: as("company:mallory", "others"),
			decisions: []map[string]any{stamped("Approve", "company:mallory", "shop-leads", "system:authenticated")}, want: "must be the user who makes it",
		},
		"ForgedUID": {
			reason: "checklist 31: a forged uid", user: bob(),
			decisions: []map[string]any{func() map[string]any {
				d := stamped("Approve", "company:bob", "shop-leads", "system:authenticated")
				d["approver"].(map[string]any)["uid"] = "1"
				return d
			}()}, want: "must be the user who makes it",
		},
		"PartialStamp": {
			reason: "a stamp without groups is not filled up", user: bob(),
			decisions: []map[string]any{stamped("Approve", "company:bob")}, want: "must be the user who makes it",
		},
		"Requester": {
			reason: "checklist 32: the requester is named, entitled, and refused", user: as(requesterUser, "shop-leads"), changes: withUser,
			decisions: []map[string]any{decision("Approve")}, want: "requester and approver must differ",
		},
		"RequesterDenies": {
			reason: "the requester does not decide at all", user: as(requesterUser, "shop-leads"), changes: withUser,
			decisions: []map[string]any{decision("Deny")}, want: "requester and approver must differ",
		},
		"ServiceAccountByGroup": {
			reason: "checklist 32: a service account is no approver by a group", user: as(otherServiceAccount, "shop-leads"),
			decisions: []map[string]any{decision("Approve")}, want: "must be named by the policy in full",
		},
		"ServiceAccountByName": {
			reason: "a service account that the policy names may approve", user: as(namedServiceAccount), changes: withUser,
			decisions: []map[string]any{decision("Approve")},
		},
		"AdminOfTheCluster": {
			reason: "'*' alone does not approve", user: as("company:root", "system:masters"),
			decisions: []map[string]any{decision("Approve")}, want: "not among the approvers",
		},
		"NotNamed": {
			reason: "holds approve, but the policy does not name the group", user: as("company:mallory", "others"),
			decisions: []map[string]any{decision("Approve")}, want: "not among the approvers",
		},
		"WithoutVerb": {
			reason: "named, but without approve on the Connection", user: as("company:dave"),
			changes:   edits{"spec.approvers": []any{map[string]any{"kind": "User", "name": "company:dave"}}},
			decisions: []map[string]any{decision("Approve")}, want: "does not hold the verb approve",
		},
		"ApproveOnAnotherConnection": {
			reason: "approve holds for one Connection by name; admin makes the request", user: bob(),
			changes:   edits{"spec.connectionRef.name": "payments-db"},
			decisions: []map[string]any{decision("Approve")}, want: "does not hold the verb approve",
		},
		"OtherDigest": {
			reason: "checklist 34: an approval is for exactly this operation", user: bob(),
			decisions: []map[string]any{{"verdict": "Approve", "operationDigest": otherDigest}}, want: "perationDigest",
		},
		"TwoAtOnce": {
			reason: "one decision at a time", user: bob(),
			decisions: []map[string]any{decision("Approve"), decision("Deny")}, want: "one decision at a time",
		},
		"TwoAtOnceOneForged": {
			reason: "a forged decision does not hide before an honest one", user: bob(),
			decisions: []map[string]any{stamped("Approve", "company:carol", "shop-leads"), decision("Approve")}, want: "one decision at a time",
		},
		"Expired":       {reason: "a decision on what is over is refused", user: bob(), phase: "Expired", decisions: []map[string]any{decision("Approve")}, want: "its phase is Expired"},
		"Stale":         {reason: "a decision on what is over is refused", user: bob(), phase: "Stale", decisions: []map[string]any{decision("Approve")}, want: "its phase is Stale"},
		"AfterTheFirst": {reason: "an approved request can still be denied", user: bob(), phase: "Approved", decisions: []map[string]any{decision("Deny")}},
		"BadVerdict":    {reason: "verdicts are Approve and Deny", user: bob(), decisions: []map[string]any{decision("Maybe")}, want: "Unsupported value"},
		"LongComment": {reason: "checklist 38: comments are bounded", user: bob(), decisions: []map[string]any{func() map[string]any {
			d := decision("Approve")
			d["comment"] = longText(1025)
			return d
		}()}, want: "Too long"},
		"CommentWithEscape": {reason: "checklist 37: no control characters", user: bob(), decisions: []map[string]any{func() map[string]any {
			d := decision("Approve")
			d["comment"] = "fine\x1b[2K"
			return d
		}()}, want: "should match"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := edited(sample("approvalrequest.yaml"), tc.changes)
			if err := admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { remove(t, object) })
			if tc.phase != "" {
				phase(t, object, tc.phase)
			}
			err := decide(t, tc.user, object, tc.decisions...)
			expect(t, tc.reason, err, tc.want)
		})
	}
}

func TestApprovalRequestRepeated(t *testing.T) {
	object := request(t, nil)
	bob := as("company:bob", "shop-leads")
	expect(t, "first approval", decide(t, bob, object, decision("Approve")), "")
	expect(t, "nobody fills the list with one verdict", decide(t, bob, object, decision("Approve")), "given this verdict already")
	expect(t, "but may change their mind", decide(t, bob, object, decision("Deny")), "")
}

// TestApprovalRequestManyDecisions: the list never becomes so long that the schema refuses the
// forged decision by which the manager proves that admission is enforced.
func TestApprovalRequestManyDecisions(t *testing.T) {
	object := request(t, nil)
	for i := range 31 {
		expect(t, "another approver", decide(t, as(fmt.Sprintf("company:bob-%d", i), "shop-leads"), object, decision("Approve")), "")
	}
	expect(t, "checklist 38: no more", decide(t, as("company:bob", "shop-leads"), object, decision("Deny")), "at most 31 decisions")
}

// A re-created request of the same name is not approved by mistake.
func TestApprovalRequestOtherUID(t *testing.T) {
	object := request(t, nil)
	other := object.DeepCopy()
	other.SetUID("00000000-0000-0000-0000-000000000000")
	expect(t, "the uid is tested", decide(t, as("company:bob", "shop-leads"), other, decision("Approve")), "rejected our request")
}

func TestApprovalRequestUse(t *testing.T) {
	use := func(instance string) map[string]any {
		return map[string]any{"op": "add", "path": "/spec/use", "value": map[string]any{"usedAt": "2027-01-01T11:55:00Z", "proxyInstance": instance}}
	}
	const holder = "doorward-orders-db-7d9c5b6f4-x2x9q"
	bob := as("company:bob", "shop-leads")
	proxy := as(proxyUser)

	object := request(t, nil)
	expect(t, "not before it is approved", patch(t, proxy, object, []map[string]any{use(holder)}), "only while the phase is Approved")
	expect(t, "approve", decide(t, bob, object, decision("Approve")), "")
	phase(t, object, "Approved")
	expect(t, "an approver does not use", patch(t, bob, object, []map[string]any{use(holder)}), "does not hold the verb serve")
	expect(t, "the requester does not use", patch(t, as(requesterUser), object, []map[string]any{use(holder)}), "does not hold the verb serve")
	expect(t, "another instance does not use", patch(t, proxy, object, []map[string]any{use("other")}), "holder of the operation")
	expect(t, "a proxy does not decide while it uses", patch(t, proxy, object, []map[string]any{
		use(holder), {"op": "add", "path": "/spec/decisions/-", "value": decision("Approve")},
	}), "together with spec.use")
	expect(t, "a proxy does not decide", decide(t, proxy, object, decision("Approve")), "named by the policy in full")

	stale := object.DeepCopy()
	expect(t, "the proxy sets it with a resourceVersion precondition", patch(t, proxy, object, []map[string]any{
		{"op": "test", "path": "/metadata/resourceVersion", "value": reload(t, object).GetResourceVersion()}, use(holder),
	}), "")
	expect(t, "checklist 35: of two only one", patch(t, proxy, stale, []map[string]any{
		{"op": "test", "path": "/metadata/resourceVersion", "value": stale.GetResourceVersion()}, use(holder),
	}), "rejected our request")
	second := use(holder)
	second["value"].(map[string]any)["usedAt"] = "2027-01-01T11:56:00Z"
	expect(t, "it is set once", patch(t, proxy, object, []map[string]any{second}), "cannot be changed once it is set")
	expect(t, "and stays", patch(t, proxy, object, []map[string]any{{"op": "remove", "path": "/spec/use"}}), "cannot be changed once it is set")
	expect(t, "no decision afterwards", decide(t, bob, object, decision("Deny")), "is used")
}

// checklist 31: a requester, an approver, a proxy and an admin with the right to patch the
// status cannot write it.
func TestApprovalRequestStatus(t *testing.T) {
	object := request(t, nil)
	for who, user := range map[string]client.Client{
		"requester": as(requesterUser), "approver": as("company:bob", "shop-leads"), "proxy": as(proxyUser),
		"service account": as(otherServiceAccount), "admin": admin,
	} {
		t.Run(who, func(t *testing.T) {
			current := reload(t, object)
			set(current, "status.phase", "Approved")
			expect(t, "the manager alone", user.Status().Update(t.Context(), current), "alone")
		})
	}
	phase(t, object, "Pending")
}
