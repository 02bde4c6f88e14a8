// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LogSinkType says where records go.
// +kubebuilder:validation:Enum=Stdout;File;S3;OTLP;Syslog;Kafka;Webhook
type LogSinkType string

const (
	// LogSinkStdout writes records to the standard output of the proxy.
	LogSinkStdout LogSinkType = "Stdout"

	// LogSinkFile writes records to files beside an External proxy.
	LogSinkFile LogSinkType = "File"

	// LogSinkS3 puts records as objects into an S3-compatible object store.
	LogSinkS3 LogSinkType = "S3"

	// LogSinkOTLP sends records as OpenTelemetry logs.
	LogSinkOTLP LogSinkType = "OTLP"

	// LogSinkSyslog sends records as RFC 5424 messages over TCP.
	LogSinkSyslog LogSinkType = "Syslog"

	// LogSinkKafka produces records to a topic of Kafka.
	LogSinkKafka LogSinkType = "Kafka"

	// LogSinkWebhook posts records to a URL.
	LogSinkWebhook LogSinkType = "Webhook"
)

// Remote says whether records that a sink of this type acknowledged are away from the
// proxy's machine, which is what audit.durability Remote of a Connection waits for.
func (t LogSinkType) Remote() bool {
	switch t {
	case LogSinkS3, LogSinkOTLP, LogSinkSyslog, LogSinkKafka, LogSinkWebhook:
		return true
	default:
		return false
	}
}

// LogFormat is the form of records in a sink.
// +kubebuilder:validation:Enum=Native;OCSF
type LogFormat string

const (
	// LogFormatNative keeps the very bytes of the log, which can be verified.
	LogFormatNative LogFormat = "Native"

	// LogFormatOCSF writes events of the Open Cybersecurity Schema Framework. They
	// are made for reading; they cannot prove that nothing is missing.
	LogFormatOCSF LogFormat = "OCSF"
)

// SinkSecretReference names a Secret in the operator's namespace.
type SinkSecretReference struct {
	// name of the Secret, in the operator's namespace. Its type is
	// doorward.dev/sink-credential or Opaque. Names that begin with doorward- are
	// the manager's own and refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of a Secret in the operator's namespace, without a namespace"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('doorward-')",message="names that begin with 'doorward-' are those of the manager's own Secrets; give the Secret of the sink another name"
	Name string `json:"name,omitempty"`
}

// SinkTLS says how the way to a sink's server is protected.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'Disabled' || (!has(self.serverName) && !has(self.certificateAuthority))",message="serverName and certificateAuthority have no meaning when mode is Disabled; remove them or set mode to VerifyFull"
type SinkTLS struct {
	// mode is VerifyFull or Disabled. Unset means VerifyFull. Disabled sends the
	// records, which say who did what, in clear text, and lets whoever is on the
	// way change or acknowledge them.
	// +optional
	Mode TLSMode `json:"mode,omitempty"`

	// serverName is the name that the server's certificate must carry. Unset means
	// the host of the address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()",message="serverName must be a lower-case DNS name or an IP address"
	ServerName string `json:"serverName,omitempty"`

	// certificateAuthority is one or more PEM certificates of the authorities
	// that the server's certificate is verified by. Unset means those of the
	// system the proxy runs on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule="self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY-----')",message="certificateAuthority must be PEM certificates, and no private key"
	CertificateAuthority string `json:"certificateAuthority,omitempty"`
}

