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

	// ReasonUnreachable surfaces when the last batch of every proxy failed; on a Notifier,
	// when the last attempt did; on an IdentityProvider, as the reason of
	// IssuerReachable, when discovery document or keys could not be read.
	ReasonUnreachable = "Unreachable"

	// ReasonPartlyUnreachable surfaces when the last batch of some proxies failed.
	ReasonPartlyUnreachable = "PartlyUnreachable"

	// ReasonNoReport surfaces when no proxy has reported on the sink yet.
	ReasonNoReport = "NoReport"
)

// ConditionComplete of an ApprovalRequest or AuditSession says whether nothing can change
// any more; of an AuditLog, whether the log was closed in order.
const ConditionComplete = "Complete"
