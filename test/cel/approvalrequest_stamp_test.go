// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"context"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The identity is filled in from the authenticated request, and only where it is absent.
func TestApprovalRequestStamp(t *testing.T) {
	object := request(t, nil)
	if err := decide(t, as("company:bob", "shop-leads", "staff"), object, decision("Approve")); err != nil {
		t.Fatal(err)
	}
	if err := decide(t, as("company:carol", "shop-leads"), object, stamped("Deny", "company:carol", "shop-leads", "system:authenticated")); err != nil {
		t.Fatal(err)
	}
	got, _, err := unstructured.NestedSlice(reload(t, object).Object, "spec", "decisions")
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		stamped("Approve", "company:bob", "staff", "shop-leads", "system:authenticated"),
		stamped("Deny", "company:carol", "shop-leads", "system:authenticated"),
	}
	diff(t, "decisions", want, got)
}

// Without the stamp, as before Kubernetes 1.36, a decision has to say who decides, and is
// checked as ever.
func TestApprovalRequestWithoutStamp(t *testing.T) {
	object := request(t, nil)
	bob := as("company:bob", "shop-leads")
	const unstamped = "names no approver"
	await := func(t *testing.T, refused bool) {
		t.Helper()
		op := []map[string]any{{"op": "add", "path": "/spec/decisions/-", "value": decision("Deny")}}
		var last error
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, settle, true, func(context.Context) (bool, error) {
			// Any other answer, such as that the API server is busy, says nothing of the stamp.
			last = patchDryRun(t, bob, object, op)
			return !refused && last == nil || refused && last != nil && strings.Contains(last.Error(), unstamped), nil
		})
		if err != nil {
			t.Fatalf("the change of the binding is not in force: %v: last: %v", err, last)
		}
	}
	t.Run("WithoutStamp", func(t *testing.T) {
		binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{}
		if err := admin.Get(t.Context(), client.ObjectKey{Name: "doorward-approvalrequest-stamp"}, binding); err != nil {
			t.Fatal(err)
		}
		if err := admin.Delete(t.Context(), binding); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			binding.ObjectMeta = metav1.ObjectMeta{Name: binding.Name}
			if err := admin.Create(context.WithoutCancel(t.Context()), binding); err != nil {
				t.Errorf("cannot restore the binding: %v", err)
			}
		})
		await(t, true)
		expect(t, "an honest stamp", decide(t, bob, object, stamped("Approve", "company:bob", "shop-leads", "system:authenticated")), "")
		expect(t, "checklist 31: a forged one", decide(t, bob, object, stamped("Deny", "company:carol", "shop-leads", "system:authenticated")), "must be the user who makes it")
		expect(t, "none", decide(t, bob, object, decision("Deny")), unstamped)
	})
	await(t, false)
}