// LogSinkSpec says where records go.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'File' ? has(self.file) : !has(self.file)",message="file is required when type is File, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'S3' ? has(self.s3) : !has(self.s3)",message="s3 is required when type is S3, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'OTLP' ? has(self.otlp) : !has(self.otlp)",message="otlp is required when type is OTLP, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Syslog' ? has(self.syslog) : !has(self.syslog)",message="syslog is required when type is Syslog, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Kafka' ? has(self.kafka) : !has(self.kafka)",message="kafka is required when type is Kafka, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type == 'Webhook' ? has(self.webhook) : !has(self.webhook)",message="webhook is required when type is Webhook, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="!(self.type in ['Stdout', 'File']) || (!has(self.tls) && !has(self.secret))",message="tls and secret have no meaning when type is Stdout or File: nothing leaves the proxy's machine"
// +kubebuilder:validation:XValidation:rule="self.type != 'S3' || has(self.secret)",message="a sink of type S3 needs secret, with the keys accessKeyID and secretAccessKey"
// +kubebuilder:validation:XValidation:rule="self.type != 'Webhook' || has(self.secret)",message="a sink of type Webhook needs secret, with the key signingKey: every request is signed"
// +kubebuilder:validation:XValidation:rule="!has(self.kafka) || !has(self.kafka.sasl) || has(self.secret)",message="kafka.sasl needs secret, with the keys username and password"
// +kubebuilder:validation:XValidation:rule="!has(self.kafka) || !has(self.kafka.sasl) || self.kafka.sasl != 'PLAIN' || !has(self.tls) || !has(self.tls.mode) || self.tls.mode != 'Disabled'",message="kafka.sasl PLAIN would send the password in clear text when tls.mode is Disabled; use TLS or a SCRAM mechanism"
// +kubebuilder:validation:XValidation:rule="!has(self.s3) || self.s3.endpoint.startsWith('http://') == (has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled')",message="s3.endpoint must begin with https://, or with http:// when tls.mode is Disabled"
// +kubebuilder:validation:XValidation:rule="!has(self.webhook) || self.webhook.url.startsWith('http://') == (has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled')",message="webhook.url must begin with https://, or with http:// when tls.mode is Disabled"
// +kubebuilder:validation:XValidation:rule="!has(self.otlp) || self.otlp.endpoint.startsWith('http://') == (has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled')",message="otlp.endpoint must begin with https://, or with http:// when tls.mode is Disabled"
type LogSinkSpec struct {
	// type is Stdout, File, S3, OTLP, Syslog, Kafka or Webhook.
	// +unionDiscriminator
	// +required
	Type LogSinkType `json:"type,omitempty"`

	// format is Native or OCSF. Unset means Native, the only one that can be
	// verified.
	// +optional
	Format LogFormat `json:"format,omitempty"`

	// secret holds what the sink's server asks for. The manager copies the keys
	// that the type uses into a Secret beside each Connection, for its proxies;
	// whoever may read Secrets there has them. Unset means no credentials.
	// +optional
	Secret *SinkSecretReference `json:"secret,omitempty"`

	// tls says how the way to the server is protected. Unset means VerifyFull with
	// the authorities of the system the proxy runs on.
	// +optional
	TLS *SinkTLS `json:"tls,omitempty"`

	// file writes records to files beside External proxies. Managed proxies do not
	// use the sink: their root file system is read-only, and no directory of a pod
	// outlives it.
	// +unionMember
	// +optional
	File *FileSink `json:"file,omitempty"`

	// s3 puts records as objects into an S3-compatible object store.
	// +unionMember
	// +optional
	S3 *S3Sink `json:"s3,omitempty"`

	// otlp sends records as OpenTelemetry logs.
	// +unionMember
	// +optional
	OTLP *OTLPSink `json:"otlp,omitempty"`

	// syslog sends records as RFC 5424 messages.
	// +unionMember
	// +optional
	Syslog *SyslogSink `json:"syslog,omitempty"`

	// kafka produces records to a topic.
	// +unionMember
	// +optional
	Kafka *KafkaSink `json:"kafka,omitempty"`

	// webhook posts records to a URL.
	// +unionMember
	// +optional
	Webhook *WebhookSink `json:"webhook,omitempty"`
}

// LogSink is where every proxy of the cluster sends its records, besides its own log. A
// record that a sink has not acknowledged stays in the log; when that is full, operations are
// refused.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=sink
// +kubebuilder:printcolumn:name="Type",type="string",JSONPath=".spec.type",description="Where records go"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the sink takes the records of every proxy"
// +kubebuilder:printcolumn:name="Reachable",type="string",JSONPath=".status.conditions[?(@.type==\"Reachable\")].status",description="Whether proxies reach the sink"
// +kubebuilder:printcolumn:name="Lag",type="integer",JSONPath=".status.lag",description="Records that the proxy that is most behind has not delivered"
// +kubebuilder:printcolumn:name="Last acknowledged",type="date",JSONPath=".status.lastAcknowledged",description="Time since the proxy that is most behind delivered something"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value",priority=10
// +kubebuilder:printcolumn:name="Proxies",type="integer",JSONPath=".status.observedProxies",description="Proxies that reported on the sink",priority=10
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type LogSink struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec LogSinkSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status LogSinkStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (s *LogSink) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (s *LogSink) SetConditions(conditions []metav1.Condition) { s.Status.Conditions = conditions }

// LogSinkList is a list of LogSinks.
// +kubebuilder:object:root=true
type LogSinkList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the LogSinks.
	Items []LogSink `json:"items"`
}
