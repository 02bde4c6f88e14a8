// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// edit is a JSON patch that must be refused, whoever sends it.
type edit struct {
	reason string
	ops    []map[string]any
	want   string
}

// forbiddenEdits are edits of an ApprovalRequest with one decision.
func forbiddenEdits() map[string]edit {
	add := func(path string, value any) []map[string]any {
		return []map[string]any{{"op": "add", "path": path, "value": value}}
	}
	approve := map[string]any{"op": "add", "path": "/spec/decisions/-", "value": decision("Approve")}
	return map[string]edit{
		"Requester":       {reason: "checklist 33", ops: add("/spec/requester/username", "company:zoe"), want: "cannot be changed"},
		"Statement":       {reason: "checklist 33", ops: add("/spec/operation/statement", "SELECT 1"), want: "cannot be changed"},
		"Digest":          {reason: "checklist 33", ops: add("/spec/operation/digest", otherDigest), want: "cannot be changed"},
		"Connection":      {reason: "checklist 33", ops: add("/spec/connectionRef/name", "payments-db"), want: "cannot be changed"},
		"Holder":          {reason: "checklist 33", ops: add("/spec/holder/session", "other"), want: "cannot be changed"},
		"Binding":         {reason: "checklist 33", ops: add("/spec/binding/connectionGeneration", 2), want: "cannot be changed"},
		"Approvers":       {reason: "nobody makes themselves an approver", ops: add("/spec/approvers/-", map[string]any{"kind": "User", "name": "company:mallory"}), want: "cannot be changed"},
		"Minimum":         {reason: "nobody lowers the quorum", ops: add("/spec/minimumApprovals", 2), want: "cannot be changed"},
		"Expiry":          {reason: "nobody prolongs a request", ops: add("/spec/expiresAt", "2028-01-01T12:00:00Z"), want: "cannot be changed"},
		"RemoveGroups":    {reason: "optional fields too", ops: []map[string]any{{"op": "remove", "path": "/spec/requester/groups"}}, want: "cannot be changed"},
		"Label":           {reason: "metadata", ops: add("/metadata/labels", map[string]any{"a": "b"}), want: "labels, annotations"},
		"Annotation":      {reason: "metadata", ops: add("/metadata/annotations", map[string]any{"a": "b"}), want: "labels, annotations"},
		"Finalizer":       {reason: "metadata", ops: add("/metadata/finalizers", []any{"example.com/hold"}), want: "labels, annotations"},
		"OwnerReference":  {reason: "metadata", ops: add("/metadata/ownerReferences", []any{map[string]any{"apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "1"}}), want: "labels, annotations"},
		"DecideAndLabel":  {reason: "not together with a decision either", ops: append(add("/metadata/labels", map[string]any{"a": "b"}), approve), want: "labels, annotations"},
		"DecideAndEdit":   {reason: "not together with a decision either", ops: append(add("/spec/operation/statement", "SELECT 1"), approve), want: "cannot be changed"},
		"EraseDecision":   {reason: "append-only", ops: []map[string]any{{"op": "remove", "path": "/spec/decisions/0"}}, want: "can only be added to"},
		"EraseDecisions":  {reason: "always present", ops: []map[string]any{{"op": "remove", "path": "/spec/decisions"}}, want: "spec.decisions"},
		"ChangeDecision":  {reason: "append-only", ops: []map[string]any{{"op": "replace", "path": "/spec/decisions/0/verdict", "value": "Approve"}}, want: "can only be added to"},
		"ChangeApprover":  {reason: "append-only", ops: []map[string]any{{"op": "replace", "path": "/spec/decisions/0/approver/username", "value": "company:dave"}}, want: "can only be added to"},
		"InsertDecision":  {reason: "at the end only", ops: []map[string]any{{"op": "add", "path": "/spec/decisions/0", "value": decision("Approve")}}, want: "can only be added to"},
		"ReplaceDecision": {reason: "append-only", ops: append([]map[string]any{{"op": "remove", "path": "/spec/decisions/0"}}, approve), want: "can only be added to"},
	}
}

// Nothing but an appended decision and the first use goes in, whoever asks.
func TestApprovalRequestImmutable(t *testing.T) {
	cases := forbiddenEdits()
	object := request(t, nil)
	if err := decide(t, as("company:carol", "shop-leads"), object, decision("Deny")); err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for who, user := range map[string]client.Client{
				"approver": as("company:bob", "shop-leads"), "proxy": as(proxyUser), "admin": admin,
			} {
				expect(t, tc.reason+": "+who, patch(t, user, object, tc.ops), tc.want)
			}
		})
	}
	t.Run("ManagerMaintainsMetadata", func(t *testing.T) {
		expect(t, "the manager labels its objects", patch(t, as(managerUser), object, cases["Label"].ops), "")
		expect(t, "but does not edit", patch(t, as(managerUser), object, cases["Statement"].ops), "cannot be changed")
	})
}

// The admission policies do not lean on the CEL rules of the kinds: without those, they
// refuse the same.
func TestAdmissionAlone(t *testing.T) {
	object := request(t, nil)
	bob := as("company:bob", "shop-leads")
	if err := decide(t, as("company:carol", "shop-leads"), object, decision("Deny")); err != nil {
		t.Fatal(err)
	}
	trail := session(t, "admission-alone")
	clientAddress := []map[string]any{{"op": "replace", "path": "/spec/clientAddress", "value": "192.0.2.1:1"}}
	statement := forbiddenEdits()["Statement"].ops
	// Without the rules a policy answers first, with them it does not come to that.
	await := func(t *testing.T, policyFirst bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(context.Context) (bool, error) {
			for _, err := range []error{patch(t, bob, object, statement), patch(t, bob, trail, clientAddress)} {
				if err == nil || strings.Contains(err.Error(), "ValidatingAdmissionPolicy") != policyFirst {
					return false, nil
				}
			}
			return true, nil
		})
		if err != nil {
			t.Fatalf("the change of the definitions is not in force: %v", err)
		}
	}
	t.Run("WithoutRules", func(t *testing.T) {
		withoutRules(t, "approvalrequests.doorward.dev", "auditsessions.doorward.dev")
		await(t, true)
		tryWithoutRules(t, object, trail)
	})
	await(t, false)
}

