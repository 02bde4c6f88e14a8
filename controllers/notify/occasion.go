// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// occasion is one event that may be told.
type occasion struct {
	event v1alpha1.NotifierEvent
	// at says when it came about; false where it did not, or is of no use any more.
	at func(*v1alpha1.ApprovalRequest) (time.Time, bool)
}

// occasions are all events, in the order in which they come about. Each is read from what
// the request is now, so that nothing is lost while nobody watches. Who is asked for a
// decision is not asked any more once there is one.
var occasions = []occasion{
	{v1alpha1.NotifyRequested, func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		return r.CreationTimestamp.Time, r.Status.Phase == v1alpha1.ApprovalPending && r.DecidedDigest() != ""
	}},
	{v1alpha1.NotifyApproved, func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		at, approved := became(r, v1alpha1.ConditionApproved)
		return at, approved && r.Status.BreakGlass == nil
	}},
	// It is told also where it is over by then: somebody did it.
	{v1alpha1.NotifyBreakGlass, func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		return became(r, v1alpha1.ConditionBreakGlass)
	}},
	{v1alpha1.NotifyDenied, over(v1alpha1.ApprovalDenied)},
	{v1alpha1.NotifyRevoked, func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		at, revoked := over(v1alpha1.ApprovalRevoked)(r)
		// Only what was in force has a time: a request that is taken back before is no news.
		s := r.Status.Session
		return at, revoked && (r.Spec.Scope != v1alpha1.ApprovalScopeSession || s != nil && !s.ExpiresAt.IsZero())
	}},
	{v1alpha1.NotifyExpired, over(v1alpha1.ApprovalExpired)},
	{v1alpha1.NotifyReviewDue, func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		at, complete := became(r, v1alpha1.ConditionComplete)
		return at, complete && r.AwaitsReview()
	}},
}

func over(phase v1alpha1.ApprovalPhase) func(*v1alpha1.ApprovalRequest) (time.Time, bool) {
	return func(r *v1alpha1.ApprovalRequest) (time.Time, bool) {
		at, complete := became(r, v1alpha1.ConditionComplete)
		return at, complete && r.Status.Phase == phase
	}
}

// became is since when a condition is True.
func became(r *v1alpha1.ApprovalRequest, condition string) (time.Time, bool) {
	c := meta.FindStatusCondition(r.Status.Conditions, condition)
	if c == nil || c.Status != metav1.ConditionTrue {
		return time.Time{}, false
	}
	return c.LastTransitionTime.Time, true
}

// recorded finds a notification that is over; nil where there is none.
func recorded(r *v1alpha1.ApprovalRequest, notifier string, event v1alpha1.NotifierEvent) *v1alpha1.Notification {
	i := slices.IndexFunc(r.Status.Notifications, func(n v1alpha1.Notification) bool { return n.Notifier == notifier && n.Event == event })
	if i < 0 {
		return nil
	}
	return &r.Status.Notifications[i]
}
