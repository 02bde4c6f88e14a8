// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the immutable form of everything a proxy needs to serve
// one Connection: compiled by the controllers, signed by the manager, carried
// in one Secret, opened by the proxy. It holds references to credentials, never
// credentials.
package snapshot

import (
	"encoding/json"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// Schema is the version of the snapshot's JSON form.
const Schema = "doorward.dev/snapshot/v1"

// Snapshot is the configuration of one Connection at one revision.
type Snapshot struct {
	Schema     string     `json:"schema"`
	Connection Connection `json:"connection"`
	// Revision rises with every change of content.
	Revision int64 `json:"revision"`
	// Time is when this revision was made.
	Time time.Time `json:"time"`

	Protocol   string          `json:"protocol"`
	Targets    []Target        `json:"targets"`
	TLS        TLS             `json:"tls"`
	Credential Credential      `json:"credential"`
	Options    json.RawMessage `json:"options,omitempty"`
	Session    Session         `json:"session"`
	// MaxStalenessSeconds bounds how long a proxy serves without proof of freshness.
	MaxStalenessSeconds int32 `json:"maxStalenessSeconds"`

	IdentityProviders []IdentityProvider `json:"identityProviders"`
	Policies          policy.Set         `json:"policies"`
	Sinks             []Sink             `json:"sinks"`
}

// Connection names the object a snapshot was made of.
type Connection struct {
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
}

// Target is one address of the target; they are tried in order.
type Target struct {
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// TLS is how the target is verified. Mode is VerifyFull or Disabled.
type TLS struct {
	Mode       string `json:"mode"`
	ServerName string `json:"serverName,omitempty"`
	// CA is a PEM bundle; empty means the system's roots.
	CA string `json:"ca,omitempty"`
}

// Credential says where the proxy finds the target's credential. Type is Secret
// (Secret holds its name) or File (File holds an absolute folder).
type Credential struct {
	Type   string `json:"type"`
	Secret string `json:"secret,omitempty"`
	File   string `json:"file,omitempty"`
}

// Session bounds sessions; zero means no bound of its own.
type Session struct {
	MaxDurationSeconds int32 `json:"maxDurationSeconds,omitempty"`
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`
	MaxConcurrent      int32 `json:"maxConcurrent,omitempty"`
}

// IdentityProvider is one accepted IdentityProvider object. Type is OIDC.
type IdentityProvider struct {
	Name string `json:"name"`
	Type string `json:"type"`
	OIDC *OIDC  `json:"oidc,omitempty"`
	// KubernetesUsernamePrefix makes the API server's name of a caller: prefix
	// plus the user name claim. Nil means that callers do not map.
	KubernetesUsernamePrefix *string `json:"kubernetesUsernamePrefix,omitempty"`
}

// OIDC are the settings of an OpenID Connect issuer.
type OIDC struct {
	IssuerURL            string          `json:"issuerURL"`
	Audiences            []string        `json:"audiences"`
	CertificateAuthority string          `json:"certificateAuthority,omitempty"`
	Algorithms           []string        `json:"algorithms,omitempty"`
	Username             ClaimMapping    `json:"username"`
	Groups               *ClaimMapping   `json:"groups,omitempty"`
	KindClaim            string          `json:"kindClaim,omitempty"`
	RequiredClaims       []RequiredClaim `json:"requiredClaims,omitempty"`
	ClockSkewSeconds     int32           `json:"clockSkewSeconds,omitempty"`
}

// ClaimMapping makes a name of a claim.
type ClaimMapping struct {
	Claim  string `json:"claim"`
	Prefix string `json:"prefix,omitempty"`
}

// RequiredClaim is a claim that must have this very value.
type RequiredClaim struct {
	Claim string `json:"claim"`
	Value string `json:"value"`
}

// Sink is one accepted LogSink object. Type is Stdout or File.
type Sink struct {
	Name         string `json:"name"`
	Type         string `json:"type"`
	Directory    string `json:"directory,omitempty"`
	MaxFileBytes int64  `json:"maxFileBytes,omitempty"`
}

// Heartbeat is the manager's proof of life: signed, newer with each beat, and
// naming the revision that is current. It says that a proxy that runs this
// revision is not left behind.
type Heartbeat struct {
	UID      string    `json:"uid"`
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time"`
}
