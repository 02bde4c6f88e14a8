// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ConditionApproved of an ApprovalRequest says whether its holder may use it.
const ConditionApproved = "Approved"

// Reasons of Accepted, Approved and Complete of an ApprovalRequest.
const (
	// ReasonPending surfaces when approvals are missing.
	ReasonPending = "Pending"

	// ReasonApproved surfaces when the terms of every rule are met.
	ReasonApproved = "Approved"

	// ReasonDenied surfaces when an approver denied.
	ReasonDenied = "Denied"

	// ReasonExpired surfaces when status.expiresAt has passed.
	ReasonExpired = "Expired"

	// ReasonStale surfaces when the Connection or a policy is not the one that the
	// request is bound to any more.
	ReasonStale = "Stale"

	// ReasonRevoked surfaces when spec.revoke is set.
	ReasonRevoked = "Revoked"

	// ReasonQuotaExceeded surfaces when the requester had too many requests, that
	// waited or in all, when this one was made.
	ReasonQuotaExceeded = "QuotaExceeded"

	// ReasonUsed surfaces when spec.use is set.
	ReasonUsed = "Used"

	// ReasonHolderGone surfaces when the session that holds the operation ended.
	ReasonHolderGone = "HolderGone"

	// ReasonAdmissionNotEnforced surfaces on a request, and as the reason of a void
	// decision, when the admission policies were not proven to be in force.
	ReasonAdmissionNotEnforced = "AdmissionNotEnforced"

	// ReasonTermsMismatch surfaces when the request names other approvers or fewer
	// approvals than the rules it is bound to.
	ReasonTermsMismatch = "TermsMismatch"
)

// Reasons of a decision in the status of an ApprovalRequest.
const (
	// ReasonCounted surfaces when the decision counts.
	ReasonCounted = "Counted"

	// ReasonNotStamped surfaces when the decision names no approver.
	ReasonNotStamped = "NotStamped"

	// ReasonSelfApproval surfaces when the approver is the requester.
	ReasonSelfApproval = "SelfApproval"

	// ReasonNotEntitled surfaces when the approver is not named by the rules or
	// lacks the verb approve on the Connection.
	ReasonNotEntitled = "NotEntitled"

	// ReasonDigestMismatch surfaces when the decision is for another operation.
	ReasonDigestMismatch = "DigestMismatch"

	// ReasonRepeated surfaces when the same approver decided before.
	ReasonRepeated = "Repeated"

	// ReasonTooLate surfaces when the request was complete before the decision.
	ReasonTooLate = "TooLate"
)
