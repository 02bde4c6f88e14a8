// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
)

// maxSaid is the number of characters that are said of one decision.
const maxSaid = 512

// writeStatus writes what was judged. Where something kept it from being judged,
// the phase stays and the condition Accepted says what.
func writeStatus(s *scope, runErr error) {
	status := &s.request.Status
	if !s.judged {
		message := ""
		if runErr != nil {
			message = runErr.Error()
		}
		kit.Write(&status.Conditions, s.request.Generation, kit.Unknown(v1alpha1.ConditionAccepted, v1alpha1.ReasonPending, message))
		return
	}
	result := s.result
	status.ObservedGeneration = s.request.Generation
	status.Phase, status.Approvals, status.Decisions = result.Phase, result.Approvals, result.Decisions
	for i := range status.Decisions {
		status.Decisions[i].Message, _ = bounded(status.Decisions[i].Message, maxSaid)
	}
	status.MinimumApprovals, status.ExpiresAt = s.request.Spec.MinimumApprovals, s.request.Spec.ExpiresAt
	if s.request.Spec.Scope == v1alpha1.ApprovalScopeSession {
		status.Session, status.MinimumApprovals, status.ExpiresAt = result.Session, result.Minimum, metav1.NewTime(result.End)
	}
	if result.BreakGlass {
		writeBreakGlass(s)
	}
	accepted := kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	if result.Phase == v1alpha1.ApprovalVoid || result.Phase == v1alpha1.ApprovalStale {
		accepted = kit.False(v1alpha1.ConditionAccepted, result.Reason, result.Message)
	}
	approved := kit.False(v1alpha1.ConditionApproved, result.Reason, result.Message)
	if result.Phase == v1alpha1.ApprovalApproved || result.Phase == v1alpha1.ApprovalUsed {
		approved = kit.True(v1alpha1.ConditionApproved, result.Reason, result.Message)
	}
	complete := kit.False(v1alpha1.ConditionComplete, result.Reason, result.Message)
	if over(result.Phase) {
		complete = kit.True(v1alpha1.ConditionComplete, result.Reason, result.Message)
	}
	kit.Write(&status.Conditions, s.request.Generation, accepted, approved, complete)
}

// writeBreakGlass writes that a request went ahead without approvals, and needs a review.
func writeBreakGlass(s *scope) {
	status := &s.request.Status
	if status.BreakGlass == nil {
		status.BreakGlass = &v1alpha1.BreakGlassUse{ReasonDigest: reasonDigest(s.request)}
	}
	if s.enforcement != "" {
		status.BreakGlass.Enforcement = s.enforcement
	}
	reason, message := judgeReview(ReviewFacts{Request: &v1alpha1.ApprovalRequest{ObjectMeta: s.request.ObjectMeta}})
	kit.Write(&status.Conditions, s.request.Generation,
		kit.True(v1alpha1.ConditionBreakGlass, v1alpha1.ReasonBreakGlass, "it goes, or went, ahead without approvals"),
		kit.False(v1alpha1.ConditionReviewed, reason, message))
}

// completedAt is when the request was found to be over, and reviewed where it has to be.
func completedAt(request *v1alpha1.ApprovalRequest) time.Time {
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed); c != nil && c.Status == metav1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionComplete); c != nil {
		return c.LastTransitionTime.Time
	}
	return request.CreationTimestamp.Time
}
