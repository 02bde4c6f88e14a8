// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogSinkProxyStatus is how a sink takes the records of one proxy instance.
type LogSinkProxyStatus struct {
	// namespace of the Connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// connection is the name of the Connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Connection string `json:"connection,omitempty"`

	// instance is the id of the proxy instance.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Instance string `json:"instance,omitempty"`

	// lag is the number of records that the sink has not acknowledged.
	// +required
	// +kubebuilder:validation:Minimum=0
	Lag int64 `json:"lag"`

	// lastAcknowledged is when the sink last acknowledged records. Unset means not
	// since the proxy started.
	// +optional
	LastAcknowledged *metav1.Time `json:"lastAcknowledged,omitempty"`

	// message says why the last attempt failed, or how many records the sink
	// missed. Unset means that nothing is wrong.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// LogSinkStatus is what the manager observed of a LogSink.
type LogSinkStatus struct {
	// conditions are the observations of the sink's state. Known types are Ready,
	// Accepted and Reachable.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// observedProxies is the number of proxy instances that reported on the sink
	// lately.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedProxies *int32 `json:"observedProxies,omitempty"`

	// lag is the greatest number of records that one proxy has not delivered.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Lag *int64 `json:"lag,omitempty"`

	// lastAcknowledged is the oldest of the times at which the sink last
	// acknowledged records of a proxy. Unset where it has not acknowledged
	// anything of one of them.
	// +optional
	LastAcknowledged *metav1.Time `json:"lastAcknowledged,omitempty"`

	// proxies are the instances that reported, the worst first: those with an
	// error, then those most behind. At most 64 are listed.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=connection
	// +listMapKey=instance
	// +kubebuilder:validation:MaxItems=64
	Proxies []LogSinkProxyStatus `json:"proxies,omitempty"`
}
