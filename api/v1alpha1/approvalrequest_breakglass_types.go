// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BreakGlassDeclaration says that a requester goes ahead without approvals.
// +kubebuilder:validation:Enum=Declared
type BreakGlassDeclaration string

// BreakGlassDeclared goes ahead without approvals.
const BreakGlassDeclared BreakGlassDeclaration = "Declared"

// ConditionBreakGlass of an ApprovalRequest is True once it went ahead without approvals.
const ConditionBreakGlass = "BreakGlass"

// ConditionReviewed of an ApprovalRequest that went ahead without approvals says whether
// somebody else has looked at it since. Its reasons are those of decisions, and these.
const ConditionReviewed = "Reviewed"

// Reasons of Reviewed of an ApprovalRequest.
const (
	// ReasonReviewAwaited surfaces when there is no review.
	ReasonReviewAwaited = "ReviewAwaited"

	// ReasonReviewed surfaces when there is one that counts.
	ReasonReviewed = "Reviewed"
)

// Further reasons of Accepted, Approved and Complete of an ApprovalRequest.
const (
	// ReasonBreakGlass surfaces when the request goes ahead without approvals.
	ReasonBreakGlass = "BreakGlass"

	// ReasonReviewsOutstanding surfaces when too many of what the requester did
	// without approvals is not reviewed yet.
	ReasonReviewsOutstanding = "ReviewsOutstanding"
)

// Review says that somebody other than the requester has looked at what was done without
// approvals. It is written with a JSON patch that tests /metadata/uid and adds /spec/review.
type Review struct {
	// operationDigest repeats status.session.digest.
	// +required
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	OperationDigest string `json:"operationDigest,omitempty"`

	// reason is what the review came to, for the requester and the record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[^\pC\p{Zl}\p{Zp}\x{34f}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{2800}\x{3164}\x{fe00}-\x{fe0f}\x{ffa0}\x{e0000}-\x{e0fff}]+$`
	Reason string `json:"reason,omitempty"`

	// reviewer is filled in at admission where it is absent, and must be the user of
	// the request where it is not. A review without it does not count.
	// +optional
	Reviewer *DecisionApprover `json:"reviewer,omitempty"`
}

// BreakGlassUse is what the manager keeps of an approval that nobody gave.
type BreakGlassUse struct {
	// reasonDigest is the SHA-256 of spec.session.reason, as sha256:<64 hex digits>.
	// Records of what was done carry it.
	// +required
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	ReasonDigest string `json:"reasonDigest,omitempty"`

	// enforcement names the unbroken time in which admission was proven to be
	// enforced and the manager saw the request without a review that counts, as 64
	// hex digits. A review that was first seen in another such time does not count.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	Enforcement string `json:"enforcement,omitempty"`

	// warnedAt is when the manager warned of it by Events. Unset means not yet.
	// +optional
	WarnedAt metav1.Time `json:"warnedAt,omitempty,omitzero"`
}

// AwaitsReview says that a request went ahead without approvals, and nobody whose review
// counts has looked at it since.
func (r *ApprovalRequest) AwaitsReview() bool {
	if r.Status.BreakGlass == nil {
		return false
	}
	for i := range r.Status.Conditions {
		if c := &r.Status.Conditions[i]; c.Type == ConditionReviewed {
			return c.Status != "True"
		}
	}
	return true
}
