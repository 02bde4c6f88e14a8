// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestTheLastIsTriedAgain: what failed is tried again although nothing else happens.
func TestTheLastIsTriedAgain(t *testing.T) {
	prepare(t, "last")
	c := newChat(t)
	var times atomic.Int64
	c.answers(func(received) int {
		if times.Add(1) == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	r := held(t, "last", "a", v1alpha1.ApprovalPending, time.Now().Add(time.Second))
	n := notifier(t, "last", c, func(n *v1alpha1.Notifier, _ *corev1.Secret) {
		n.Spec.Events = []v1alpha1.NotifierEvent{v1alpha1.NotifyApproved}
	})
	become(t, r, v1alpha1.ApprovalApproved, time.Now().Add(time.Second))
	start(t, nil) // no event comes after this
	result(t, r, n, v1alpha1.NotifyApproved, v1alpha1.NotificationSent)
	if got := c.count(r.Name, v1alpha1.NotifyApproved); got != 2 {
		t.Errorf("it was sent %d times", got)
	}
}

// TestEditKeepsWhatWaits: a changed selection loses nothing that the receiver had not
// taken, and sends nothing that it leaves out.
func TestEditKeepsWhatWaits(t *testing.T) {
	prepare(t, "kept")
	c := newChat(t)
	c.answers(func(received) int { return http.StatusInternalServerError })
	start(t, nil)
	n := notifier(t, "kept", c, nil)
	waits := held(t, "kept", "waits", v1alpha1.ApprovalPending, time.Now())
	c.awaits(t, waits.Name, v1alpha1.NotifyRequested)
	denied := held(t, "kept", "denied", v1alpha1.ApprovalDenied, time.Now())
	c.awaits(t, denied.Name, v1alpha1.NotifyDenied)
	condition(t, n, v1alpha1.ConditionReachable, "False Unreachable")
	// The beginning is kept in whole seconds: what waits must be of one before the edit's.
	await(t, "the next second", func() error {
		if time.Now().Truncate(time.Second).After(waits.CreationTimestamp.Time) {
			return nil
		}
		return errors.New("it is still the same second")
	})
	sent := c.count(denied.Name, v1alpha1.NotifyDenied)
	await(t, "the change", func() error {
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
			return err
		}
		n.Spec.Events = []v1alpha1.NotifierEvent{v1alpha1.NotifyRequested, v1alpha1.NotifyApproved}
		return admin.Update(t.Context(), n)
	})
	condition(t, n, v1alpha1.ConditionAccepted, "True Accepted")
	c.answers(func(received) int { return http.StatusOK })
	result(t, waits, n, v1alpha1.NotifyRequested, v1alpha1.NotificationSent)
	if got := c.count(denied.Name, v1alpha1.NotifyDenied); got > sent+1 { // one may have been on its way
		t.Errorf("what is selected no more was sent %d times after the edit", got-sent)
	}
}
