// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

// Reason is why something was refused or ended, as a stable word of a closed
// vocabulary. Within one schema version, words may be added; none changes its meaning.
type Reason string

// The reasons of refusals.
const (
	// ReasonCredential: the caller could not be proven.
	ReasonCredential Reason = "CredentialRejected" //nolint:gosec // a word, not a credential
	// ReasonUnavailable: something the decision needs is missing: a snapshot,
	// proof of freshness, the log, an issuer. Trying again later may help.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonDraining: the proxy shuts down. Another one answers.
	ReasonDraining Reason = "Draining"
	// ReasonNotAllowed: no rule allows it.
	ReasonNotAllowed Reason = "NotAllowed"
	// ReasonDenied: a Deny rule forbids it.
	ReasonDenied Reason = "Denied"
	// ReasonProtocol: no policy can allow it; Doorward never forwards it.
	ReasonProtocol Reason = "NeverForwarded"
	// ReasonMasked: the answer could not be masked soundly.
	ReasonMasked Reason = "CannotMask"
	// ReasonApprovalRequired: it needs an approval for a time, which is asked for in
	// advance, and the caller has none.
	ReasonApprovalRequired Reason = "ApprovalRequired"
	// ReasonApprovalDenied: an approver said no.
	ReasonApprovalDenied Reason = "ApprovalDenied"
	// ReasonApprovalTimeout: nobody decided in time.
	ReasonApprovalTimeout Reason = "ApprovalTimeout"
	// ReasonApprovalVoid: the approval could not be used: stale, void or withdrawn.
	ReasonApprovalVoid Reason = "ApprovalVoid"
	// ReasonRequesterNotMapped: the caller has no Kubernetes name, so nobody
	// could tell him from his approver.
	ReasonRequesterNotMapped Reason = "RequesterNotMapped"
	// ReasonTargetRole: policies name different roles at the target.
	ReasonTargetRole Reason = "TargetRoleConflict"
	// ReasonLimit: a bound of the Connection or a limit of a policy is reached.
	ReasonLimit Reason = "LimitReached"
	// ReasonSessionEnded: the session was ended while the operation waited.
	ReasonSessionEnded Reason = "SessionEnded"
	// ReasonHandshake: a client broke the protocol, or left, before it was proven.
	ReasonHandshake Reason = "HandshakeFailed"
	// ReasonInvalid: a question about access was not understood.
	ReasonInvalid Reason = "InvalidQuestion"
	// ReasonCanceled: the caller gave up the operation.
	ReasonCanceled Reason = "Canceled"
)

// The reasons for which sessions end.
const (
	// EndClosed: the client left, or the protocol came to an end.
	EndClosed Reason = "Closed"
	// EndRevoked: a policy, a proof of identity or an approval that the session rested on
	// went away.
	EndRevoked Reason = "Revoked"
	// EndStale: the proxy had no proof of freshness, or no watch of what the session rested
	// on, for too long.
	EndStale Reason = "Stale"
	// EndExpired: the caller's proof of identity, or the session's time, ran out.
	EndExpired Reason = "Expired"
	// EndIdle: nothing happened for too long.
	EndIdle Reason = "Idle"
	// EndTerminated: somebody ended the session.
	EndTerminated Reason = "Terminated"
	// EndDraining: the proxy shut down.
	EndDraining Reason = "Draining"
	// EndRecord: the log took no more records.
	EndRecord Reason = "RecordFailed"
	// EndAdvisory: a detector that is no control took what the caller did for something that
	// a rule denies. Nothing was held back.
	EndAdvisory Reason = "Advisory"
	// EndOther: anything else.
	EndOther Reason = "Other"
)

// Reasons are all of them, each word once.
func Reasons() []Reason {
	return []Reason{
		ReasonCredential, ReasonUnavailable, ReasonDraining, ReasonNotAllowed, ReasonDenied, ReasonProtocol, ReasonMasked,
		ReasonApprovalRequired, ReasonApprovalDenied, ReasonApprovalTimeout, ReasonApprovalVoid, ReasonRequesterNotMapped, ReasonTargetRole, ReasonLimit,
		ReasonSessionEnded, ReasonHandshake, ReasonInvalid, ReasonCanceled,
		EndClosed, EndRevoked, EndStale, EndExpired, EndIdle, EndTerminated, EndRecord, EndAdvisory, EndOther,
	}
}
