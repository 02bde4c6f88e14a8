// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package identity says who a caller is. It holds the proven Principal, the
// Credential it was proven from, and the interface every way of proving one
// meets. Implementations live in the folders below.
package identity

import (
	"context"
	"errors"
	"time"
)

// Kind tells people, machines and AI agents apart.
type Kind string

// The kinds of actors.
const (
	Human    Kind = "Human"
	Workload Kind = "Workload"
	Agent    Kind = "Agent"
)

// Principal is a proven caller. It is a value: whoever holds one may compare
// and copy it, and nobody can change another's.
type Principal struct {
	// Provider is the name of the IdentityProvider object that proved the caller.
	Provider string
	// Issuer and Subject are the token's iss and sub (RFC 7519).
	Issuer  string
	Subject string
	// UserName is the user name after the provider's claim mapping.
	UserName string
	// KubernetesUser is the API server's name for the same actor; empty where
	// the provider does not map to Kubernetes names.
	KubernetesUser string
	// Groups are the mapped groups, sorted, without duplicates.
	Groups []string
	Kind   Kind
	// Claims are those claims of the token that policies look at, sorted by name.
	Claims []Claim
	// AbsentClaims are the names of those claims that policies look at and that the token
	// lacks, sorted: for the record, which tells them from claims that nobody looked at.
	AbsentClaims []string
	// Delegation is the chain of actors that act for the subject, outermost
	// first (RFC 8693 section 4.1, claim act).
	Delegation []Actor
	// Method is how the caller authenticated, such as "oidc".
	Method string
	// Credential is the gateway credential that was presented; zero where it was
	// something else.
	Credential Issued
	// ExpiresAt is the instant at which the proof ends.
	ExpiresAt time.Time
	// ProofID tells the proof from all others, see ProofID; empty where nothing does.
	ProofID string
	// BoundTo is the one workload whose the proof is, such as a pod's UID; empty where the
	// proof does not say.
	BoundTo string
}

// Issued is a credential that the manager has issued to a caller whom a provider proved.
type Issued struct {
	// ID is the name of its GatewayCredential object.
	ID string
	// KeyID is that of the manager's key that signed it.
	KeyID string
	// ProvenBy is how the caller had authenticated to the manager, such as "oidc".
	ProvenBy string
}

// Claim is a claim of a token with its values: one, or the elements of a list.
type Claim struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Actor is one link of a delegation chain.
type Actor struct {
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject"`
}

// Credential is what a caller presented: a token, a client certificate, or a public key or
// certificate of SSH. It never prints.
type Credential struct {
	// Pointers, since a formatter that meets a Credential in an unexported
	// field calls no method of it and prints what it finds: an address.
	token       *string
	certificate *[]byte
	sshKey      *[]byte
	// secret is what a token is bound to; nil where it is bound to nothing.
	secret *string
}

// BearerToken wraps a token as presented on the wire.
func BearerToken(token string) Credential { return Credential{token: &token} }

// BoundToken wraps a token that proves its caller only together with a secret, which was
// never on the wire to the caller: see package gateway.
func BoundToken(token, secret string) Credential { return Credential{token: &token, secret: &secret} }

// Secret returns what a BoundToken is bound to; empty for everything else. Only a Verifier
// needs it.
func (c Credential) Secret() string {
	if c.secret == nil {
		return ""
	}
	return *c.secret
}

// ClientCertificate wraps a certificate, in DER, whose key the caller has proven to hold,
// as in a TLS handshake.
func ClientCertificate(der []byte) Credential { return Credential{certificate: &der} }

// SSHPublicKey wraps a public key or certificate of SSH in wire form (RFC 4253 section 6.6;
// OpenSSH, PROTOCOL.certkeys), whose private key the caller has proven to hold: the one of
// the finished handshake, never one that was merely offered (RFC 4252 section 7).
func SSHPublicKey(blob []byte) Credential { return Credential{sshKey: &blob} }

// SSHPublicKey returns the presented key or certificate of SSH in wire form; nil where it is
// something else. Only a Verifier needs it.
func (c Credential) SSHPublicKey() []byte {
	if c.sshKey == nil {
		return nil
	}
	return *c.sshKey
}

// Certificate returns the presented client certificate in DER; nil where it is something
// else. Only a Verifier needs it.
func (c Credential) Certificate() []byte {
	if c.certificate == nil {
		return nil
	}
	return *c.certificate
}

// Token returns the presented token; empty where it is something else. Only a Verifier
// needs it.
func (c Credential) Token() string {
	if c.token == nil {
		return ""
	}
	return *c.token
}

// String hides the credential.
func (Credential) String() string { return "[redacted]" }

// GoString hides the credential from %#v.
func (Credential) GoString() string { return "[redacted]" }

// MarshalText hides the credential from encoders and loggers.
func (Credential) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// ErrRejected is wrapped by every Verifier error that is the caller's fault:
// a bad, expired or foreign credential. Any other error means that the
// credential could not be checked.
var ErrRejected = errors.New("credential rejected")

// ErrForeign is wrapped by errors about a certificate that the manager has not issued, or
// a plain key of SSH: here it is no credential, neither a good one nor a bad one.
var ErrForeign = errors.New("certificate is not of this gateway")

// Verifier proves who presented a credential. Errors never hold the credential.
type Verifier interface {
	Verify(ctx context.Context, credential Credential) (Principal, error)
}
