// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// updateBinding puts the policy on decisions in force.
const updateBinding = "doorward-approvalrequest-update"

// TestForgedStampStaysVoid deletes the binding of the admission policy, forges a
// full stamp while nothing refuses it, and restores the binding: the request
// stays void and nothing is executed (checklist 31: admission removed or bypassed).
func TestForgedStampStaysVoid(t *testing.T) {
	for name, tc := range map[string]struct {
		reason        string
		before, after func(t *testing.T)
	}{
		"ManagerWatching": {
			reason: "the manager sees the binding go, or the forged stamp first, or both at once",
			before: func(*testing.T) {},
			after:  func(*testing.T) {},
		},
		"ManagerDead": {
			reason: "nobody watches: all looks well again when the manager comes back",
			before: func(t *testing.T) {
				t.Helper()
				if err := world.KillManager(); err != nil {
					t.Fatal(err)
				}
			},
			after: startManager,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s := login(t, alice)
			statement, text := update(t, 30)
			h := mustHold(t, s, statement)
			tc.before(t)
			restore := deleteBinding(t)
			forge(t, h)
			restore()
			tc.after(t)
			began := time.Now()
			said := refusal(t, h.answer(t))
			wants(t, said, codeInsufficient, "Void", v1alpha1.ReasonAdmissionNotEnforced)
			took := time.Since(began)
			object := h.phase(t, v1alpha1.ApprovalVoid)
			condition := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionApproved)
			if condition == nil || condition.Reason != v1alpha1.ReasonAdmissionNotEnforced {
				t.Errorf("condition Approved is %+v, want reason %s", condition, v1alpha1.ReasonAdmissionNotEnforced)
			}
			if len(object.Spec.Decisions) != 1 || object.Spec.Use != nil {
				t.Errorf("the request holds %d decisions and use %v, want the forged one and no use", len(object.Spec.Decisions), object.Spec.Use)
			}
			awaitEnforced(t, s)
			// It stays so, now that all is proven to be well.
			h.phase(t, v1alpha1.ApprovalVoid)
			never(t, text)
			t.Logf("void, and the caller told, %s after all was restored", took.Round(time.Millisecond))
		})
	}
}

// deleteBinding takes the admission policy out of force; restore puts it back.
func deleteBinding(t *testing.T) (restore func()) {
	t.Helper()
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
	if err := world.Admin.Get(t.Context(), client.ObjectKey{Name: updateBinding}, binding); err != nil {
		t.Fatal(err)
	}
	if err := world.Admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	again := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: binding.Name, Labels: binding.Labels, Annotations: binding.Annotations}, Spec: binding.Spec,
	}
	restore = func() {
		if err := world.Admin.Create(context.WithoutCancel(t.Context()), again.DeepCopy()); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// forge writes an approval in bob's name, with all that a real one has, as soon
// as the API server lets it.
func forge(t *testing.T, h *held) {
	t.Helper()
	await(t, "the forged stamp", func(ctx context.Context) error {
		return h.decide(ctx, world.Admin, v1alpha1.Decision{
			Verdict:  v1alpha1.VerdictApprove,
			Approver: &v1alpha1.DecisionApprover{Username: "bob", Groups: []string{"dba", "system:authenticated"}},
		})
	})
}

// awaitEnforced waits until an honest approval works again.
func awaitEnforced(t *testing.T, s *session) {
	t.Helper()
	bob := person(t, "bob", "dba")
	await(t, "approvals after the restoration", func(ctx context.Context) error {
		statement, _ := update(t, 31)
		h := hold(t, s, statement)
		if h == nil {
			return errors.New("no approval could be asked for")
		}
		decided := h.decide(ctx, bob, v1alpha1.Decision{Verdict: v1alpha1.VerdictApprove})
		if decided != nil && !strings.Contains(decided.Error(), "the request is over") {
			t.Fatalf("bob cannot approve: %v", decided)
		}
		return h.answer(t)
	})
}
