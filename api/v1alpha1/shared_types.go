// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Logical verbs on connections. No request to the API server carries them; the
// admission policies and the manager ask the authorizer for them by name.
const (
	// VerbServe on a Connection lets its holder act as that Connection's proxy:
	// create AuditSessions and ApprovalRequests for it and name their actors.
	VerbServe = "serve"

	// VerbApprove on a Connection lets its holder decide on that Connection's
	// ApprovalRequests, where the policy also names the holder as an approver.
	VerbApprove = "approve"

	// VerbTerminate on a Connection lets a service account set spec.terminate of
	// that Connection's AuditSessions. People need no more than the right to patch.
	VerbTerminate = "terminate"

	// VerbRevoke on a GatewayCredential lets its holder revoke that of somebody else.
	VerbRevoke = "revoke"
)

// Types and keys of the Secrets that belong to a Connection.
const (
	// SecretTypeCredential is the type of a Secret that holds a target credential.
	SecretTypeCredential = "doorward.dev/credential" //nolint:gosec // The type of a Secret, no credential.

	// SecretTypeSnapshot is the type of a Secret that holds a signed snapshot.
	SecretTypeSnapshot = "doorward.dev/snapshot" //nolint:gosec // The type of a Secret, no credential.

	// SecretTypeSinkCredential is the type of a Secret that holds what the server of
	// a LogSink asks for.
	SecretTypeSinkCredential = "doorward.dev/sink-credential" //nolint:gosec // The type of a Secret, no credential.

	// SecretTypeLogin is the type of a Secret that holds what an identity provider
	// knows the manager's login portal by.
	SecretTypeLogin = "doorward.dev/login" //nolint:gosec // The type of a Secret, no credential.

	// LoginKeyClientSecret is the key of the client secret in such a Secret.
	LoginKeyClientSecret = "clientSecret"

	// LoginKeyIssuer is the key, in such a Secret, of the issuer that the client secret
	// may be sent to: spec.oidc.issuer.url, to the letter.
	LoginKeyIssuer = "issuer"

	// SecretTypeNotifierCredential is the type of a Secret that holds the URL of a
	// Notifier's receiver, or what that asks for.
	SecretTypeNotifierCredential = "doorward.dev/notifier-credential" //nolint:gosec // The type of a Secret, no credential.

	// CredentialKeyUsername is the credential Secret key of the target user name.
	CredentialKeyUsername = "username"

	// CredentialKeyPassword is the credential Secret key of the target password.
	CredentialKeyPassword = "password"

	// CredentialKeyConnection is the credential Secret key that names the one
	// Connection that may use the credential.
	CredentialKeyConnection = "connection"

	// CredentialKeyAddresses is the credential Secret key that lists, one
	// host:port per line, the addresses the credential may be sent to.
	CredentialKeyAddresses = "addresses"
)

// ConnectionReference names a Connection in the same namespace.
type ConnectionReference struct {
	// name of the Connection.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must be a DNS label: lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`
}

// SecretReference names a Secret in the same namespace.
type SecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// ConfigMapKeyReference names one key of a ConfigMap in the same namespace.
type ConfigMapKeyReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// ApproverKind says how an Approver is matched.
// +kubebuilder:validation:Enum=User;Group
type ApproverKind string

const (
	// ApproverUser matches one Kubernetes user name.
	ApproverUser ApproverKind = "User"

	// ApproverGroup matches every member of one Kubernetes group.
	ApproverGroup ApproverKind = "Group"
)

// Approver names who may decide, as the API server knows them.
//
// A User may be a ServiceAccount, written out in full as
// system:serviceaccount:<namespace>:<name>. No other name that begins with
// "system:" can approve.
//
// +kubebuilder:validation:XValidation:rule="self.kind != 'Group' || !self.name.startsWith('system:')",message="a group whose name begins with 'system:' cannot approve; name the users or a group of the identity provider"
// +kubebuilder:validation:XValidation:rule="self.kind != 'User' || !self.name.startsWith('system:') || self.name.matches('^system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$')",message="a user whose name begins with 'system:' must be one service account: system:serviceaccount:<namespace>:<name>"
type Approver struct {
	// kind is User or Group.
	// +required
	Kind ApproverKind `json:"kind,omitempty"`

	// name is the Kubernetes user name or group name, compared exactly.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name,omitempty"`
}
