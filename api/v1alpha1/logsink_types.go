// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogSinkType says where records go.
// +kubebuilder:validation:Enum=Stdout;File
type LogSinkType string

const (
	// LogSinkStdout writes records to the standard output of the proxy.
	LogSinkStdout LogSinkType = "Stdout"

	// LogSinkFile writes records to files beside the proxy.
	LogSinkFile LogSinkType = "File"
)

// FileSink says where files of records are kept.
type FileSink struct {
	// directory is an absolute directory that the proxy can write.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.split('/').exists(p, p == '..' || p == '.')",message="directory must be absolute and without '.' or '..' parts"
	Directory string `json:"directory,omitempty"`

	// maxFileBytes begins another file when one has that size. Unset means
	// 134217728 (128 MiB). Files are never deleted.
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=1099511627776
	MaxFileBytes int64 `json:"maxFileBytes,omitempty"`
}

// LogSinkSpec says where records go.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'File' ? has(self.file) : !has(self.file)",message="file is required when type is File, and forbidden otherwise"
type LogSinkSpec struct {
	// type is Stdout or File.
	// +unionDiscriminator
	// +required
	Type LogSinkType `json:"type,omitempty"`

	// file writes records to files beside the proxy.
	// +unionMember
	// +optional
	File *FileSink `json:"file,omitempty"`
}

// LogSinkStatus is what the manager observed of a LogSink.
type LogSinkStatus struct {
	// conditions are the observations of the sink's state. Known types are Ready
	// and Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// LogSink is where every proxy of the cluster sends its records, besides its own log.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=sink
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type",description="Where records go"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether proxies are told to use the sink"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type LogSink struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec LogSinkSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status LogSinkStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (s *LogSink) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (s *LogSink) SetConditions(conditions []metav1.Condition) { s.Status.Conditions = conditions }

// LogSinkList is a list of LogSinks.
// +kubebuilder:object:root=true
type LogSinkList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the LogSinks.
	Items []LogSink `json:"items"`
}