// tryWithoutRules makes every edit that a rule and a policy refuse, and wants the policy's
// answer.
func tryWithoutRules(t *testing.T, object, trail *unstructured.Unstructured) {
	t.Helper()
	bob := as("company:bob", "shop-leads")
	byPolicy := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
			t.Errorf("%s: want a refusal by a ValidatingAdmissionPolicy, got: %v", what, err)
		}
	}
	for name, tc := range forbiddenEdits() {
		if name == "EraseDecisions" { // the schema itself requires the list
			continue
		}
		for who, user := range map[string]client.Client{"approver": bob, "proxy": as(proxyUser), "admin": admin} {
			byPolicy(name+" by "+who, patch(t, user, object, tc.ops))
		}
	}
	byPolicy("another digest", decide(t, bob, object, map[string]any{"verdict": "Approve", "operationDigest": otherDigest}))
	byPolicy("born approved", as(proxyUser).Create(t.Context(), edited(sample("approvalrequest.yaml"),
		edits{"spec.decisions": []any{stamped("Approve", "company:bob", "shop-leads")}}), client.DryRunAll))
	use := map[string]any{"usedAt": "2027-01-01T11:55:00Z", "proxyInstance": field(object.Object, "spec.holder.proxyInstance")}
	byPolicy("born used", as(proxyUser).Create(t.Context(), edited(sample("approvalrequest.yaml"), edits{"spec.use": use}), client.DryRunAll))

	used := request(t, nil)
	phase(t, used, "Approved")
	set := func(value map[string]any) []map[string]any {
		return []map[string]any{{"op": "add", "path": "/spec/use", "value": value}}
	}
	byPolicy("use by another instance", patch(t, as(proxyUser), used, set(map[string]any{"usedAt": use["usedAt"], "proxyInstance": "other"})))
	expect(t, "the one use", patch(t, as(proxyUser), used, set(use)), "")
	byPolicy("another use", patch(t, as(proxyUser), used, set(map[string]any{"usedAt": "2027-01-01T11:56:00Z", "proxyInstance": use["proxyInstance"]})))
	byPolicy("use taken back", patch(t, as(proxyUser), used, []map[string]any{{"op": "remove", "path": "/spec/use"}}))

	for name, value := range map[string]any{"actor": map[string]any{}, "clientAddress": "192.0.2.1:1", "proxyInstance": "other"} {
		for who, user := range map[string]client.Client{"operator": as("company:oscar"), "proxy": as(proxyUser), "admin": admin} {
			if name == "actor" {
				byPolicy(name+" by "+who, patch(t, user, trail, []map[string]any{{"op": "replace", "path": "/spec/actor/username", "value": "mallory"}}))
				continue
			}
			byPolicy(name+" by "+who, patch(t, user, trail, []map[string]any{{"op": "replace", "path": "/spec/" + name, "value": value}}))
		}
	}
	terminate := func(reason string) []map[string]any {
		return []map[string]any{{"op": "add", "path": "/spec/terminate", "value": map[string]any{"reason": reason}}}
	}
	expect(t, "terminate", patch(t, as("company:oscar"), trail, terminate("incident")), "")
	byPolicy("another reason", patch(t, as("company:oscar"), trail, terminate("other")))
	byPolicy("taken back", patch(t, as(proxyUser), trail, []map[string]any{{"op": "remove", "path": "/spec/terminate"}}))
}

// withoutRules takes the CEL rules out of definitions until the test ends.
func withoutRules(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := admin.Get(t.Context(), client.ObjectKey{Name: name}, definition); err != nil {
			t.Fatal(err)
		}
		original := definition.DeepCopy()
		strip(definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
		if err := admin.Update(t.Context(), definition); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			// The API server writes the status meanwhile: only the spec is put back.
			patch := client.MergeFrom(definition.DeepCopy())
			definition.Spec = original.Spec
			if err := admin.Patch(context.WithoutCancel(t.Context()), definition, patch); err != nil {
				t.Fatalf("cannot restore the rules of %s: %v", name, err)
			}
		})
	}
}

func strip(schema *apiextensionsv1.JSONSchemaProps) {
	schema.XValidations = nil
	for name, property := range schema.Properties {
		strip(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		strip(schema.Items.Schema)
	}
}
