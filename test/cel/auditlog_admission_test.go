// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	onlyManager         = "written and deleted by " + "system:serviceaccount:doorward-system:doorward-manager alone"
	namespaceController = "system:serviceaccount:kube-system:namespace-controller"
)

// auditLog creates an AuditLog as the manager does and removes it later.
func auditLog(t *testing.T, ns, name string) *unstructured.Unstructured {
	t.Helper()
	object := edited(sample("auditlog.yaml"), edits{"metadata.name": name, "metadata.namespace": ns})
	if err := as(managerUser).Create(t.Context(), object); err != nil {
		t.Fatalf("cannot create the AuditLog: %v", err)
	}
	t.Cleanup(func() {
		err := as(managerUser).Delete(context.WithoutCancel(t.Context()), object)
		if client.IgnoreNotFound(err) != nil {
			t.Errorf("cannot remove the AuditLog: %v", err)
		}
	})
	return object
}

// Nobody forges, edits or removes what the witness holds, not even a cluster admin: only the
// manager. RBAC lets everybody here do all of it.
func TestAuditLogWrite(t *testing.T) {
	object := auditLog(t, namespace, "00000000000000000000000000000001")
	label := []map[string]any{{"op": "add", "path": "/metadata/labels", "value": map[string]any{"a": "b"}}}
	finalizer := []map[string]any{{"op": "add", "path": "/metadata/finalizers", "value": []any{"example.com/hold"}}}
	attempts := map[string]func(client.Client) error{
		"create": func(c client.Client) error {
			return c.Create(t.Context(), edited(sample("auditlog.yaml"), edits{"metadata.name": "00000000000000000000000000000002"}), client.DryRunAll)
		},
		"label":    func(c client.Client) error { return patchDryRun(t, c, object, label) },
		"finalize": func(c client.Client) error { return patchDryRun(t, c, object, finalizer) },
		"status": func(c client.Client) error {
			current := reload(t, object)
			set(current, "status.state", "Closed")
			set(current, "status.size", int64(7))
			return c.Status().Update(t.Context(), current, client.DryRunAll)
		},
		"delete": func(c client.Client) error { return c.Delete(t.Context(), object, client.DryRunAll) },
		"delete all": func(c client.Client) error {
			list := &unstructured.Unstructured{}
			list.SetGroupVersionKind(object.GroupVersionKind())
			return c.DeleteAllOf(t.Context(), list, client.InNamespace(namespace), client.DryRunAll)
		},
	}
	for what, attempt := range attempts {
		t.Run(what, func(t *testing.T) {
			for who, user := range map[string]client.Client{
				"the proxy, which the log is about": as(proxyUser),
				"an admin":                          admin,
				"an auditor":                        as("company:oscar"),
				"the namespace controller, in a namespace that stays": as(namespaceController),
			} {
				err := attempt(user)
				expect(t, who, err, onlyManager)
				if !apierrors.IsForbidden(err) {
					t.Errorf("%s: want Forbidden, got: %v", who, err)
				}
			}
			expect(t, "the manager", attempt(as(managerUser)), "")
		})
	}
}

// A namespace with AuditLogs can be deleted: the namespace controller clears it, and nobody
// else can use the moment.
func TestAuditLogGoesWithItsNamespace(t *testing.T) {
	const ending = "ending"
	makeWritable(t, ending)
	var object *unstructured.Unstructured
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(context.Context) (bool, error) {
		// The API server's authorizer learns of the binding a moment after it was made.
		err := as(managerUser).Create(t.Context(), edited(sample("auditlog.yaml"), edits{"metadata.namespace": ending}), client.DryRunAll)
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	object = auditLog(t, ending, "00000000000000000000000000000003")
	if err := admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ending}}); err != nil {
		t.Fatal(err)
	}
	// The policy sees the namespace a moment after it was deleted; the controller tries again.
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(context.Context) (bool, error) {
		return as(namespaceController).Delete(t.Context(), object, client.DryRunAll) == nil, nil
	})
	if err != nil {
		t.Fatalf("the namespace controller cannot delete: %v", err)
	}
	expect(t, "nobody else", admin.Delete(t.Context(), object, client.DryRunAll), onlyManager)
	expect(t, "nor can it edit", patchDryRun(t, as(namespaceController), object,
		[]map[string]any{{"op": "add", "path": "/metadata/labels", "value": map[string]any{"a": "b"}}}), onlyManager)
	expect(t, "it goes", as(namespaceController).Delete(t.Context(), object), "")
}

func TestAuditLogSchema(t *testing.T) {
	cases := map[string]schemaCase{
		"Sample":       {reason: "the sample is valid"},
		"Name":         {reason: "the name is the log's id", changes: edits{"metadata.name": "orders-db"}, want: "32 lower-case hexadecimal digits"},
		"Upper":        {reason: "one spelling", changes: edits{"metadata.name": "3F5A9C0DE1B24786A9D0C5E4F1B28307"}, want: "32 lower-case hexadecimal digits"},
		"NoConnection": {reason: "required", changes: edits{"spec.connectionRef": absent{}}, want: "spec.connectionRef"},
		"Namespace":    {reason: "checklist 41: references are local", changes: edits{"spec.connectionRef.name": "other/db"}, want: "DNS label"},
		"NoInstance":   {reason: "required", changes: edits{"spec.instance": absent{}}, want: "spec.instance"},
		"LongInstance": {reason: "checklist 38: bounded", changes: edits{"spec.instance": longText(254)}, want: "spec.instance"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := as(managerUser).Create(t.Context(), edited(sample("auditlog.yaml"), tc.changes), client.DryRunAll)
			expect(t, tc.reason, err, tc.want)
		})
	}

	object := auditLog(t, namespace, "00000000000000000000000000000004")
	for path, value := range map[string]any{"/spec/connectionRef/name": "payments-db", "/spec/instance": "other"} {
		err := patchDryRun(t, as(managerUser), object, []map[string]any{{"op": "replace", "path": path, "value": value}})
		expect(t, "whose log it is never changes", err, "cannot be changed")
	}
	status := map[string]struct {
		reason string
		path   string
		value  any
		want   string
	}{
		"State":      {reason: "enum", path: "status.state", value: "Lost", want: "Unsupported value"},
		"Size":       {reason: "a count", path: "status.size", value: int64(-1), want: "status.size"},
		"Checkpoint": {reason: "checklist 38: a note of at most 4 KiB", path: "status.checkpoint", value: longText(4097), want: "status.checkpoint"},
		"Keys":       {reason: "checklist 38: bounded", path: "status.keys", value: names(65), want: "status.keys"},
		"Key":        {reason: "checklist 38: bounded", path: "status.keys", value: []any{longText(257)}, want: "status.keys"},
		"Rotations":  {reason: "one fewer than keys", path: "status.rotations", value: names(64), want: "status.rotations"},
		"Good":       {reason: "what the witness writes", path: "status.keys", value: names(64)},
	}
	for name, tc := range status {
		t.Run("Status"+name, func(t *testing.T) {
			current := reload(t, object)
			set(current, tc.path, tc.value)
			expect(t, tc.reason, as(managerUser).Status().Update(t.Context(), current, client.DryRunAll), tc.want)
		})
	}
}
