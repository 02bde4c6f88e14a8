// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LogCompression says how what is sent to a sink is compressed.
// +kubebuilder:validation:Enum=None;Gzip
type LogCompression string

const (
	// LogCompressionNone sends records as they are.
	LogCompressionNone LogCompression = "None"

	// LogCompressionGzip compresses each batch.
	LogCompressionGzip LogCompression = "Gzip"
)

// FileSink says where files of records are kept.
type FileSink struct {
	// directory is an absolute directory that the proxy can write.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.split('/').exists(p, p == '..' || p == '.')",message="directory must be absolute and without '.' or '..' parts"
	Directory string `json:"directory,omitempty"`

	// maxFileBytes begins another file when one has that size. Unset means
	// 134217728 (128 MiB).
	// +optional
	// +kubebuilder:validation:Minimum=65536
	// +kubebuilder:validation:Maximum=1099511627776
	MaxFileBytes int64 `json:"maxFileBytes,omitempty"`

	// retentionSeconds deletes a file that was last written that long ago. Unset
	// means that files are never deleted.
	// +optional
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=2000000000
	RetentionSeconds int32 `json:"retentionSeconds,omitempty"`
}

// S3Addressing says where the bucket's name goes in a request.
// +kubebuilder:validation:Enum=Path;VirtualHost
type S3Addressing string

const (
	// S3AddressingPath puts the bucket's name into the path.
	S3AddressingPath S3Addressing = "Path"

	// S3AddressingVirtualHost puts the bucket's name before the host's.
	S3AddressingVirtualHost S3Addressing = "VirtualHost"
)

// S3LockMode says who may delete an object before its retention is over.
// +kubebuilder:validation:Enum=Governance;Compliance
type S3LockMode string

const (
	// S3LockGovernance lets those delete who hold a special permission.
	S3LockGovernance S3LockMode = "Governance"

	// S3LockCompliance lets nobody delete, the owner of the account included.
	S3LockCompliance S3LockMode = "Compliance"
)

// LegalHold says whether what is kept stays whatever its retention.
//
// The values are those of other settings, and not On and Off, which YAML reads as
// something else than words.
// +kubebuilder:validation:Enum=Disabled;Enabled
type LegalHold string

const (
	// LegalHoldDisabled lets the retention decide.
	LegalHoldDisabled LegalHold = "Disabled"

	// LegalHoldEnabled keeps everything until the hold is lifted.
	LegalHoldEnabled LegalHold = "Enabled"
)

// S3Sink are the settings of type S3.
// +kubebuilder:validation:XValidation:rule="has(self.lockMode) == has(self.retentionDays)",message="lockMode and retentionDays go together: set both, or neither"
type S3Sink struct {
	// endpoint is an https URL without path, for example
	// https://s3.eu-central-1.amazonaws.com.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+/?$') && isURL(self)",message="endpoint must be a URL of a host and an optional port, without path, query and user: https://s3.eu-central-1.amazonaws.com"
	Endpoint string `json:"endpoint,omitempty"`

	// region is what requests are signed for. Unset means us-east-1, which most
	// stores other than Amazon's take.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+$`
	Region string `json:"region,omitempty"`

	// bucket is the name of an existing bucket.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9][A-Za-z0-9._-]+[A-Za-z0-9]$`
	Bucket string `json:"bucket,omitempty"`

	// prefix comes before the key of each object, separated by a slash. Unset
	// means none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9!_.*()=-]+(/[A-Za-z0-9!_.*()=-]+)*$') && !self.split('/').exists(p, p == '.' || p == '..')",message="prefix must be parts of letters, digits and !_.*()=- separated by '/', none of them '.' or '..'"
	Prefix string `json:"prefix,omitempty"`

	// addressing is Path or VirtualHost. Unset lets the endpoint decide:
	// VirtualHost for Amazon and a few others, Path for the rest.
	// +optional
	Addressing S3Addressing `json:"addressing,omitempty"`

	// compression is None or Gzip. Unset means None.
	// +optional
	Compression LogCompression `json:"compression,omitempty"`

	// lockMode retains each object for retentionDays by object lock, which the
	// bucket must have been made with. Unset means that the bucket's own default
	// retention holds, if it has one.
	// +optional
	LockMode S3LockMode `json:"lockMode,omitempty"`

	// retentionDays is how long object lock retains each object.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=36500
	RetentionDays int32 `json:"retentionDays,omitempty"`

	// legalHold puts each new object on legal hold, by object lock. Nothing here
	// lifts a hold: that is done at the store. Unset means Disabled.
	// +optional
	LegalHold LegalHold `json:"legalHold,omitempty"`
}

// OTLPProtocol is how OpenTelemetry logs are carried.
// +kubebuilder:validation:Enum=GRPC;HTTP
type OTLPProtocol string

