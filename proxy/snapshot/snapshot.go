// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the immutable form of everything a proxy needs to serve
// one Connection: compiled by the controllers, signed by the manager, carried
// in one Secret, opened by the proxy. It holds references to credentials, never
// credentials; the one secret in it is the key of masks that hash.
package snapshot

import (
	"encoding/json"
	"net"
	"strconv"
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
	Audit      Audit           `json:"audit,omitzero"`
	// MaxStalenessSeconds bounds how long a proxy serves without proof of freshness.
	MaxStalenessSeconds int32 `json:"maxStalenessSeconds"`

	IdentityProviders []IdentityProvider `json:"identityProviders"`
	// Login is what proves gateway credentials, where a provider has Login.
	Login    Login      `json:"login,omitzero"`
	Policies policy.Set `json:"policies"`
	// Labels are the Connection's, where a policy has a module of Rego.
	Labels map[string]string `json:"labels,omitempty"`
	// MaskKey is the Connection's key for masks that hash. Only the sealed form
	// holds it.
	MaskKey MaskKey `json:"maskKey,omitzero"`
	Sinks   []Sink  `json:"sinks"`
}

// Connection names the object a snapshot was made of.
type Connection struct {
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"`
}

// About is what the policies' decisions are about.
func (s *Snapshot) About() policy.About {
	return policy.About{Namespace: s.Connection.Namespace, Name: s.Connection.Name, Labels: s.Labels}
}

// Target is one address of the target; they are tried in order.
type Target struct {
	Host string `json:"host"`
	Port int32  `json:"port"`
}

// Address is host:port.
func (t Target) Address() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

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

// IdentityProvider is one accepted IdentityProvider object. Type is OIDC, Kubernetes or
// SAML.
type IdentityProvider struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	OIDC       *OIDC       `json:"oidc,omitempty"`
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`
	SAML       *SAML       `json:"saml,omitempty"`
	// KubernetesUsernamePrefix makes the API server's name of a caller: prefix
	// plus KubernetesUsernameExpression, or, where that is empty, what the user name
	// is made of. Nil means that callers do not map.
	KubernetesUsernamePrefix     *string `json:"kubernetesUsernamePrefix,omitempty"`
	KubernetesUsernameExpression string  `json:"kubernetesUsernameExpression,omitempty"`
	// Claims are the names of those claims that policies look at, sorted; without
	// the keys of extra, which are kept in any case.
	Claims []string `json:"claims,omitempty"`
	// Login says that gateway credentials count that the manager has issued to whom
	// the provider proves.
	Login bool `json:"login,omitempty"`
}

// IssuerURL is that of who makes the tokens of the provider, of SAML its entity ID, which
// need not be a URL; empty where there are no settings.
func (p *IdentityProvider) IssuerURL() string {
	switch {
	case p.OIDC != nil:
		return p.OIDC.IssuerURL
	case p.Kubernetes != nil:
		return p.Kubernetes.IssuerURL
	case p.SAML != nil:
		return p.SAML.EntityID
	}
	return ""
}

// Mappings say what callers are made of claims; nil where nothing is mapped.
func (p *IdentityProvider) Mappings() *Mapped {
	switch {
	case p.OIDC != nil:
		return &p.OIDC.Mapped
	case p.SAML != nil:
		return &p.SAML.Mapped
	}
	return nil
}

// OIDC are the settings of an OpenID Connect issuer. Empty DiscoveryURL means the
// address below IssuerURL.
type OIDC struct {
	IssuerURL            string   `json:"issuerURL"`
	DiscoveryURL         string   `json:"discoveryURL,omitempty"`
	Audiences            []string `json:"audiences"`
	CertificateAuthority string   `json:"certificateAuthority,omitempty"`
	Algorithms           []string `json:"algorithms,omitempty"`
	Mapped
}

// SAML are the settings of a SAML 2.0 identity provider. Its assertions are verified by
// the manager, so that a proxy needs nothing of the metadata. Audience is the login
// portal's entity ID.
type SAML struct {
	EntityID string `json:"entityID"`
	Audience string `json:"audience"`
	Mapped
}

// Mapped says what callers are made of claims, and which are refused.
type Mapped struct {
	Username         ClaimMapping    `json:"username"`
	Groups           *ClaimMapping   `json:"groups,omitempty"`
	UID              *ClaimMapping   `json:"uid,omitempty"`
	Kind             *ClaimMapping   `json:"kind,omitempty"`
	Extra            []ExtraMapping  `json:"extra,omitempty"`
	RequiredClaims   []RequiredClaim `json:"requiredClaims,omitempty"`
	ClaimRules       []Rule          `json:"claimRules,omitempty"`
	UserRules        []Rule          `json:"userRules,omitempty"`
	ClockSkewSeconds int32           `json:"clockSkewSeconds,omitempty"`
}

// The values of Kubernetes.Verification.
const (
	VerifyIssuerKeys  = "IssuerKeys"
	VerifyTokenReview = "TokenReview"
)

// Kubernetes are the settings of a cluster whose ServiceAccounts are accepted. Prefix
// is put before user names and groups.
type Kubernetes struct {
	IssuerURL            string   `json:"issuerURL"`
	DiscoveryURL         string   `json:"discoveryURL,omitempty"`
	Audiences            []string `json:"audiences"`
	CertificateAuthority string   `json:"certificateAuthority,omitempty"`
	Verification         string   `json:"verification"`
	Prefix               string   `json:"prefix,omitempty"`
}

// ClaimMapping makes a name of a claim, or of an expression of CEL.
type ClaimMapping struct {
	Claim      string `json:"claim,omitempty"`
	Prefix     string `json:"prefix,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// ExtraMapping keeps the value of an expression under a key.
