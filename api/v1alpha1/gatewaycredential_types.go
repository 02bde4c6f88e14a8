// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GatewayCredentialForm says what a client shows.
// +kubebuilder:validation:Enum=Token;ClientCertificate;SSHCertificate
type GatewayCredentialForm string

const (
	// GatewayCredentialToken is a token that is given as a password.
	GatewayCredentialToken GatewayCredentialForm = "Token"

	// GatewayCredentialClientCertificate is a client certificate of TLS (RFC 8446,
	// section 4.4.2): its key never leaves the client.
	GatewayCredentialClientCertificate GatewayCredentialForm = "ClientCertificate"

	// GatewayCredentialSSHCertificate is an SSH user certificate (OpenSSH,
	// PROTOCOL.certkeys) for a public key of the client's.
	GatewayCredentialSSHCertificate GatewayCredentialForm = "SSHCertificate"
)

// CredentialOwner is who a GatewayCredential proves.
type CredentialOwner struct {
	// issuer is who proved the owner: the iss claim of the token, or the entity ID of
	// the SAML identity provider.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// subject is the sub claim of the token, or the NameID of the assertion.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`

	// username is the user name that the IdentityProvider mapped the owner to.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Username string `json:"username,omitempty"`

	// kubernetesUsername is the owner's name at the API server, who may revoke the
	// credential. Unset where the IdentityProvider maps to none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	KubernetesUsername string `json:"kubernetesUsername,omitempty"`
}

// CredentialActor is who acts for the owner of a GatewayCredential (RFC 8693, section
// 4.1).
type CredentialActor struct {
	// issuer is the iss claim of the actor's own token.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// subject is the sub claim of the actor's own token.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`
}

// GatewayCredentialSpec says what was issued, to whom and for how long.
// +kubebuilder:validation:XValidation:rule="has(self.publicKeyDigest) == (self.form in ['ClientCertificate', 'SSHCertificate'])",message="publicKeyDigest is required when form is ClientCertificate or SSHCertificate, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="has(self.publicKeyDigest) == has(oldSelf.publicKeyDigest) && has(self.clientAddress) == has(oldSelf.clientAddress) && has(self.actor) == has(oldSelf.actor) && has(self.derivedFrom) == has(oldSelf.derivedFrom)",message="publicKeyDigest, clientAddress, actor and derivedFrom cannot be changed"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.revoke) || (has(self.revoke) && self.revoke == oldSelf.revoke)",message="revoke cannot be changed or taken back"
type GatewayCredentialSpec struct {
	// form is Token, ClientCertificate or SSHCertificate.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="form cannot be changed"
	Form GatewayCredentialForm `json:"form,omitempty"`

	// identityProvider is the name of the IdentityProvider that proved the owner.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="identityProvider cannot be changed"
	IdentityProvider string `json:"identityProvider,omitempty"`

	// owner is who the credential proves.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="owner cannot be changed"
	Owner CredentialOwner `json:"owner,omitzero"`

	// publicKeyDigest is the SHA-256 over the certificate's public key, as sha256:<64 hex
	// digits>: of a client certificate over its SubjectPublicKeyInfo (RFC 5280, section
	// 4.1), of an SSH certificate over the key in wire form (RFC 4253, section 6.6), of
	// which ssh-keygen -l prints the same in base64.
	// +optional
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="publicKeyDigest cannot be changed"
	PublicKeyDigest string `json:"publicKeyDigest,omitempty"`

	// clientAddress is where the credential was asked for from.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clientAddress cannot be changed"
	ClientAddress string `json:"clientAddress,omitempty"`

	// actor is who acts for the owner. Unset where the owner does.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="actor cannot be changed"
	Actor CredentialActor `json:"actor,omitempty,omitzero"`

	// derivedFrom is the name of the GatewayCredential that was shown to get this one,
	// which does not outlast it: it is revoked with it.
	// +optional
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{32}$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="derivedFrom cannot be changed"
	DerivedFrom string `json:"derivedFrom,omitempty"`

	// expiresAt is when the credential ends.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="expiresAt cannot be changed"
	ExpiresAt metav1.Time `json:"expiresAt,omitempty,omitzero"`

	// revoke ends the credential and the sessions that rest on it. Its owner sets it,
	// or an administrator; once, and it cannot be taken back.
	// +optional
	Revoke *Revocation `json:"revoke,omitempty"`
}

// GatewayCredential is a credential that the manager has issued to a proven caller. It
// holds nothing that proves anybody. The manager alone makes it, and deletes it once it
// has expired.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=gwc
// +kubebuilder:printcolumn:name="Owner",type="string",JSONPath=".spec.owner.username",description="User name of the owner"
// +kubebuilder:printcolumn:name="Provider",type="string",JSONPath=".spec.identityProvider",description="IdentityProvider that proved the owner"
// +kubebuilder:printcolumn:name="Form",type="string",JSONPath=".spec.form",description="Token, ClientCertificate or SSHCertificate"
// +kubebuilder:printcolumn:name="Expires",type="string",JSONPath=".spec.expiresAt",description="When it ends"
// +kubebuilder:printcolumn:name="Revoked",type="string",JSONPath=".spec.revoke.reason",description="Why it was revoked"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[0-9a-f]{32}$')",message="the name of a GatewayCredential is its id: 32 lower-case hexadecimal digits"
type GatewayCredential struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec says what was issued.
	// +required
	Spec GatewayCredentialSpec `json:"spec,omitzero"`
}

// GatewayCredentialList is a list of GatewayCredentials.
// +kubebuilder:object:root=true
type GatewayCredentialList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the GatewayCredentials.
	Items []GatewayCredential `json:"items"`
}
