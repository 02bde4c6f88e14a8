// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ActorKind tells people, machines and AI agents apart.
// +kubebuilder:validation:Enum=Human;Workload;Agent
type ActorKind string

const (
	// ActorHuman is a person.
	ActorHuman ActorKind = "Human"

	// ActorWorkload is a program that acts for itself.
	ActorWorkload ActorKind = "Workload"

	// ActorAgent is an AI agent.
	ActorAgent ActorKind = "Agent"
)

// DelegateActor is one link of a chain of delegation.
type DelegateActor struct {
	// issuer of the delegate. Unset means the issuer of the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// subject of the delegate.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`
}

// Actor is the proven caller of a session.
type Actor struct {
	// issuer is the iss claim of the caller's token.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// subject is the sub claim of the caller's token.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`

	// username is the mapped user name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Username string `json:"username,omitempty"`

	// kubernetesUsername is the API server's name for the same actor. Unset where
	// the IdentityProvider does not map to one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	KubernetesUsername string `json:"kubernetesUsername,omitempty"`

	// groups are the mapped groups.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`

	// kind is Human, Workload or Agent.
	// +required
	Kind ActorKind `json:"kind,omitempty"`

	// identityProvider is the IdentityProvider that proved the caller.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	IdentityProvider string `json:"identityProvider,omitempty"`

	// authenticationMethod is how the caller authenticated, for example oidc.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	AuthenticationMethod string `json:"authenticationMethod,omitempty"`

	// proofID tells the credential that proved the caller from all others, and is not the
	// credential: records and sessions of one have the same. Unset where nothing does.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9a-f]+$`
	ProofID string `json:"proofID,omitempty"`

	// delegation is the chain of actors that act for the caller, outermost first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Delegation []DelegateActor `json:"delegation,omitempty"`
}

// Termination asks the proxy to end a session.
type Termination struct {
	// reason is shown to the caller and kept on record.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Reason string `json:"reason,omitempty"`
}

// AuditSessionSpec says whose session this is. Everything but terminate, which is set
// once, is immutable.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.terminate) || (has(self.terminate) && self.terminate == oldSelf.terminate)",message="terminate cannot be changed once it is set"
type AuditSessionSpec struct {
	// connectionRef is the Connection.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="connectionRef cannot be changed"
	ConnectionRef ConnectionReference `json:"connectionRef,omitzero"`

	// actor is the proven caller.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="actor cannot be changed"
	Actor Actor `json:"actor,omitzero"`

	// clientAddress is where the caller came from, as host:port.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clientAddress cannot be changed"
	ClientAddress string `json:"clientAddress,omitempty"`

	// proxyInstance is the id of the proxy instance that serves the session.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="proxyInstance cannot be changed"
	ProxyInstance string `json:"proxyInstance,omitempty"`

	// startedAt is when the caller was let in.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="startedAt cannot be changed"
	StartedAt metav1.Time `json:"startedAt,omitempty,omitzero"`

	// terminate ends the session. It can be set once and not be taken back.
	// +optional
	Terminate *Termination `json:"terminate,omitempty"`
}

// SessionPhase sums a session up.
// +kubebuilder:validation:Enum=Active;Ended;Lost
type SessionPhase string

const (
	// SessionActive goes on.
	SessionActive SessionPhase = "Active"

	// SessionEnded is over.
	SessionEnded SessionPhase = "Ended"

	// SessionLost has a proxy that is gone without saying how it ended.
	SessionLost SessionPhase = "Lost"
)

// OperationCounts counts the operations of a session.
type OperationCounts struct {
	// total number of operations.
	// +required
	// +kubebuilder:validation:Minimum=0
	Total int64 `json:"total"`

	// allowed is the number that was forwarded.
	// +required
	// +kubebuilder:validation:Minimum=0
	Allowed int64 `json:"allowed"`

	// denied is the number that was refused.
	// +required
	// +kubebuilder:validation:Minimum=0
	Denied int64 `json:"denied"`

	// held is the number that waited for an approval, whatever came of it.
	// +required
	// +kubebuilder:validation:Minimum=0
	Held int64 `json:"held"`

	// masked is the number in whose answers something was masked.
	// +required
	// +kubebuilder:validation:Minimum=0
	Masked int64 `json:"masked"`

	// failed is the number that the target answered with an error.
	// +required
	// +kubebuilder:validation:Minimum=0
	Failed int64 `json:"failed"`
}

