// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	revokerUser        = "company:rhea"
	credentialsManager = "made and deleted by " + "system:serviceaccount:doorward-system:doorward-manager alone"
)

// gatewayCredential creates one as the manager does and removes it later.
func gatewayCredential(t *testing.T, name string, changes edits) *unstructured.Unstructured {
	t.Helper()
	object := edited(sample("gatewaycredential.yaml"), edits{"metadata.name": name})
	object = edited(object, changes)
	if err := as(managerUser).Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create the GatewayCredential: %v", err)
	}
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(as(managerUser).Delete(context.WithoutCancel(t.Context()), object)); err != nil {
			t.Errorf("cannot remove the GatewayCredential: %v", err)
		}
	})
	return object
}

func revoking(reason, user string) []map[string]any {
	value := map[string]any{"reason": reason}
	if user != "" {
		value["username"] = user
	}
	return []map[string]any{{"op": "add", "path": "/spec/revoke", "value": value}}
}

// Nobody makes a credential up, and nobody brings back to life what was revoked by deleting
// it: not even a cluster admin. RBAC lets everybody here do all of it.
func TestGatewayCredentialWrite(t *testing.T) {
	object := gatewayCredential(t, "00000000000000000000000000000001", nil)
	attempts := map[string]func(client.Client) error{
		"create": func(c client.Client) error {
			return c.Create(t.Context(), edited(sample("gatewaycredential.yaml"), edits{"metadata.name": "00000000000000000000000000000002"}), client.DryRunAll)
		},
		"delete": func(c client.Client) error { return c.Delete(t.Context(), object, client.DryRunAll) },
		"delete all": func(c client.Client) error {
			list := &unstructured.Unstructured{}
			list.SetGroupVersionKind(object.GroupVersionKind())
			return c.DeleteAllOf(t.Context(), list, client.DryRunAll)
		},
	}
	for what, attempt := range attempts {
		t.Run(what, func(t *testing.T) {
			for who, user := range map[string]client.Client{"the owner": as("company:alice"), "an admin": admin, "who may revoke": as(revokerUser), "a proxy": as(proxyUser)} {
				err := attempt(user)
				expect(t, who, err, credentialsManager)
				if !apierrors.IsForbidden(err) {
					t.Errorf("%s: want Forbidden, got: %v", who, err)
				}
			}
			expect(t, "the manager", attempt(as(managerUser)), "")
		})
	}
}

// checklist 31: who revokes is what the API server authenticated, once, and for good.
func TestGatewayCredentialRevoke(t *testing.T) {
	object := gatewayCredential(t, "00000000000000000000000000000003", nil)
	nobodys := gatewayCredential(t, "00000000000000000000000000000004", edits{"spec.owner.kubernetesUsername": absent{}})
	owner := as("company:alice")
	label := []map[string]any{{"op": "add", "path": "/metadata/labels", "value": map[string]any{"a": "b"}}}
	cases := map[string]struct {
		reason string
		user   client.Client
		object *unstructured.Unstructured
		ops    []map[string]any
		want   string
	}{
		"Owner":       {"one's own", owner, object, revoking("lost", "company:alice"), ""},
		"Verb":        {"whoever holds the verb", as(revokerUser), object, revoking("lost", revokerUser), ""},
		"Unowned":     {"one whose owner has no name here", as(revokerUser), nobodys, revoking("lost", revokerUser), ""},
		"Manager":     {"what was made of a revoked one", as(managerUser), object, revoking("lost", managerUser), ""},
		"Stranger":    {"somebody else's", as("company:bob"), object, revoking("spite", "company:bob"), "does not hold the verb revoke"},
		"Forged":      {"in another's name", as("company:bob"), object, revoking("spite", "company:alice"), "must be the user who revokes: company:bob"},
		"NoOwner":     {"an empty name is nobody's", as("company:bob"), nobodys, revoking("spite", "company:bob"), "does not hold the verb revoke"},
		"NoReason":    {"a reason is required", owner, object, revoking("", "company:alice"), "spec.revoke.reason"},
		"Label":       {"metadata is the manager's", owner, object, label, "cannot be changed"},
		"Expiry":      {"nothing else changes", owner, object, []map[string]any{{"op": "replace", "path": "/spec/expiresAt", "value": "2127-01-01T00:00:00Z"}}, "cannot be changed"},
		"TakeOver":    {"nor who the owner is", owner, object, []map[string]any{{"op": "replace", "path": "/spec/owner/kubernetesUsername", "value": "company:bob"}}, "cannot be changed"},
		"ByTheWay":    {"nor together with a revocation", owner, object, append(revoking("lost", "company:alice"), map[string]any{"op": "replace", "path": "/spec/owner/username", "value": "bob"}), "cannot be changed"},
		"ManagerEdit": {"nor by the manager", as(managerUser), object, []map[string]any{{"op": "replace", "path": "/spec/owner/username", "value": "bob"}}, "cannot be changed"},
		"AddAddress":  {"nor what was left out", as(managerUser), object, []map[string]any{{"op": "add", "path": "/spec/actor", "value": map[string]any{"issuer": "https://a.example", "subject": "b"}}}, "cannot be changed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.reason, patchDryRun(t, tc.user, tc.object, tc.ops), tc.want)
		})
	}
	// From Kubernetes 1.36 who revokes is filled in.
	if err := patch(t, owner, object, revoking("lost", "")); err != nil {
		t.Fatal(err)
	}
	if got := field(reload(t, object).Object, "spec.revoke.username"); got != "company:alice" {
		t.Errorf("who revoked is stamped as %v", got)
	}
	expect(t, "once", patchDryRun(t, owner, object, []map[string]any{{"op": "replace", "path": "/spec/revoke/reason", "value": "other"}}), "cannot be changed or taken back")
	expect(t, "for good", patchDryRun(t, as(managerUser), object, []map[string]any{{"op": "remove", "path": "/spec/revoke"}}), "cannot be changed or taken back")
}

