// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditLogSpec says whose log this is.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the spec of an AuditLog cannot be changed"
type AuditLogSpec struct {
	// connectionRef is the Connection whose proxy keeps the log.
	// +required
	ConnectionRef ConnectionReference `json:"connectionRef,omitzero"`

	// instance is the id of the proxy instance that keeps the log.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Instance string `json:"instance,omitempty"`
}

// AuditLogState sums a log up.
// +kubebuilder:validation:Enum=Open;Closed;Ended;Conflict
type AuditLogState string

const (
	// AuditLogOpen is written by a live proxy.
	AuditLogOpen AuditLogState = "Open"

	// AuditLogClosed ends with a checkpoint that says so: the proxy stopped in order.
	AuditLogClosed AuditLogState = "Closed"

	// AuditLogEnded has a proxy that is gone without a closing checkpoint: records
	// after the last checkpoint may be missing.
	AuditLogEnded AuditLogState = "Ended"

	// AuditLogConflict was shown to the witness in two forms that exclude each
	// other: it was rolled back, forked or rewritten, or somebody has its key.
	AuditLogConflict AuditLogState = "Conflict"
)

// AuditLogStatus is what the manager, as the witness, holds of a log. It is enough to
// verify a copy of the log without the proxy.
type AuditLogStatus struct {
	// conditions are the observations of the log's state. Known types are
	// Consistent and Complete.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// state sums the log up.
	// +optional
	State AuditLogState `json:"state,omitempty"`

	// size is the number of records that checkpoint covers.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Size int64 `json:"size,omitempty"`

	// checkpoint is the newest checkpoint that was consistent with all before it:
	// a signed note with the signatures of the log and of the witness.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Checkpoint string `json:"checkpoint,omitempty"`

	// checkpointTime is when the witness countersigned checkpoint.
	// +optional
	CheckpointTime *metav1.Time `json:"checkpointTime,omitempty"`

	// keys are the log's verification keys in the form of signed notes, oldest
	// first. The first makes the log's id, the last signs now.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Keys []string `json:"keys,omitempty"`

	// rotations are the signed notes by which each key names the next: one fewer
	// than keys, in the same order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=63
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=2048
	Rotations []string `json:"rotations,omitempty"`

	// certificate is the note by which the witness says which Connection and
	// instance the log's first key belongs to, and since when.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Certificate string `json:"certificate,omitempty"`

	// firstSeen is when the witness first heard of the log.
	// +optional
	FirstSeen *metav1.Time `json:"firstSeen,omitempty"`

	// lastSeen is when the log's proxy last showed a checkpoint.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
}

// AuditLog is what the witness holds of one log of one proxy instance: its keys and its
// newest checkpoint, countersigned. Its name is the log's id. The manager alone writes it,
// and it outlives the proxy and its Connection, so that a log that went missing shows.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=doorward,shortName=alog
// +kubebuilder:printcolumn:name="Connection",type="string",JSONPath=".spec.connectionRef.name",description="Connection of the log"
// +kubebuilder:printcolumn:name="Instance",type="string",JSONPath=".spec.instance",description="Proxy instance that keeps the log"
// +kubebuilder:printcolumn:name="State",type="string",JSONPath=".status.state",description="Open, Closed, Ended or Conflict"
// +kubebuilder:printcolumn:name="Records",type="integer",JSONPath=".status.size",description="Records that the newest checkpoint covers"
// +kubebuilder:printcolumn:name="Checkpoint",type="date",JSONPath=".status.checkpointTime",description="Time since the newest checkpoint"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[0-9a-f]{32}$')",message="the name of an AuditLog is the id of its log: 32 lower-case hexadecimal digits"
type AuditLog struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says whose log this is.
	// +required
	Spec AuditLogSpec `json:"spec,omitzero"`

	// status is what the witness holds of it.
	// +optional
	Status AuditLogStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (l *AuditLog) GetConditions() []metav1.Condition { return l.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (l *AuditLog) SetConditions(conditions []metav1.Condition) { l.Status.Conditions = conditions }

// AuditLogList is a list of AuditLogs.
// +kubebuilder:object:root=true
type AuditLogList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the AuditLogs.
	Items []AuditLog `json:"items"`
}
