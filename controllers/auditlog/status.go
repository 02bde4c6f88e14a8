// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

func open() kit.Verdict {
	return kit.False(v1alpha1.ConditionComplete, v1alpha1.ReasonLogOpen, "The proxy goes on with the log.")
}

func closed(size int64) kit.Verdict {
	return kit.True(v1alpha1.ConditionComplete, v1alpha1.ReasonLogClosed, fmt.Sprintf("The proxy closed the log in order after %d records.", size))
}

func ended(size int64) kit.Verdict {
	return kit.False(v1alpha1.ConditionComplete, v1alpha1.ReasonLogEnded, fmt.Sprintf(
		"The proxy is gone and did not close the log: records from index %d on may be missing.", size))
}

// writeStatus writes the conditions and sums them up. A zero verdict leaves
// Complete as it is.
func writeStatus(log *v1alpha1.AuditLog, complete kit.Verdict) {
	status := &log.Status
	if _, is := distrusted(log); !is {
		kit.Write(&status.Conditions, log.Generation,
			kit.True(v1alpha1.ConditionConsistent, v1alpha1.ReasonConsistent, "Each checkpoint continued the one before it."))
	}
	if complete.Type != "" {
		kit.Write(&status.Conditions, log.Generation, complete)
	}
	status.ObservedGeneration = log.Generation
	status.State = state(log)
}

func state(log *v1alpha1.AuditLog) v1alpha1.AuditLogState {
	if _, is := distrusted(log); is {
		return v1alpha1.AuditLogConflict
	}
	switch completeReason(log) {
	case v1alpha1.ReasonLogClosed:
		return v1alpha1.AuditLogClosed
	case v1alpha1.ReasonLogEnded:
		return v1alpha1.AuditLogEnded
	default:
		return v1alpha1.AuditLogOpen
	}
}

// distrusted says whether the log was ever in conflict, and why.
func distrusted(log *v1alpha1.AuditLog) (reason string, is bool) {
	c := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionConsistent)
	if c == nil || c.Status != metav1.ConditionFalse {
		return "", false
	}
	return c.Reason, true
}

func completeReason(log *v1alpha1.AuditLog) string {
	if c := meta.FindStatusCondition(log.Status.Conditions, v1alpha1.ConditionComplete); c != nil {
		return c.Reason
	}
	return ""
}

// over says whether the witness expects no more of the log.
func over(log *v1alpha1.AuditLog) bool {
	reason := completeReason(log)
	return reason == v1alpha1.ReasonLogClosed || reason == v1alpha1.ReasonLogEnded
}

func lastSeen(log *v1alpha1.AuditLog) time.Time {
	if at := log.Status.LastSeen; at != nil {
		return at.Time
	}
	return log.CreationTimestamp.Time
}
