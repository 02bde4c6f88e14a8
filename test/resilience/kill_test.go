// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestHeldOperationDiesWithItsProxy kills the proxy while it holds an operation:
// no approval brings it back (checklist 35).
func TestHeldOperationDiesWithItsProxy(t *testing.T) {
	s := login(t, alice)
	statement, text := update(t, 50)
	h := mustHold(t, s, statement)
	if err := world.Proxy().Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.answer(t); err == nil {
		t.Error("the caller of a killed proxy was told that the statement ran")
	}
	h.approve(t, "bob", "dba")
	h.phase(t, v1alpha1.ApprovalApproved)
	startProxy(t)
	began := time.Now()
	object := h.phase(t, v1alpha1.ApprovalVoid)
	if condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionApproved); condition == nil || condition.Reason != v1alpha1.ReasonHolderGone {
		t.Errorf("condition Approved is %+v, want reason %s", condition, v1alpha1.ReasonHolderGone)
	}
	never(t, text)
	t.Logf("the approval of an operation whose proxy was killed is void %s after the proxy's return", time.Since(began).Round(time.Millisecond))
}
