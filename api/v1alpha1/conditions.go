// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types that several kinds have.
const (
	// ConditionReady sums an object up: True surfaces when it does what it says.
	ConditionReady = "Ready"

	// ConditionAccepted says whether the spec can be put into force. False surfaces
	// when a person has to change something; access then stays closed.
	ConditionAccepted = "Accepted"
)

// Reasons of Ready.
const (
	// ReasonReady surfaces when nothing is missing.
	ReasonReady = "Ready"

	// ReasonNotAccepted surfaces when Accepted is False.
	ReasonNotAccepted = "NotAccepted"

	// ReasonProgressing surfaces when the manager is still at work.
	ReasonProgressing = "Progressing"

	// ReasonNotReady surfaces when another condition says what is missing.
	ReasonNotReady = "NotReady"
)

// Reasons of Accepted.
const (
	// ReasonAccepted surfaces when the spec is in order.
	ReasonAccepted = "Accepted"

	// ReasonInvalid surfaces when the spec contradicts itself in a way that only
	// the manager can see.
	ReasonInvalid = "Invalid"

	// ReasonReferenceNotFound surfaces when a referenced object or key is missing.
	ReasonReferenceNotFound = "ReferenceNotFound"

	// ReasonUnsupportedProtocol surfaces on a Connection when no proxy speaks its
	// protocol.
	ReasonUnsupportedProtocol = "UnsupportedProtocol"

	// ReasonInvalidOptions surfaces on a Connection when the protocol refuses
	// spec.options.
	ReasonInvalidOptions = "InvalidOptions"

	// ReasonInvalidCertificateAuthority surfaces when certificates of authorities
	// cannot be parsed.
	ReasonInvalidCertificateAuthority = "InvalidCertificateAuthority"

	// ReasonUnknownPattern surfaces on an AccessPolicy when a glob, property or word
	// matches nothing that the protocol has, or asks for what it cannot do.
	ReasonUnknownPattern = "UnknownPattern"

	// ReasonInvalidRego surfaces on an AccessPolicy whose module of Rego does not
	// compile, or is none of a policy. The message names line and column.
	ReasonInvalidRego = "InvalidRego"

	// ReasonNoConnection surfaces on an AccessPolicy when no Connection of its
	// namespace has a name that it selects.
	ReasonNoConnection = "NoConnection"

	// ReasonPolicyAtFault surfaces on a Connection when an AccessPolicy that selects
	// it and restricts is not accepted; nobody is let through until it is repaired.
	ReasonPolicyAtFault = "PolicyAtFault"

	// ReasonVolatileLog surfaces on a Connection whose Managed proxy would keep its
	// only copy of records on a directory that goes with the pod.
	ReasonVolatileLog = "VolatileLog"

	// ReasonInvalidTemplate surfaces on a Notifier whose template cannot be read, asks
	// for what there is not, or does not make JSON where it should.
	ReasonInvalidTemplate = "InvalidTemplate"

	// ReasonIncompleteSecret surfaces on a LogSink or Notifier whose Secret lacks a
	// key. Proxies keep their records for the sink until the key is there.
	ReasonIncompleteSecret = "IncompleteSecret"

	// ReasonManagedProxiesLeftOut surfaces on a LogSink that is in order and of a
	// type that Managed proxies cannot write to, where there are some.
	ReasonManagedProxiesLeftOut = "ManagedProxiesLeftOut"

	// ReasonUsernameOverlap surfaces on the younger of two IdentityProviders that
	// could map two callers to one Kubernetes user name.
	ReasonUsernameOverlap = "UsernameOverlap"

	// ReasonDuplicateIssuer surfaces on the younger of two IdentityProviders with
	// the same issuer URL and a common audience, or with the same SAML entity ID.
	ReasonDuplicateIssuer = "DuplicateIssuer"
)

// ConditionCredentialAvailable of a Connection says whether proxies have the credential.
const ConditionCredentialAvailable = "CredentialAvailable" //nolint:gosec // The name of a condition or reason, no credential.

// Reasons of CredentialAvailable.
const (
	// ReasonCredentialAvailable surfaces when every live proxy has the credential.
	ReasonCredentialAvailable = "CredentialAvailable" //nolint:gosec // The name of a condition or reason, no credential.

	// ReasonSecretNotFound surfaces when the credential Secret does not exist.
	ReasonSecretNotFound = "SecretNotFound"

	// ReasonWrongSecretType surfaces when the Secret is not of type
	// doorward.dev/credential; on a LogSink, when it is neither of type
	// doorward.dev/sink-credential nor Opaque; on a Notifier, when it is not of type
	// doorward.dev/notifier-credential.
	ReasonWrongSecretType = "WrongSecretType"

	// ReasonCredentialRejected surfaces when a proxy reports that the credential
	// lacks a key or may not be used for this Connection or its targets.
	ReasonCredentialRejected = "CredentialRejected" //nolint:gosec // The name of a condition or reason, no credential.

	// ReasonCredentialUnknown surfaces when no proxy has reported on it yet.
	ReasonCredentialUnknown = "CredentialUnknown" //nolint:gosec // The name of a condition or reason, no credential.
)

