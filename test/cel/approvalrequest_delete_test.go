// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const reviewedFirst = "is reviewed before it is deleted"

func condition(kind, status string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": "Test", "message": "", "lastTransitionTime": "2027-01-01T00:00:00Z"}
}

// checklist 39: nobody makes what went ahead without approvals disappear before it is reviewed,
// not even a cluster admin: only the manager. RBAC lets everybody here do so.
func TestBreakGlassDelete(t *testing.T) {
	inForce, over, void := goneAhead(t, "Approved"), goneAhead(t, "Expired"), goneAhead(t, "Expired", condition("Reviewed", "False"))
	users := map[string]client.Client{
		"the requester": as(requesterUser, "analysts"), "an approver": as("company:bob", "shop-leads"), "a proxy": as(proxyUser), "an admin": admin,
		"the namespace controller, in a namespace that stays": as(namespaceController),
	}
	for who, user := range users {
		for what, object := range map[string]*unstructured.Unstructured{"in force": inForce, "over": over, "with a review that does not count": void} {
			expect(t, who+", "+what, user.Delete(t.Context(), object, client.DryRunAll), reviewedFirst)
		}
		list := &unstructured.Unstructured{}
		list.SetGroupVersionKind(over.GroupVersionKind())
		expect(t, who+", all at once", user.DeleteAllOf(t.Context(), list, client.InNamespace(namespace), client.DryRunAll), reviewedFirst)
	}
	expect(t, "the manager", as(managerUser).Delete(t.Context(), over, client.DryRunAll), "")
	expect(t, "what was reviewed", admin.Delete(t.Context(), goneAhead(t, "Expired", condition("Reviewed", "True")), client.DryRunAll), "")
	asked := askForSession(t, as(requesterUser, "analysts"), nil)
	acceptSession(t, asked, "Expired")
	expect(t, "what was approved, or not", as(requesterUser, "analysts").Delete(t.Context(), asked, client.DryRunAll), "")
}

// It goes away with its namespace, and nobody else can use the moment.
func TestBreakGlassGoesWithItsNamespace(t *testing.T) {
	const ending = "ending-requests"
	makeWritable(t, ending)
	object := edited(sample("approvalrequest_session.yaml"), edits{"metadata.namespace": ending, "spec.session.breakGlass": "Declared"})
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		// The API server's authorizer learns of the binding a moment after it was made.
		return as(requesterUser, "analysts").Create(ctx, object) == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	putInForce(t, object, "Expired")
	if err := admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ending}}); err != nil {
		t.Fatal(err)
	}
	// The policy sees the namespace a moment after it was deleted; the controller tries again.
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		return as(namespaceController).Delete(ctx, object, client.DryRunAll) == nil, nil
	})
	if err != nil {
		t.Fatalf("the namespace controller cannot delete: %v", err)
	}
	expect(t, "nobody else", admin.Delete(t.Context(), object, client.DryRunAll), reviewedFirst)
	expect(t, "it goes", as(namespaceController).Delete(t.Context(), object), "")
}
