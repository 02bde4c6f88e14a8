// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"fmt"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestVoidNeedsNoProof: checklist 38, what is void anyhow costs no proof of enforcement.
func TestVoidNeedsNoProof(t *testing.T) {
	o := newOffice(t, made("void", func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Rules[0].Rule = "none" }), made("good"))
	if r := o.judge(t, "void"); r.Status.Phase != v1alpha1.ApprovalVoid || o.believer.proofs != 0 {
		t.Errorf("phase %s after %d proofs, want Void after none", r.Status.Phase, o.believer.proofs)
	}
	if r := o.judge(t, "good"); r.Status.Phase != v1alpha1.ApprovalPending || o.believer.proofs != 1 {
		t.Errorf("phase %s after %d proofs, want Pending after one", r.Status.Phase, o.believer.proofs)
	}
}

// TestKeptIsBounded: checklist 38, what one requester makes and what is over counts as well;
// what is too much is deleted at once, and of nobody else.
func TestKeptIsBounded(t *testing.T) {
	void := func(r *v1alpha1.ApprovalRequest) { r.Status.Phase = v1alpha1.ApprovalVoid }
	var all []client.Object
	for i := range maxKept {
		all = append(all, made(fmt.Sprintf("a%04d", i), void))
	}
	o := newOffice(t, append(all, made("b"), made("c", func(r *v1alpha1.ApprovalRequest) { r.Spec.Requester.Username = "zoe" }))...)
	if r := o.judge(t, "b"); r != nil {
		t.Errorf("one too many is kept: %s", r.Status.Phase)
	}
	if r := o.judge(t, "c"); r == nil || r.Status.Phase != v1alpha1.ApprovalPending {
		t.Errorf("another's request: %+v", r)
	}
	if o.believer.proofs != 1 {
		t.Errorf("%d proofs, want one, for the other's", o.believer.proofs)
	}
}

// TestWaitingIsBounded: checklist 38, of requests that were made in one second nobody knows
// which came first; whichever is judged last is one too many.
func TestWaitingIsBounded(t *testing.T) {
	var all []client.Object
	for i := range maxWaiting {
		all = append(all, made(fmt.Sprintf("m%04d", i)))
	}
	o := newOffice(t, all...)
	for i := range maxWaiting - 1 {
		o.judge(t, fmt.Sprintf("m%04d", i))
	}
	// The last place is taken, which the cache does not have yet.
	o.places.taken[client.ObjectKey{Namespace: "shop", Name: fmt.Sprintf("m%04d", maxWaiting-1)}] = true
	for _, late := range []string{"a", "b"} {
		if err := o.client.Create(t.Context(), made(late)); err != nil {
			t.Fatal(err)
		}
		if r := o.judge(t, late); r.Status.Phase != v1alpha1.ApprovalVoid {
			t.Errorf("%s is %s, want Void: there are %d", late, r.Status.Phase, maxWaiting)
		}
		if r := o.judge(t, fmt.Sprintf("m%04d", maxWaiting-1)); r.Status.Phase != v1alpha1.ApprovalPending {
			t.Errorf("what had the last place is %s", r.Status.Phase)
		}
	}
	for name := range o.places.taken {
		o.judge(t, name.Name)
	}
	if n := len(o.places.taken); n != 0 {
		t.Errorf("%d places are kept that the cache knows of", n)
	}
}

// TestExcessWaitsItsTurn: checklist 38, who makes too many waits behind themselves, and nobody
// else does.
func TestExcessWaitsItsTurn(t *testing.T) {
	var all []client.Object
	for i := range maxWaiting {
		all = append(all, made(fmt.Sprintf("a%04d", i)))
	}
	o := newOffice(t, append(all, made("b"), made("c", func(r *v1alpha1.ApprovalRequest) { r.Spec.Requester.Username = "zoe" }))...)
	for range workers / 2 { // others are being judged
		o.excess <- struct{}{}
	}
	for range 2 {
		result, err := o.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: "shop", Name: "b"}})
		if err != nil || result.RequeueAfter < time.Second || o.believer.proofs != 0 {
			t.Errorf("judged after %d proofs, to come again in %s: %v", o.believer.proofs, result.RequeueAfter, err)
		}
	}
	if r := o.judge(t, "c"); r.Status.Phase != v1alpha1.ApprovalPending {
		t.Errorf("another's request is %q", r.Status.Phase)
	}
	<-o.excess
	if r := o.judge(t, "b"); r.Status.Phase != v1alpha1.ApprovalVoid {
		t.Errorf("in its turn it is %q", r.Status.Phase)
	}
}
