// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IsolationPeers says whether the target's pods may reach each other.
// +kubebuilder:validation:Enum=Allow;Deny
type IsolationPeers string

const (
	// IsolationPeersAllow lets the target's pods reach each other on every port.
	IsolationPeersAllow IsolationPeers = "Allow"

	// IsolationPeersDeny does not.
	IsolationPeersDeny IsolationPeers = "Deny"
)

// IsolationProbe says whether the direct way to the target is tried.
// +kubebuilder:validation:Enum=Enabled;Disabled
type IsolationProbe string

const (
	// IsolationProbeEnabled has the manager try the direct way.
	IsolationProbeEnabled IsolationProbe = "Enabled"

	// IsolationProbeDisabled has nobody try it.
	IsolationProbeDisabled IsolationProbe = "Disabled"
)

// Isolation closes the way round the proxies and checks whether it is closed.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.peers) || has(self.podSelector)",message="peers is about the pods that podSelector selects: set podSelector, or leave peers out"
// +kubebuilder:validation:XValidation:rule="!has(self.podSelector) || (has(self.podSelector.matchLabels) && size(self.podSelector.matchLabels) > 0) || (has(self.podSelector.matchExpressions) && size(self.podSelector.matchExpressions) > 0)",message="an empty podSelector selects every pod, the proxies too: name a label of the target's pods"
type Isolation struct {
	// podSelector selects the target's pods in this namespace. A NetworkPolicy
	// lets only the proxies reach them, on the target's ports. Unset means that the
	// target runs elsewhere, and that no NetworkPolicy is made for it.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`

	// peers is Allow where the target's pods have to reach each other, as for
	// replication, or Deny. Unset means Deny.
	// +optional
	Peers IsolationPeers `json:"peers,omitempty"`

	// probe is Enabled or Disabled: whether the manager tries, every few minutes,
	// to open a TCP connection to each of spec.targets, which only the proxies
	// should be able to. It sends nothing on it. Unset means Enabled.
	// +optional
	Probe IsolationProbe `json:"probe,omitempty"`
}