type ExtraMapping struct {
	Key        string `json:"key"`
	Expression string `json:"expression"`
}

// RequiredClaim is a claim that must have this very value.
type RequiredClaim struct {
	Claim string `json:"claim"`
	Value string `json:"value"`
}

// Rule is an expression of CEL that must be true. Index is its place among the rules of
// the object, for errors.
type Rule struct {
	Index      int    `json:"index"`
	Expression string `json:"expression"`
	Message    string `json:"message,omitempty"`
}

// Audit says how the trail of the Connection is kept. The zero value is the
// safest and the least that is kept.
type Audit struct {
	// Durability is Local or Remote (record.Durability); empty is Local.
	Durability string `json:"durability,omitempty"`
	// ReadOverlap lets what only reads be forwarded while its record is written.
	ReadOverlap bool `json:"readOverlap,omitempty"`
	// Responses is None, Digest or Masked; empty is None.
	Responses string `json:"responses,omitempty"`
	// Parameters is Digest or Text; empty is Digest.
	Parameters string `json:"parameters,omitempty"`
	// LogRetentionSeconds is how long the proxy's own log keeps records that
	// every sink has.
	LogRetentionSeconds int64 `json:"logRetentionSeconds,omitempty"`
	// LegalHold has the proxy's own log keep everything.
	LegalHold bool `json:"legalHold,omitempty"`
}

// Sink is one accepted LogSink object. Type names the one of File, S3, OTLP,
// Syslog, Kafka and Webhook that is set; Stdout has none.
type Sink struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Format is Native or OCSF; empty is Native.
	Format string `json:"format,omitempty"`
	// Secret says that the sink has credentials: those keys of the Secret
	// SinkSecretName that begin with SinkSecretKey.
	Secret  bool         `json:"secret,omitempty"`
	TLS     SinkTLS      `json:"tls,omitzero"`
	File    *FileSink    `json:"file,omitempty"`
	S3      *S3Sink      `json:"s3,omitempty"`
	OTLP    *OTLPSink    `json:"otlp,omitempty"`
	Syslog  *SyslogSink  `json:"syslog,omitempty"`
	Kafka   *KafkaSink   `json:"kafka,omitempty"`
	Webhook *WebhookSink `json:"webhook,omitempty"`
}

