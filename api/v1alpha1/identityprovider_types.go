// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IdentityProviderType says how callers of a provider prove who they are.
// +kubebuilder:validation:Enum=OIDC;Kubernetes;SAML
type IdentityProviderType string

const (
	// IdentityProviderOIDC accepts ID tokens of an OpenID Connect issuer.
	IdentityProviderOIDC IdentityProviderType = "OIDC"

	// IdentityProviderKubernetes accepts ServiceAccount tokens of a cluster.
	IdentityProviderKubernetes IdentityProviderType = "Kubernetes"

	// IdentityProviderSAML accepts callers who logged in at the manager's login portal
	// by SAML 2.0.
	IdentityProviderSAML IdentityProviderType = "SAML"
)

// SigningAlgorithm is a JWS algorithm (RFC 7518 section 3.1, RFC 8037).
// +kubebuilder:validation:Enum=RS256;RS384;RS512;ES256;ES384;ES512;PS256;PS384;PS512;EdDSA
type SigningAlgorithm string

// OIDCIssuer is an OpenID Connect issuer.
// +kubebuilder:validation:XValidation:rule="!has(self.discoveryURL) || self.discoveryURL != self.url",message="discoveryURL must be another address than url; leave it out where the document is at the issuer's own"
type OIDCIssuer struct {
	// url is the issuer's https URL, compared exactly with the token's iss claim.
	// Its discovery document is read from <url>/.well-known/openid-configuration.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https URL"
	// +kubebuilder:validation:XValidation:rule="!self.contains('?') && !self.contains('#') && !self.contains('@')",message="url must not have a query, a fragment or user information"
	URL string `json:"url,omitempty"`

	// discoveryURL is the whole address of the discovery document, where it is not
	// below url, such as that of a mirror inside the network. The document's issuer
	// must be url all the same. Unset means the address below url.
	// +optional
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="discoveryURL must be an https URL"
	// +kubebuilder:validation:XValidation:rule="!self.contains('?') && !self.contains('#') && !self.contains('@')",message="discoveryURL must not have a query, a fragment or user information"
	DiscoveryURL string `json:"discoveryURL,omitempty"`

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
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(r, !has(r.claim) || self.exists_one(o, has(o.claim) && o.claim == r.claim))",message="two rules must not be about one claim"
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules"` //nolint:kubeapilinter // A rule is one of two forms, as upstream.

	// userValidationRules must all hold for the caller that was made of a token. May
	// be empty, never absent: a misspelt key must not admit more callers.
	// +required
	// +listType=map
	// +listMapKey=expression
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	UserValidationRules []UserValidationRule `json:"userValidationRules"`

	// clockSkewSeconds is how far the issuer's clock may be off when exp, nbf and
	// iat are checked. Unset means 0.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	ClockSkewSeconds int32 `json:"clockSkewSeconds,omitempty"`
}

// TokenVerification says how a ServiceAccount token is verified.
// +kubebuilder:validation:Enum=IssuerKeys;TokenReview
type TokenVerification string

const (
	// TokenVerificationIssuerKeys checks the signature by the keys that the cluster
	// publishes. A token is good until it expires, also where its pod is gone; sessions end
	// after an hour at the latest.
	TokenVerificationIssuerKeys TokenVerification = "IssuerKeys"

	// TokenVerificationTokenReview asks the API server that the proxy belongs to, again
	// every few minutes while a session goes on. It refuses tokens whose ServiceAccount,
	// pod or node is gone.
	TokenVerificationTokenReview TokenVerification = "TokenReview"
)

// KubernetesProvider says which ServiceAccount tokens of which cluster are accepted.
// +kubebuilder:validation:XValidation:rule="!self.issuer.audiences.exists(a, a == self.issuer.url || a.matches('^https://kubernetes[.]default([.].*)?/?$'))",message="audiences must not be that of an API server, which is its issuer or one of its names: every pod's own token would do; ask for tokens of another, such as doorward"
// +kubebuilder:validation:XValidation:rule="self.verification != 'TokenReview' || (!has(self.issuer.discoveryURL) && !has(self.issuer.certificateAuthority))",message="discoveryURL and certificateAuthority are for verification IssuerKeys; a TokenReview is made at the proxy's own API server"
type KubernetesProvider struct {
	// issuer is the cluster's issuer of ServiceAccount tokens, the API server's flag
	// --service-account-issuer, and the audiences that pods ask for.
	// +required
	Issuer OIDCIssuer `json:"issuer,omitzero"`

	// verification is IssuerKeys or TokenReview.
	// +required
	Verification TokenVerification `json:"verification,omitempty"`

	// prefix is put before the user name, system:serviceaccount:<namespace>:<name>,
	// and before the groups, system:serviceaccounts and
	// system:serviceaccounts:<namespace>. Two providers of type Kubernetes must not
	// have equal prefixes, or one the beginning of the other: the younger is
	// Accepted=False. May be empty, never absent.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="prefix must not begin with 'system:', which is reserved for Kubernetes itself"
	Prefix *string `json:"prefix,omitempty"`
}

