// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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
