// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IdentityProviderType says how callers of a provider prove who they are.
// +kubebuilder:validation:Enum=OIDC
type IdentityProviderType string

// IdentityProviderOIDC accepts ID tokens of an OpenID Connect issuer.
const IdentityProviderOIDC IdentityProviderType = "OIDC"

// SigningAlgorithm is a JWS algorithm (RFC 7518 section 3.1, RFC 8037).
// +kubebuilder:validation:Enum=RS256;RS384;RS512;ES256;ES384;ES512;PS256;PS384;PS512;EdDSA
type SigningAlgorithm string

// OIDCIssuer is an OpenID Connect issuer.
type OIDCIssuer struct {
	// url is the issuer's https URL, compared exactly with the token's iss claim.
	// Its discovery document is read from <url>/.well-known/openid-configuration.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https URL"
	// +kubebuilder:validation:XValidation:rule="!self.contains('?') && !self.contains('#') && !self.contains('@')",message="url must not have a query, a fragment or user information"
	URL string `json:"url,omitempty"`

	// audiences are accepted in the token's aud claim; one of them must be there.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences,omitempty"`

	// certificateAuthority is one or more PEM certificates that sign the issuer's
	// server certificate. Unset means the authorities of the system that the
	// manager or proxy runs on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule="self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY-----')",message="certificateAuthority must be PEM certificates, and no private key"
	CertificateAuthority string `json:"certificateAuthority,omitempty"`
}

// PrefixedClaimMapping makes a name of a claim.
type PrefixedClaimMapping struct {
	// claim is the name of the token's claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// prefix is put before the value of the claim. It is always written, also
	// where empty, since a misspelt key must not make names overlap.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix"`
}

// ClaimMapping takes the value of a claim as it is.
type ClaimMapping struct {
	// claim is the name of the token's claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`
}

// ClaimMappings says which claims make up a caller.
type ClaimMappings struct {
	// username makes the user name that policies and records carry. With the
	// claim email, the claim email_verified must be true.
	// +required
	Username PrefixedClaimMapping `json:"username,omitzero"`

	// groups makes the groups. Unset means that callers have none.
	// +optional
	Groups *PrefixedClaimMapping `json:"groups,omitempty"`

	// kind is the claim that says Human, Workload or Agent. Another value refuses
	// the token. Where it is unset, or the token lacks the claim, a caller is Human,
	// but for one that acts for somebody (act, RFC 8693 section 4.1): that is an Agent.
	// +optional
	Kind *ClaimMapping `json:"kind,omitempty"`
}

// ClaimValidationRule asks for one value of one claim.
type ClaimValidationRule struct {
	// claim is the name of the token's claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// requiredValue is the value that the claim must have, a string.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	RequiredValue string `json:"requiredValue,omitempty"`
}

// OIDCProvider says which tokens of which issuer are accepted and what they mean.
type OIDCProvider struct {
	// issuer makes the tokens.
	// +required
	Issuer OIDCIssuer `json:"issuer,omitzero"`

	// signingAlgorithms are the accepted JWS algorithms. Unset means RS256 and
	// ES256.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	SigningAlgorithms []SigningAlgorithm `json:"signingAlgorithms,omitempty"`

	// claimMappings say which claims make up a caller.
	// +required
	ClaimMappings ClaimMappings `json:"claimMappings,omitzero"`

	// claimValidationRules must all hold for a token to be accepted. May be empty,
	// never absent: a misspelt key must not admit more callers.
	// +required
	// +listType=map
	// +listMapKey=claim
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules"`

	// clockSkewSeconds is how far the issuer's clock may be off when exp, nbf and
	// iat are checked. Unset means 0.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	ClockSkewSeconds int32 `json:"clockSkewSeconds,omitempty"`
}

// KubernetesUsernameMapping makes the API server's name for the same person.
type KubernetesUsernameMapping struct {
	// prefix is put before the value of the claim of claimMappings.username,
	// without the prefix of that mapping. It must be the prefix that the API
	// server's own authentication uses for this issuer. May be empty, never absent.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="prefix must not begin with 'system:', which is reserved for Kubernetes itself"
	Prefix string `json:"prefix"`
}

// IdentityProviderSpec says how callers prove who they are.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'OIDC' ? has(self.oidc) : !has(self.oidc)",message="oidc is required when type is OIDC, and forbidden otherwise"
type IdentityProviderSpec struct {
	// type is OIDC.
	// +unionDiscriminator
	// +required
	Type IdentityProviderType `json:"type,omitempty"`

	// oidc accepts ID tokens of an OpenID Connect issuer.
	// +unionMember
	// +optional
	OIDC *OIDCProvider `json:"oidc,omitempty"`

	// kubernetesUsername maps callers to Kubernetes user names, so that requester
	// and approver can be compared. Two providers must not map to the same name:
	// equal prefixes, or one the beginning of the other, are reported as
	// Accepted=False on the younger. Unset means that callers of this provider
	// cannot obtain approvals.
	// +optional
	KubernetesUsername *KubernetesUsernameMapping `json:"kubernetesUsername,omitempty"`
}

// IdentityProviderStatus is what the manager observed of an IdentityProvider.
type IdentityProviderStatus struct {
	// conditions are the observations of the provider's state. Known types are
	// Ready, Accepted and IssuerReachable.
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

// IdentityProvider says how callers prove who they are, to every Connection of the
// cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=idp
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type",description="How callers prove who they are"
// +kubebuilder:printcolumn:name="Issuer",type="string",JSONPath=".spec.oidc.issuer.url",description="Issuer of the tokens"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether callers of the provider are accepted"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type IdentityProvider struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec IdentityProviderSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status IdentityProviderStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (p *IdentityProvider) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (p *IdentityProvider) SetConditions(conditions []metav1.Condition) {
	p.Status.Conditions = conditions
}

// IdentityProviderList is a list of IdentityProviders.
// +kubebuilder:object:root=true
type IdentityProviderList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the IdentityProviders.
	Items []IdentityProvider `json:"items"`
}
