// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// session creates an AuditSession as the proxy does and removes it later.
func session(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	object := edited(sample("auditsession.yaml"), edits{"metadata.name": name})
	if err := as(proxyUser).Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create the AuditSession: %v", err)
	}
	t.Cleanup(func() { remove(t, object) })
	return object
}

func TestAuditSessionCreate(t *testing.T) {
	cases := map[string]struct {
		reason  string
		user    client.Client
		changes edits
		want    string
	}{
		"ByProxy":  {reason: "whoever holds serve on the Connection may create", user: as(proxyUser)},
		"ByUser":   {reason: "nobody else invents a session", user: as(requesterUser), want: "does not hold the verb serve"},
		"ByLeader": {reason: "approve is not serve", user: as("company:bob", "shop-leads"), want: "does not hold the verb serve"},
		"ByProxyOfAnotherConnection": {
			reason: "a proxy cannot write another connection's AuditSession", user: as(proxyUser),
			changes: edits{"spec.connectionRef.name": "payments-db"}, want: "does not hold the verb serve",
		},
		"Terminated": {
			reason: "a session is not born terminated", user: as(proxyUser),
			changes: edits{"spec.terminate": map[string]any{"reason": "no"}}, want: "must be absent on create",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.user.Create(t.Context(), edited(sample("auditsession.yaml"), tc.changes), client.DryRunAll)
			expect(t, tc.reason, err, tc.want)
		})
	}
}

// Users with the right to patch can end a session, and change nothing else.
func TestAuditSessionTerminate(t *testing.T) {
	object := session(t, "terminate")
	operator := as("company:oscar")
	terminate := func(reason string) map[string]any {
		return map[string]any{"op": "add", "path": "/spec/terminate", "value": map[string]any{"reason": reason}}
	}
	label := map[string]any{"op": "add", "path": "/metadata/labels", "value": map[string]any{"a": "b"}}

	expect(t, "nothing else together with it", patch(t, operator, object, []map[string]any{
		terminate("incident"), {"op": "replace", "path": "/spec/clientAddress", "value": "192.0.2.1:1"},
	}), "cannot be changed")
	expect(t, "no metadata together with it", patch(t, operator, object, []map[string]any{terminate("incident"), label}), "labels, annotations")
	expect(t, "an empty reason", patch(t, operator, object, []map[string]any{terminate("")}), "spec.terminate.reason")
	expect(t, "checklist 38: a long reason", patch(t, operator, object, []map[string]any{terminate(longText(513))}), "Too long")
	expect(t, "checklist 48: a reason with an escape", patch(t, operator, object, []map[string]any{terminate("a\x1b[2K")}), "should match")
	expect(t, "the proxy of another Connection", patch(t, as(otherProxyUser), object, []map[string]any{terminate("incident")}), "neither of the verbs serve and terminate")
	expect(t, "a service account that may", patchDryRun(t, as(namedServiceAccount), object, []map[string]any{terminate("incident")}), "")
	expect(t, "from absent", patch(t, operator, object, []map[string]any{terminate("incident")}), "")
	for who, user := range map[string]client.Client{"operator": operator, "proxy": as(proxyUser), "admin": admin} {
		expect(t, "set once: "+who, patch(t, user, object, []map[string]any{terminate("other")}), "cannot be changed once it is set")
		expect(t, "not taken back: "+who, patch(t, user, object, []map[string]any{{"op": "remove", "path": "/spec/terminate"}}), "cannot be changed once it is set")
	}
}

func TestAuditSessionImmutable(t *testing.T) {
	object := session(t, "immutable")
	cases := map[string]struct {
		path  string
		value any
	}{
		"Connection": {path: "/spec/connectionRef/name", value: "payments-db"},
		"Actor":      {path: "/spec/actor/username", value: "mallory"},
		"ActorGroup": {path: "/spec/actor/groups", value: []any{"admins"}},
		"Client":     {path: "/spec/clientAddress", value: "192.0.2.1:1"},
		"Instance":   {path: "/spec/proxyInstance", value: "other"},
		"Start":      {path: "/spec/startedAt", value: "2027-01-01T11:51:00Z"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for who, user := range map[string]client.Client{"operator": as("company:oscar"), "proxy": as(proxyUser), "admin": admin} {
				err := patch(t, user, object, []map[string]any{{"op": "add", "path": tc.path, "value": tc.value}})
				expect(t, who, err, "cannot be changed")
			}
		})
	}
	expect(t, "optional fields too", patch(t, as(proxyUser), object, []map[string]any{{"op": "remove", "path": "/spec/actor/groups"}}), "cannot be changed")
	expect(t, "the proxy labels its sessions", patch(t, as(proxyUser), object,
		[]map[string]any{{"op": "add", "path": "/metadata/labels", "value": map[string]any{"a": "b"}}}), "")
}

func TestAuditSessionStatus(t *testing.T) {
	object := session(t, "status")
	write := func(user client.Client) error {
		current := reload(t, object)
		set(current, "status.phase", "Active")
		return user.Status().Update(t.Context(), current)
	}
	expect(t, "the caller does not write the trail", write(as(requesterUser)), "does not hold the verb serve")
	expect(t, "nor an approver", write(as("company:bob", "shop-leads")), "does not hold the verb serve")
	expect(t, "the proxy does", write(as(proxyUser)), "")
	expect(t, "so does the manager, for sessions that were lost", write(as(managerUser)), "")

	other := edited(sample("auditsession.yaml"), edits{"metadata.name": "other-connection", "spec.connectionRef.name": "payments-db"})
	if err := admin.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, other) })
	object = other
	expect(t, "a proxy cannot write another connection's AuditSession", write(as(proxyUser)), "does not hold the verb serve")
}
