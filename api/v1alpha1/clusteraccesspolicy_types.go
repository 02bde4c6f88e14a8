// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NamespaceSelector selects namespaces by name or by labels.
// +kubebuilder:validation:ExactlyOneOf=name;matchLabels
type NamespaceSelector struct {
	// name is the name of a namespace. A '*' stands for any run of characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`
	Name string `json:"name,omitempty"`

	// matchLabels are labels that the namespace must all have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// ClusterAccessPolicySpec says what holds for its subjects on Connections of several
// namespaces, whatever AccessPolicies there say. It restricts and never lets through.
//
// +kubebuilder:validation:XValidation:rule="size(self.rules) + size(self.masks) + size(self.limits) > 0",message="at least one rule, mask or limit is required"
// +kubebuilder:validation:XValidation:rule="self.rules.all(r, r.effect != 'Allow')",message="a ClusterAccessPolicy has no Allow rules; write an AccessPolicy in the namespace"
type ClusterAccessPolicySpec struct {
	// mode is Enforce or Audit. A policy in mode Audit decides nothing: what it would
	// have changed is put on record beside the real decision, and counted in status.
	// +required
	Mode PolicyMode `json:"mode,omitempty"`

	// when says under which conditions the policy is in force: all of them must
	// hold. May be empty, which is always, never absent.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=8
	When []PolicyCondition `json:"when"`

	// subjects are the callers that the policy is about.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	Subjects []Subject `json:"subjects,omitempty"`

	// namespaces are those whose Connections the policy is about.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Namespaces []NamespaceSelector `json:"namespaces,omitempty"`

	// connections are the Connections of these namespaces that the policy is about.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Connections []ConnectionSelector `json:"connections,omitempty"`

	// rules refuse operations, or hold them until they are approved. May be empty,
	// never absent.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Rules []Rule `json:"rules"`

	// masks hide fields. May be empty, never absent.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=64
	Masks []Mask `json:"masks"`

	// limits bound what the subjects get. May be empty, never absent.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=16
	Limits []Limit `json:"limits"`
}

// ClusterAccessPolicyStatus is what the manager observed of a ClusterAccessPolicy.
type ClusterAccessPolicyStatus struct {
	// conditions are the observations of the policy's state. Known types are
	// Ready and Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// connections is the number of Connections that the policy is compiled into.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Connections int32 `json:"connections,omitempty"`

	// audit counts what a policy in mode Audit would have changed since this
	// generation was in force. Unset in mode Enforce.
	// +optional
	Audit *PolicyAudit `json:"audit,omitempty"`
}

// ClusterAccessPolicy says what no namespace may undo: which operations are refused or
// need an approval, what is masked, and how much is returned, on Connections of several
// namespaces.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=cap
// +kubebuilder:printcolumn:name="Subjects",type="string",JSONPath=".spec.subjects[*].name",description="Whom the policy is about"
// +kubebuilder:printcolumn:name="Connections",type="integer",JSONPath=".status.connections",description="How many Connections it is compiled into"
// +kubebuilder:printcolumn:name="Mode",type="string",JSONPath=".spec.mode",description="Enforce, or Audit, which only records"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the policy is in force"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type ClusterAccessPolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec ClusterAccessPolicySpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status ClusterAccessPolicyStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (p *ClusterAccessPolicy) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (p *ClusterAccessPolicy) SetConditions(conditions []metav1.Condition) {
	p.Status.Conditions = conditions
}

// ClusterAccessPolicyList is a list of ClusterAccessPolicies.
// +kubebuilder:object:root=true
type ClusterAccessPolicyList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the ClusterAccessPolicies.
	Items []ClusterAccessPolicy `json:"items"`
}
