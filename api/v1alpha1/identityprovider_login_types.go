// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LoginSettings let the manager's login portal issue GatewayCredentials to those whom
// the provider proves.
// +kubebuilder:validation:XValidation:rule="has(self.clientID) || (!has(self.clientSecretRef) && !has(self.scopes))",message="clientSecretRef and scopes need a clientID"
type LoginSettings struct {
	// lifetimeSeconds is how long a credential is good for.
	// +required
	// +kubebuilder:validation:Minimum=300
	// +kubebuilder:validation:Maximum=43200
	LifetimeSeconds int32 `json:"lifetimeSeconds,omitempty"`

	// clientID is the portal's own at an OpenID Connect issuer, one of
	// oidc.issuer.audiences. Unset means that nobody logs in to this provider by a
	// browser at the portal; tokens can be exchanged all the same.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// clientSecretRef names a Secret in the manager's namespace, of type
	// doorward.dev/login, whose key clientSecret the issuer knows the portal by, and
	// whose key issuer is oidc.issuer.url: it is sent to no other. Unset means that it
	// is a public client, proven by PKCE alone.
	// +optional
	ClientSecretRef LoginSecretReference `json:"clientSecretRef,omitempty,omitzero"`

	// scopes are asked for besides openid.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[\x21\x23-\x5b\x5d-\x7e]+$`
	Scopes []string `json:"scopes,omitempty"`
}

// LoginSecretReference names a Secret in the manager's namespace.
type LoginSecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}
