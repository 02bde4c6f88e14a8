// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TLSMode says how the proxy protects the way to a target or a sink.
// +kubebuilder:validation:Enum=VerifyFull;Disabled
type TLSMode string

const (
	// TLSVerifyFull verifies the certificate chain and name of the other side.
	TLSVerifyFull TLSMode = "VerifyFull"

	// TLSDisabled speaks in clear text. Passwords are then never sent in clear text
	// or as MD5.
	TLSDisabled TLSMode = "Disabled"
)

// CertificateAuthorityType says where certificates of authorities are kept.
// +kubebuilder:validation:Enum=ConfigMap
type CertificateAuthorityType string

// CertificateAuthorityConfigMap reads the certificates from a ConfigMap.
const CertificateAuthorityConfigMap CertificateAuthorityType = "ConfigMap"

// CredentialType says where the target's credential is kept.
// +kubebuilder:validation:Enum=Secret;File
type CredentialType string

const (
	// CredentialSecret reads the credential from a Secret.
	CredentialSecret CredentialType = "Secret"

	// CredentialFile reads the credential from files beside an External proxy.
	CredentialFile CredentialType = "File"
)

// Target is one address of the target.
type Target struct {
	// host is a DNS name or an IP address.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()",message="host must be a lower-case DNS name or an IP address, without port, scheme or brackets"
	Host string `json:"host,omitempty"`

	// port is the TCP port.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// CertificateAuthority names where PEM certificates of authorities are kept.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'ConfigMap' ? has(self.configMap) : !has(self.configMap)",message="configMap is required when type is ConfigMap, and forbidden otherwise"
type CertificateAuthority struct {
	// type says where the certificates are kept.
	// +unionDiscriminator
	// +required
	Type CertificateAuthorityType `json:"type,omitempty"`

	// configMap is the key that holds one or more PEM certificates.
	// +unionMember
	// +optional
	ConfigMap *ConfigMapKeyReference `json:"configMap,omitempty"`
}

// TargetTLS says how the proxy protects the way to the target.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Disabled' || (!has(self.serverName) && !has(self.certificateAuthority))",message="serverName and certificateAuthority have no meaning when mode is Disabled; remove them or set mode to VerifyFull"
type TargetTLS struct {
	// mode is VerifyFull or Disabled. Unset means VerifyFull.
	// +optional
	Mode TLSMode `json:"mode,omitempty"`

	// serverName is the name that the target's certificate must carry. Unset
	// means the host of the target address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()",message="serverName must be a lower-case DNS name or an IP address"
	ServerName string `json:"serverName,omitempty"`

	// certificateAuthority signs the target's certificate. Unset means the
	// authorities of the system the proxy runs on.
	// +optional
	CertificateAuthority *CertificateAuthority `json:"certificateAuthority,omitempty"`
}

// FileCredential names a directory beside an External proxy.
type FileCredential struct {
	// path is an absolute directory that holds one file per key of a credential
	// Secret: username, password, connection and addresses. It is part of a command
	// line, so of letters, digits and ._@:+=,/- only.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._@:+=,/-]+$`
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.split('/').exists(p, p == '..' || p == '.')",message="path must be absolute and without '.' or '..' parts"
	Path string `json:"path,omitempty"`
}

// TargetCredential names where the target's credential is kept. Its value is never in
// the API.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'Secret' ? has(self.secret) : !has(self.secret)",message="secret is required when type is Secret, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'File' ? has(self.file) : !has(self.file)",message="file is required when type is File, and forbidden otherwise"
type TargetCredential struct {
	// type is Secret or File. File needs an External proxy.
	// +unionDiscriminator
	// +required
	Type CredentialType `json:"type,omitempty"`

	// secret is a Secret of type doorward.dev/credential in this namespace with
	// the keys username, password, connection (the name of this Connection) and
	// addresses (one host:port per line that it may be sent to).
	// +unionMember
	// +optional
	Secret *SecretReference `json:"secret,omitempty"`

	// file is a directory beside an External proxy.
	// +unionMember
	// +optional
	File *FileCredential `json:"file,omitempty"`
}