// KubernetesUsernameMapping makes the API server's name for the same person.
type KubernetesUsernameMapping struct {
	// prefix is put before the value of expression, or, where that is unset, before
	// what claimMappings.username is made of: the claim's value without the prefix of
	// that mapping, or the expression's. It must be the prefix that the API
	// server's own authentication uses for this issuer. May be empty, never absent.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="prefix must not begin with 'system:', which is reserved for Kubernetes itself"
	Prefix string `json:"prefix"`

	// expression makes the rest of the name by CEL. The variable claims is a map of
	// the token's claims. Unset means what claimMappings.username is made of.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`
}

// IdentityProviderSpec says how callers prove who they are.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'OIDC' ? has(self.oidc) : !has(self.oidc)",message="oidc is required when type is OIDC, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Kubernetes' ? has(self.kubernetes) : !has(self.kubernetes)",message="kubernetes is required when type is Kubernetes, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'SAML' ? has(self.saml) : !has(self.saml)",message="saml is required when type is SAML, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type != 'SAML' || has(self.login)",message="login is required when type is SAML: nobody can show an assertion to a proxy"
// +kubebuilder:validation:XValidation:rule="self.type == 'OIDC' || !has(self.login) || (!has(self.login.clientID) && !has(self.login.clientSecretRef) && !has(self.login.scopes))",message="login.clientID, clientSecretRef and scopes are for type OIDC"
// +kubebuilder:validation:XValidation:rule="!has(self.login) || !has(self.kubernetes) || self.kubernetes.verification != 'TokenReview'",message="login is not for verification TokenReview, since nobody can vouch for what the API server has to be asked about each time; set kubernetes.verification to IssuerKeys, or remove login"
// +kubebuilder:validation:XValidation:rule="!has(self.login) || !has(self.oidc) || !has(self.login.clientID) || self.login.clientID in self.oidc.issuer.audiences",message="login.clientID must be one of oidc.issuer.audiences"
// +kubebuilder:validation:XValidation:rule="self.type != 'Kubernetes' || !has(self.kubernetesUsername)",message="kubernetesUsername is not for type Kubernetes: a ServiceAccount obtains no approvals"
type IdentityProviderSpec struct {
	// type is OIDC, Kubernetes or SAML.
	// +unionDiscriminator
	// +required
	Type IdentityProviderType `json:"type,omitempty"`

	// oidc accepts ID tokens of an OpenID Connect issuer.
	// +unionMember
	// +optional
	OIDC *OIDCProvider `json:"oidc,omitempty"`

	// kubernetes accepts ServiceAccount tokens of a cluster. Callers are of kind
	// Workload.
	// +unionMember
	// +optional
	Kubernetes *KubernetesProvider `json:"kubernetes,omitempty"`

	// saml accepts callers who log in by a SAML 2.0 identity provider.
	// +unionMember
	// +optional
	SAML *SAMLProvider `json:"saml,omitempty"`

	// login lets the manager's login portal issue GatewayCredentials to callers of this
	// provider. Required when type is SAML. Unset means that it issues none.
	// +optional
	Login *LoginSettings `json:"login,omitempty"`

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
	// Ready, Accepted, IssuerReachable, and MetadataCurrent of type SAML.
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

// Issuer is who makes the tokens of the provider; nil where the spec has no settings of
// its type.
func (s *IdentityProviderSpec) Issuer() *OIDCIssuer {
	switch {
	case s.Type == IdentityProviderOIDC && s.OIDC != nil:
		return &s.OIDC.Issuer
	case s.Type == IdentityProviderKubernetes && s.Kubernetes != nil:
		return &s.Kubernetes.Issuer
	}
	return nil
}

// IdentityProvider says how callers prove who they are, to every Connection of the
// cluster.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=idp
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type",description="How callers prove who they are"
// +kubebuilder:printcolumn:name="Issuer",type="string",JSONPath=".spec['oidc','kubernetes'].issuer.url",description="Issuer of the tokens"
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