func TestGatewayCredentialSchema(t *testing.T) {
	digest := "sha256:9f2c4e6a81b35d7092ce4f1a6b8d30579f2c4e6a81b35d7092ce4f1a6b8d3057"
	cases := map[string]schemaCase{
		"Sample":      {reason: "the sample is valid"},
		"Certificate": {reason: "a certificate has a key", changes: edits{"spec.form": "ClientCertificate", "spec.publicKeyDigest": digest}},
		"SSH":         {reason: "so has one for SSH", changes: edits{"spec.form": "SSHCertificate", "spec.publicKeyDigest": digest}},
		"SSHNoDigest": {reason: "so has one for SSH", changes: edits{"spec.form": "SSHCertificate"}, want: "required when form is ClientCertificate or SSHCertificate"},
		"SSHDigest":   {reason: "of one form", changes: edits{"spec.form": "SSHCertificate", "spec.publicKeyDigest": "SHA256:abc"}, want: "spec.publicKeyDigest"},
		"Name":        {reason: "the name is the id", changes: edits{"metadata.name": "mine"}, want: "32 lower-case hexadecimal digits"},
		"NoDigest":    {reason: "a certificate has a key", changes: edits{"spec.form": "ClientCertificate"}, want: "publicKeyDigest is required"},
		"Digest":      {reason: "a token has none", changes: edits{"spec.publicKeyDigest": digest}, want: "forbidden otherwise"},
		"Form":        {reason: "enum", changes: edits{"spec.form": "Password"}, want: "Unsupported value"},
		"NoOwner":     {reason: "required", changes: edits{"spec.owner": absent{}}, want: "spec.owner"},
		"NoExpiry":    {reason: "nothing is good for ever", changes: edits{"spec.expiresAt": absent{}}, want: "spec.expiresAt"},
		"Derived":     {reason: "a credential's name", changes: edits{"spec.derivedFrom": "mine"}, want: "spec.derivedFrom"},
		"LongSubject": {reason: "checklist 38: bounded", changes: edits{"spec.owner.subject": longText(513)}, want: "spec.owner.subject"},
		"LongAddress": {reason: "checklist 38: bounded", changes: edits{"spec.clientAddress": longText(65)}, want: "spec.clientAddress"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			expect(t, tc.reason, as(managerUser).Create(t.Context(), edited(sample("gatewaycredential.yaml"), tc.changes), client.DryRunAll), tc.want)
		})
	}
}
