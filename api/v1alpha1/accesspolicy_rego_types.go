// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// RegoSource says where a module is.
// +kubebuilder:validation:Enum=Inline;ConfigMap
type RegoSource string

const (
	// RegoInline is a module in the policy itself.
	RegoInline RegoSource = "Inline"

	// RegoConfigMap is a module in a ConfigMap of the policy's namespace.
	RegoConfigMap RegoSource = "ConfigMap"
)

// Rego is a module of package doorward.policy, in version 1 of the language. What it may
// define and what it gets is in docs/policy/rego.md. A module that does not compile, fails
// or takes too long refuses what it was asked about.
// +union
// +kubebuilder:validation:XValidation:rule="(self.source == 'Inline') == has(self.inline)",message="inline is required when source is Inline, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.source == 'ConfigMap') == has(self.configMap)",message="configMap is required when source is ConfigMap, and forbidden otherwise"
type Rego struct {
	// source is Inline or ConfigMap.
	// +unionDiscriminator
	// +required
	Source RegoSource `json:"source,omitempty"`

	// inline is the text of the module.
	// +unionMember
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Inline string `json:"inline,omitempty"`

	// configMap names a key of a ConfigMap that holds the module. Whoever may write
	// it writes policy.
	// +unionMember
	// +optional
	ConfigMap *ConfigMapKeyReference `json:"configMap,omitempty"`
}