// ConditionServingCertificateReady of a Connection says whether its proxies have a
// certificate that callers can verify.
const ConditionServingCertificateReady = "ServingCertificateReady"

// Reasons of ServingCertificateReady.
const (
	// ReasonCertificateIssued surfaces when the certificate is valid and not due.
	ReasonCertificateIssued = "CertificateIssued"

	// ReasonCertificateFailed surfaces when it could not be issued.
	ReasonCertificateFailed = "CertificateFailed"
)

// ConditionSnapshotPublished of a Connection says whether its present state has reached
// the snapshot that proxies run on.
const ConditionSnapshotPublished = "SnapshotPublished"

// Reasons of SnapshotPublished.
const (
	// ReasonPublished surfaces when the snapshot holds the present state.
	ReasonPublished = "Published"

	// ReasonPublishFailed surfaces when the snapshot could not be written.
	ReasonPublishFailed = "PublishFailed"

	// ReasonSnapshotTooLarge surfaces when the snapshot does not fit a Secret. The
	// previous one stays, narrowed by what was revoked since.
	ReasonSnapshotTooLarge = "SnapshotTooLarge"
)

// ConditionRecordDurable of a Connection says whether there is where its records can be kept
// as spec.audit.durability asks. While there is not, operations are refused.
const ConditionRecordDurable = "RecordDurable"

// Reasons of RecordDurable.
const (
	// ReasonLocalDisk surfaces when records are kept on the proxies' own disks.
	ReasonLocalDisk = "LocalDisk"

	// ReasonRemoteSink surfaces when there is a LogSink of a remote type.
	ReasonRemoteSink = "RemoteSink"

	// ReasonNoRemoteSink surfaces when durability is Remote and no accepted LogSink
	// is of a remote type.
	ReasonNoRemoteSink = "NoRemoteSink"
)

// ConditionProxyAvailable of a Connection says whether a proxy serves it.
const ConditionProxyAvailable = "ProxyAvailable"

// Reasons of ProxyAvailable.
const (
	// ReasonProxyServing surfaces when at least one proxy runs the present snapshot.
	ReasonProxyServing = "ProxyServing"

	// ReasonNoProxy surfaces when no proxy has reported lately.
	ReasonNoProxy = "NoProxy"

	// ReasonProxyBehind surfaces when proxies report, but none runs the present
	// snapshot.
	ReasonProxyBehind = "ProxyBehind"

	// ReasonProxyDegraded surfaces when a proxy reports what keeps it from serving.
	ReasonProxyDegraded = "ProxyDegraded"

	// ReasonDuplicateInstance surfaces when two live proxies use one instance id.
	ReasonDuplicateInstance = "DuplicateInstance"
)

// ConditionReachable of a LogSink says whether proxies reach the sink; of a Notifier,
// whether its receiver takes what it is told.
const ConditionReachable = "Reachable"

// Reasons of Reachable of a LogSink or a Notifier.
const (
	// ReasonDelivering surfaces when the sink took the last batch of every proxy; on a
	// Notifier, when the receiver took the last notification.
	ReasonDelivering = "Delivering"

	// ReasonNothingSent surfaces on a Notifier when there was nothing to tell yet.
	ReasonNothingSent = "NothingSent"

	// ReasonPartlyUnreachable surfaces when the last batch of some proxies failed.
	ReasonPartlyUnreachable = "PartlyUnreachable"

	// ReasonNoReport surfaces when no proxy has reported on the sink yet.
	ReasonNoReport = "NoReport"
)

// ConditionIsolated of a Connection says whether the way round the proxy is closed.
const ConditionIsolated = "Isolated"

// Reasons of Isolated.
const (
	// ReasonDirectWayClosed surfaces, as True, when the manager could not reach the
	// target although it reaches the proxies, and a proxy does reach the target.
	ReasonDirectWayClosed = "DirectWayClosed"

	// ReasonNotRequested surfaces when spec.isolation is unset.
	ReasonNotRequested = "NotRequested"

	// ReasonForeignLogins surfaces when somebody is, or was within the last 24
	// hours, logged in at the target with the stored credential's role whom no proxy
	// logged in.
	ReasonForeignLogins = "ForeignLogins"

	// ReasonSharedNamespace surfaces when pods that are neither proxies nor the
	// isolated target run in the Connection's namespace.
	ReasonSharedNamespace = "SharedNamespace"

	// ReasonHostNetwork surfaces when pods of the target are on their node's own
	// network, to which no NetworkPolicy applies.
	ReasonHostNetwork = "HostNetwork"

	// ReasonDirectWayOpen surfaces when the manager could connect to the target.
	ReasonDirectWayOpen = "DirectWayOpen"

	// ReasonOtherPolicies surfaces when other NetworkPolicies let others than the
	// proxies reach the target's ports: policies add up.
	ReasonOtherPolicies = "OtherPolicies"

	// ReasonNotApplicable surfaces, as Unknown, when nothing in this cluster can
	// close the way: the proxy is External, or the target runs elsewhere.
	ReasonNotApplicable = "NotApplicable"

	// ReasonTargetNotFound surfaces, as Unknown, when podSelector selects no pod.
	ReasonTargetNotFound = "TargetNotFound"

	// ReasonNotProbed surfaces, as Unknown, when the direct way was not tried lately, or
	// trying said nothing.
	ReasonNotProbed = "NotProbed"

	// ReasonEnforcementUnknown surfaces, as Unknown, when the direct way did not
	// open and nothing shows that the NetworkPolicy is why.
	ReasonEnforcementUnknown = "EnforcementUnknown"

	// ReasonLoginsUnknown surfaces, as Unknown, when the direct way did not open and a
	// proxy cannot tell of all who are logged in at the target.
	ReasonLoginsUnknown = "LoginsUnknown"
)