const (
	// OTLPProtocolGRPC is OTLP over gRPC.
	OTLPProtocolGRPC OTLPProtocol = "GRPC"

	// OTLPProtocolHTTP is OTLP over HTTP, as binary protobuf.
	OTLPProtocolHTTP OTLPProtocol = "HTTP"
)

// OTLPSink are the settings of type OTLP.
// +kubebuilder:validation:XValidation:rule="self.protocol != 'GRPC' || self.endpoint.matches('^https?://[^/]+/?$')",message="endpoint must have no path when protocol is GRPC: https://collector.logging.svc:4317"
type OTLPSink struct {
	// endpoint is an https URL, for example https://collector.logging.svc:4317.
	// Without a port it is 4317 when protocol is GRPC and 4318 when it is HTTP;
	// without a path it is /v1/logs when protocol is HTTP.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+(/[^?#]*)?$') && isURL(self)",message="endpoint must be a URL of a host, without user, query and fragment: https://collector.logging.svc:4317"
	Endpoint string `json:"endpoint,omitempty"`

	// protocol is GRPC or HTTP.
	// +required
	Protocol OTLPProtocol `json:"protocol,omitempty"`

	// compression is None or Gzip. Unset means None.
	// +optional
	Compression LogCompression `json:"compression,omitempty"`
}

// SyslogFacility is a keyword of RFC 5427.
// +kubebuilder:validation:Enum=kern;user;mail;daemon;auth;syslog;lpr;news;uucp;cron;authpriv;ftp;ntp;audit;console;cron2;local0;local1;local2;local3;local4;local5;local6;local7
type SyslogFacility string

// SyslogSink are the settings of type Syslog.
type SyslogSink struct {
	// address is the server's host and port, for example
	// syslog.logging.example:6514. It is spoken to over TCP, with TLS (RFC 5425)
	// unless tls.mode is Disabled.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|[[][0-9a-fA-F:.]+[]]):[1-9][0-9]{0,4}$') && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535",message="address must be a host and a port: syslog.logging.example:6514"
	Address string `json:"address,omitempty"`

	// facility of the messages. Unset means audit (13).
	// +optional
	Facility SyslogFacility `json:"facility,omitempty"`

	// maxMessageBytes is the greatest message that the server takes whole. A
	// record whose message is larger cannot be delivered and holds up those after
	// it: configure the server for 1052672, which is enough for every record, and
	// say so here. Unset means 8096, rsyslog's own default.
	// +optional
	// +kubebuilder:validation:Minimum=2048
	// +kubebuilder:validation:Maximum=1052672
	MaxMessageBytes int32 `json:"maxMessageBytes,omitempty"`
}

// KafkaSASL is a mechanism by which the proxy proves itself to Kafka.
// +kubebuilder:validation:Enum=PLAIN;SCRAM-SHA-256;SCRAM-SHA-512
type KafkaSASL string

const (
	// KafkaSASLPlain sends the password, over TLS only.
	KafkaSASLPlain KafkaSASL = "PLAIN"

	// KafkaSASLSCRAMSHA256 proves the password without sending it.
	KafkaSASLSCRAMSHA256 KafkaSASL = "SCRAM-SHA-256"

	// KafkaSASLSCRAMSHA512 proves the password without sending it.
	KafkaSASLSCRAMSHA512 KafkaSASL = "SCRAM-SHA-512"
)

// KafkaSink are the settings of type Kafka.
type KafkaSink struct {
	// brokers are the host and port of brokers to begin with; the others are
	// learnt from them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|[[][0-9a-fA-F:.]+[]]):[1-9][0-9]{0,4}$') && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535",message="a broker must be a host and a port: kafka-0.kafka.svc:9093"
	Brokers []string `json:"brokers,omitempty"`

	// topic is the name of an existing topic.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9._-]+$') && self != '.' && self != '..'",message="topic must be letters, digits, '.', '_' and '-'"
	Topic string `json:"topic,omitempty"`

	// sasl is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Unset means that the proxy
	// proves itself by a client certificate, if the Secret has one.
	// +optional
	SASL KafkaSASL `json:"sasl,omitempty"`
}

// WebhookSink are the settings of type Webhook. Every request is signed with the Secret's
// key signingKey.
type WebhookSink struct {
	// url is an https URL that batches are posted to. Whoever may read LogSinks
	// sees it: put tokens into the Secret's key headers, not into the URL.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+([/?][^#]*)?$') && isURL(self)",message="url must be an http or https URL of a host, without user and fragment"
	URL string `json:"url,omitempty"`

	// compression is None or Gzip. Unset means None.
	// +optional
	Compression LogCompression `json:"compression,omitempty"`
}