// SinkSecretName is the Secret, beside a Connection, that holds the credentials
// of its sinks.
func SinkSecretName(connection string) string { return "doorward-" + connection + "-sinks" }

// SinkSecretKey is the key under which a sink finds one value of its Secret:
// the LogSink's name, an underscore, which no name of a LogSink holds, and the key.
func SinkSecretKey(sink, key string) string { return sink + "_" + key }

// The keys of a LogSink's Secret.
const (
	// SinkAccessKeyID, SinkSecretAccessKey and SinkSessionToken are for S3.
	SinkAccessKeyID     = "accessKeyID"
	SinkSecretAccessKey = "secretAccessKey"
	SinkSessionToken    = "sessionToken"
	// SinkUsername and SinkPassword are for Kafka.
	SinkUsername = "username"
	SinkPassword = "password"
	// SinkHeaders are lines of "Name: value", for OTLP and Webhook.
	SinkHeaders = "headers"
	// SinkSigningKey signs webhooks; the previous one signs too, where it is set.
	SinkSigningKey         = "signingKey"
	SinkPreviousSigningKey = "previousSigningKey"
	// SinkCertificate and SinkKey are a client certificate, for every type.
	SinkCertificate = "tls.crt"
	SinkKey         = "tls.key"
)

// SinkTLS is how a sink's server is verified. Mode is VerifyFull or Disabled;
// empty is VerifyFull. Empty CA means the system's roots.
type SinkTLS struct {
	Mode       string `json:"mode,omitempty"`
	ServerName string `json:"serverName,omitempty"`
	CA         string `json:"ca,omitempty"`
}

// FileSink are the settings of type File. Zero RetentionSeconds keeps for ever.
type FileSink struct {
	Directory        string `json:"directory"`
	MaxFileBytes     int64  `json:"maxFileBytes,omitempty"`
	RetentionSeconds int64  `json:"retentionSeconds,omitempty"`
}

// S3Sink are the settings of type S3.
type S3Sink struct {
	// Endpoint is a URL without path.
	Endpoint string `json:"endpoint"`
	Region   string `json:"region,omitempty"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix,omitempty"`
	// Addressing is Path or VirtualHost; empty lets the endpoint decide.
	Addressing string `json:"addressing,omitempty"`
	// Compression is None or Gzip; empty is None.
	Compression string `json:"compression,omitempty"`
	// LockMode is Governance, Compliance or empty; RetentionDays goes with it.
	LockMode      string `json:"lockMode,omitempty"`
	RetentionDays int32  `json:"retentionDays,omitempty"`
	LegalHold     bool   `json:"legalHold,omitempty"`
}

// OTLPSink are the settings of type OTLP. Protocol is GRPC or HTTP.
type OTLPSink struct {
	Endpoint string `json:"endpoint"`
	Protocol string `json:"protocol"`
	// Compression is None or Gzip; empty is None.
	Compression string `json:"compression,omitempty"`
}

// SyslogSink are the settings of type Syslog.
type SyslogSink struct {
	// Address is host:port.
	Address string `json:"address"`
	// Facility is a keyword of RFC 5424, such as "local0"; empty is "audit" (13).
	Facility        string `json:"facility,omitempty"`
	MaxMessageBytes int64  `json:"maxMessageBytes,omitempty"`
}

// KafkaSink are the settings of type Kafka.
type KafkaSink struct {
	// Brokers are host:port.
	Brokers []string `json:"brokers"`
	Topic   string   `json:"topic"`
	// SASL is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or empty.
	SASL string `json:"sasl,omitempty"`
}

// WebhookSink are the settings of type Webhook.
type WebhookSink struct {
	URL string `json:"url"`
	// Compression is None or Gzip; empty is None.
	Compression string `json:"compression,omitempty"`
}

// Heartbeat is the manager's proof of life: signed, newer with each beat, and
// naming the revision that is current. It says that a proxy that runs this
// revision is not left behind.
type Heartbeat struct {
	UID      string    `json:"uid"`
	Revision int64     `json:"revision"`
	Time     time.Time `json:"time"`
}