// LogPosition says where the records of a session are.
type LogPosition struct {
	// id of the log.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ID string `json:"id,omitempty"`

	// firstRecord is the index of the session's first record.
	// +required
	// +kubebuilder:validation:Minimum=0
	FirstRecord int64 `json:"firstRecord"`

	// lastRecord is the index of the session's last record so far.
	// +required
	// +kubebuilder:validation:Minimum=0
	LastRecord int64 `json:"lastRecord"`
}

// AuditSessionStatus is what the proxy observed of a session.
type AuditSessionStatus struct {
	// conditions are the observations of the session's state. Known types are Complete
	// and SharedCredential.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase sums the session up.
	// +optional
	Phase SessionPhase `json:"phase,omitempty"`

	// endedAt is when the session ended.
	// +optional
	EndedAt *metav1.Time `json:"endedAt,omitempty"`

	// endReason says why the session ended.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	EndReason string `json:"endReason,omitempty"`

	// lastActivityAt is when the caller last sent something.
	// +optional
	LastActivityAt *metav1.Time `json:"lastActivityAt,omitempty"`

	// operations counts what the caller did.
	// +optional
	Operations *OperationCounts `json:"operations,omitempty"`

	// log says where the records of the session are.
	// +optional
	Log *LogPosition `json:"log,omitempty"`

	// breakGlass names the ApprovalRequests that operations of the session went ahead
	// by without approvals, the first 16.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	BreakGlass []string `json:"breakGlass,omitempty"`

	// snapshotRevision is the snapshot revision that the session runs under.
	// +optional
	// +kubebuilder:validation:Minimum=1
	SnapshotRevision int64 `json:"snapshotRevision,omitempty"`
}

// AuditSession is one session of one caller on one Connection. The proxy writes it; users
// with the right to patch it can set spec.terminate.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=doorward,shortName=as
// +kubebuilder:printcolumn:name="Connection",type="string",JSONPath=".spec.connectionRef.name",description="Connection of the session"
// +kubebuilder:printcolumn:name="Actor",type="string",JSONPath=".spec.actor.username",description="Proven caller"
// +kubebuilder:printcolumn:name="Kind",type="string",JSONPath=".spec.actor.kind",description="Human, Workload or Agent"
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase",description="Active, Ended or Lost"
// +kubebuilder:printcolumn:name="Operations",type="integer",JSONPath=".status.operations.total",description="Number of operations"
// +kubebuilder:printcolumn:name="Denied",type="integer",JSONPath=".status.operations.denied",description="Number of refused operations"
// +kubebuilder:printcolumn:name="Shared",type="string",JSONPath=".status.conditions[?(@.type==\"SharedCredential\")].status",description="Whether the caller's credential was found to be used from several places"
// +kubebuilder:printcolumn:name="Break-Glass",type="string",JSONPath=".status.breakGlass[*]",description="ApprovalRequests that it went ahead by without approvals",priority=10
// +kubebuilder:printcolumn:name="Client",type="string",JSONPath=".spec.clientAddress",description="Where the caller came from",priority=10
// +kubebuilder:printcolumn:name="End",type="string",JSONPath=".status.endReason",description="Why the session ended",priority=10
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type AuditSession struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says whose session this is.
	// +required
	Spec AuditSessionSpec `json:"spec,omitzero"`

	// status is what happened in it.
	// +optional
	Status AuditSessionStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (s *AuditSession) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (s *AuditSession) SetConditions(conditions []metav1.Condition) { s.Status.Conditions = conditions }

// AuditSessionList is a list of AuditSessions.
// +kubebuilder:object:root=true
type AuditSessionList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the AuditSessions.
	Items []AuditSession `json:"items"`
}
