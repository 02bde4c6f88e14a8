// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SAMLEntityIDBase is what the portal's entity ID begins with where the provider names
// none.
const SAMLEntityIDBase = "https://doorward.dev/saml/"

// SAMLEntityID is the login portal's entity ID at the provider, and the audience of its
// assertions; empty where the provider is not of type SAML. It needs no address of the
// portal, so that what proxies compare does not change with it.
func (p *IdentityProvider) SAMLEntityID() string {
	switch {
	case p.Spec.SAML == nil:
		return ""
	case p.Spec.SAML.ServiceProviderEntityID != "":
		return p.Spec.SAML.ServiceProviderEntityID
	}
	return SAMLEntityIDBase + p.Name
}

// SAMLProvider is a SAML 2.0 identity provider. Its users log in at the manager's login
// portal, which is the service provider, and get a GatewayCredential there; an assertion
// itself is good at no proxy.
//
// +kubebuilder:validation:XValidation:rule="!has(self.serviceProviderEntityID) || self.serviceProviderEntityID != self.entityID",message="serviceProviderEntityID is the portal's, entityID the identity provider's: they must differ"
// +kubebuilder:validation:XValidation:rule="!has(self.claimMappings.username.claim) || self.claimMappings.username.claim != 'email'",message="no claim says that an address of SAML is verified: use another claim, or an expression that also uses claims.email_verified"
type SAMLProvider struct {
	// metadata is the identity provider's metadata document
	// (saml-metadata-2.0-os): one EntityDescriptor with an IDPSSODescriptor, its
	// signing certificates and a SingleSignOnService with the HTTP-Redirect or
	// HTTP-POST binding.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=65536
	Metadata string `json:"metadata,omitempty"`

	// entityID is the identity provider's, that of metadata. The caller's issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	EntityID string `json:"entityID,omitempty"`

	// serviceProviderEntityID is the portal's own at the identity provider, and the one
	// audience of its assertions: a URI. Unset means
	// https://doorward.dev/saml/<name of the IdentityProvider>. Where several clusters
	// use one identity provider, each needs its own.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$`
	ServiceProviderEntityID string `json:"serviceProviderEntityID,omitempty"`

	// assertionEncryption is Required where assertions must be encrypted to the
	// portal's key, or Optional.
	// +required
	AssertionEncryption SAMLAssertionEncryption `json:"assertionEncryption,omitempty"`

	// nameIDFormat is asked for, and the NameID of an assertion must have it. Unset
	// means that any but transient is taken.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	NameIDFormat string `json:"nameIDFormat,omitempty"`

	// claimMappings say what makes up a caller. The claims are sub, the NameID, and
	// the assertion's attributes by their names, each a list of strings, a string
	// where it has one value. The user name is not made of the claim email alone,
	// since SAML has no way to say that an address is verified.
	// +required
	ClaimMappings ClaimMappings `json:"claimMappings,omitzero"`

	// claimValidationRules must all hold for an assertion to be accepted. May be
	// empty, never absent: a misspelt key must not admit more callers.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(r, !has(r.claim) || self.exists_one(o, has(o.claim) && o.claim == r.claim))",message="two rules must not be about one claim"
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules"` //nolint:kubeapilinter // A rule is one of two forms, as upstream.

	// userValidationRules must all hold for the caller that was made of an assertion.
	// May be empty, never absent: a misspelt key must not admit more callers.
	// +required
	// +listType=map
	// +listMapKey=expression
	// +kubebuilder:validation:MinItems=0
	// +kubebuilder:validation:MaxItems=32
	UserValidationRules []UserValidationRule `json:"userValidationRules"`

	// clockSkewSeconds is how far the identity provider's clock may be off. Unset
	// means 0.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=300
	ClockSkewSeconds int32 `json:"clockSkewSeconds,omitempty"`
}

// SAMLAssertionEncryption says whether assertions must be encrypted.
// +kubebuilder:validation:Enum=Required;Optional
type SAMLAssertionEncryption string

const (
	// SAMLAssertionEncryptionRequired takes encrypted assertions only.
	SAMLAssertionEncryptionRequired SAMLAssertionEncryption = "Required"

	// SAMLAssertionEncryptionOptional takes assertions that TLS alone protected, too.
	SAMLAssertionEncryptionOptional SAMLAssertionEncryption = "Optional"
)