// ConditionApproved of an ApprovalRequest says whether its holder may use it.
const ConditionApproved = "Approved"

// ConditionComplete of an ApprovalRequest or AuditSession says whether nothing can change
// any more; of an AuditLog, whether the log was closed in order.
const ConditionComplete = "Complete"

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

// ConditionIssuerReachable of an IdentityProvider says whether the manager can read the
// issuer's discovery document and keys.
const ConditionIssuerReachable = "IssuerReachable"

// Reasons of IssuerReachable.
const (
	// ReasonDiscovered surfaces when discovery document and keys were read.
	ReasonDiscovered = "Discovered"

	// ReasonUnreachable surfaces when they could not be read; on a LogSink, when
	// the last batch of every proxy failed; on a Notifier, when the last attempt did.
	ReasonUnreachable = "Unreachable"

	// ReasonNotNeeded surfaces when tokens are verified by TokenReview, so that nobody
	// reads the issuer's keys.
	ReasonNotNeeded = "NotNeeded"

	// ReasonIssuerMismatch surfaces when the discovery document names another issuer.
	ReasonIssuerMismatch = "IssuerMismatch"
)

// ConditionMetadataCurrent of an IdentityProvider of type SAML says whether its metadata,
// and with it the certificates that assertions are verified by, are good for a while yet.
const ConditionMetadataCurrent = "MetadataCurrent"

// Reasons of MetadataCurrent.
const (
	// ReasonCurrent surfaces when they are good for more than 30 days.
	ReasonCurrent = "Current"

	// ReasonExpiresSoon surfaces when they are not. Ready is True all the same.
	ReasonExpiresSoon = "ExpiresSoon"

	// ReasonMetadataExpired surfaces when nobody can log in any more.
	ReasonMetadataExpired = "MetadataExpired"
)

// Reasons of Complete of an AuditSession.
const (
	// ReasonSessionActive surfaces when the session goes on.
	ReasonSessionActive = "SessionActive"

	// ReasonSessionEnded surfaces when the proxy reported its end.
	ReasonSessionEnded = "SessionEnded"

	// ReasonSessionLost surfaces when its proxy is gone without a report.
	ReasonSessionLost = "SessionLost"
)

// ConditionSharedCredential of an AuditSession says that the caller's credential was found
// to be used from several places. It is there where that is so, and then stays.
const ConditionSharedCredential = "SharedCredential" //nolint:gosec // a word, not a credential

// Reasons of SharedCredential of an AuditSession.
const (
	// ReasonSeveralPlaces surfaces when sessions from different networks overlapped, or
	// one followed the other within minutes.
	ReasonSeveralPlaces = "SeveralPlaces"
)

// ConditionConsistent of an AuditLog says whether everything that the witness was shown of
// the log is of one and the same log. Once False, it stays False.
const ConditionConsistent = "Consistent"

// Reasons of Consistent of an AuditLog.
const (
	// ReasonConsistent surfaces when each checkpoint continued the one before it.
	ReasonConsistent = "Consistent"

	// ReasonRolledBack surfaces when a checkpoint covers fewer records than the
	// witness has seen: an older copy of the log was put in place.
	ReasonRolledBack = "RolledBack"

	// ReasonForked surfaces when a checkpoint is properly signed and does not
	// continue the one that the witness holds: records were rewritten.
	ReasonForked = "Forked"

	// ReasonBadProof surfaces when the proof that a checkpoint continues the last
	// one is wrong, or an earlier checkpoint was shown as one that does.
	ReasonBadProof = "BadProof"

	// ReasonBadSignature surfaces when a checkpoint or a key rotation is not signed
	// by the log's key.
	ReasonBadSignature = "BadSignature"

	// ReasonClaimed surfaces when another proxy instance, or the proxy of another
	// Connection, shows checkpoints of the log as its own.
	ReasonClaimed = "Claimed"
)

// Reasons of Complete of an AuditLog.
const (
	// ReasonLogOpen surfaces when a live proxy writes the log.
	ReasonLogOpen = "LogOpen"

	// ReasonLogClosed surfaces when the proxy closed the log in order.
	ReasonLogClosed = "LogClosed"

	// ReasonLogEnded surfaces when the proxy is gone and did not close the log.
	ReasonLogEnded = "LogEnded"
)
