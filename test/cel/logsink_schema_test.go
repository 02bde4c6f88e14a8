// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// certificate begins and ends like a PEM certificate; whether it is one, the manager says.
const certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"

// sinkOf replaces the spec of the sample by one of a type, with changes.
func sinkOf(kind, member string, settings map[string]any, changes edits) edits {
	spec := map[string]any{"type": kind}
	if member != "" {
		spec[member] = settings
	}
	object := edited(&unstructured.Unstructured{Object: map[string]any{"spec": spec}}, changes)
	return edits{"spec": object.Object["spec"]}
}

// Every type of LogSink: what it needs, and what it must not have. checklist 38: every
// string and list is bounded.
func TestLogSinkSchema(t *testing.T) {
	file := func(changes edits) edits {
		return sinkOf("File", "file", map[string]any{"directory": "/var/log/doorward"}, changes)
	}
	tryCreate(t, "logsink.yaml", map[string]schemaCase{
		"Sample":         {reason: "the sample is valid"},
		"NoType":         {reason: "required", changes: edits{"spec": map[string]any{}}, want: "spec.type"},
		"Type":           {reason: "enum", changes: edits{"spec.type": "Splunk"}, want: "Unsupported value"},
		"OCSF":           {reason: "any type, any format", changes: edits{"spec.format": "OCSF"}},
		"Format":         {reason: "enum", changes: edits{"spec.format": "CEF"}, want: "Unsupported value"},
		"StdoutSecret":   {reason: "nothing to prove", changes: edits{"spec.secret": map[string]any{"name": "a"}}, want: "tls and secret have no meaning"},
		"StdoutTLS":      {reason: "nothing to protect", changes: edits{"spec.tls": map[string]any{"mode": "VerifyFull"}}, want: "tls and secret have no meaning"},
		"FileOnStdout":   {reason: "union", changes: edits{"spec.file": map[string]any{"directory": "/a"}}, want: "forbidden otherwise"},
		"WebhookMissing": {reason: "union", changes: edits{"spec.type": "Webhook"}, want: "webhook is required"},
		"TwoTypes":       {reason: "union", changes: file(edits{"spec.syslog": map[string]any{"address": "a:1"}}), want: "syslog is required when type is Syslog, and forbidden otherwise"},

		"File":              {reason: "files", changes: file(nil)},
		"FileKept":          {reason: "with a retention", changes: file(edits{"spec.file.retentionSeconds": int64(3600), "spec.file.maxFileBytes": int64(65536)})},
		"FileMissing":       {reason: "union", changes: edits{"spec.type": "File"}, want: "file is required"},
		"FileRelative":      {reason: "absolute", changes: file(edits{"spec.file.directory": "var/log"}), want: "directory must be absolute"},
		"FileTraversal":     {reason: "no traversal", changes: file(edits{"spec.file.directory": "/var/../etc"}), want: "directory must be absolute"},
		"FileSmall":         {reason: "at least 64 KiB", changes: file(edits{"spec.file.maxFileBytes": int64(1)}), want: "maxFileBytes"},
		"FileRetentionZero": {reason: "unset keeps for ever; zero says nothing", changes: file(edits{"spec.file.retentionSeconds": int64(0)}), want: "retentionSeconds"},
	})
}

func TestLogSinkSecretAndTLS(t *testing.T) {
	of := func(changes edits) edits {
		return sinkOf("Syslog", "syslog", map[string]any{"address": "syslog.shop.example:6514"}, changes)
	}
	tryCreate(t, "logsink.yaml", map[string]schemaCase{
		"Secret":           {reason: "a client certificate", changes: of(edits{"spec.secret": map[string]any{"name": "syslog"}})},
		"SecretEmpty":      {reason: "a name", changes: of(edits{"spec.secret": map[string]any{}}), want: "spec.secret.name"},
		"SecretElsewhere":  {reason: "checklist 41: in the operator's namespace only", changes: of(edits{"spec.secret": map[string]any{"name": "kube-system/token"}}), want: "without a namespace"},
		"SecretAuthority":  {reason: "checklist 41: the key of the authority goes nowhere", changes: of(edits{"spec.secret": map[string]any{"name": "doorward-ca"}}), want: "the manager's own Secrets"},
		"TLSEmpty":         {reason: "says nothing", changes: of(edits{"spec.tls": map[string]any{}}), want: "spec.tls"},
		"TLSDisabled":      {reason: "clear text is asked for in words", changes: of(edits{"spec.tls": map[string]any{"mode": "Disabled"}})},
		"TLSMode":          {reason: "there is no half verification", changes: of(edits{"spec.tls": map[string]any{"mode": "SkipVerify"}}), want: "Unsupported value"},
		"TLSContradiction": {reason: "a name that nobody verifies", changes: of(edits{"spec.tls": map[string]any{"mode": "Disabled", "serverName": "a"}}), want: "no meaning when mode is Disabled"},
		"ServerName":       {reason: "a name", changes: of(edits{"spec.tls": map[string]any{"serverName": "*.shop.example"}}), want: "serverName must be"},
		"Authority":        {reason: "inline", changes: of(edits{"spec.tls": map[string]any{"certificateAuthority": certificate}})},
		"AuthorityText":    {reason: "PEM", changes: of(edits{"spec.tls": map[string]any{"certificateAuthority": "a"}}), want: "must be PEM certificates"},
		"AuthorityKey":     {reason: "no private key in a spec", changes: of(edits{"spec.tls": map[string]any{"certificateAuthority": certificate + "-----BEGIN PRIVATE KEY-----"}}), want: "no private key"},
		"AuthorityLong":    {reason: "bounded", changes: of(edits{"spec.tls": map[string]any{"certificateAuthority": certificate + longText(65536)}}), want: "Too long"},
	})
}

func TestLogSinkS3Schema(t *testing.T) {
	of := func(changes edits) edits {
		all := edits{"spec.secret": map[string]any{"name": "archive"}}
		maps.Copy(all, changes)
		return sinkOf("S3", "s3", map[string]any{"endpoint": "https://s3.shop.example", "bucket": "records"}, all)
	}
	plain := map[string]any{"mode": "Disabled"}
	tryCreate(t, "logsink.yaml", map[string]schemaCase{
		"Least": {reason: "the rest is optional", changes: of(nil)},
		"All": {reason: "everything", changes: edits{"spec": map[string]any{"type": "S3", "secret": map[string]any{"name": "a"}, "s3": map[string]any{
			"endpoint": "https://192.0.2.1:9000/", "bucket": "b-1", "region": "eu-central-1", "prefix": "a/b", "addressing": "Path", "compression": "Gzip",
			"lockMode": "Governance", "retentionDays": int64(36500), "legalHold": "Enabled",
		}}}},
		"NoSecret":     {reason: "every request is signed", changes: of(edits{"spec.secret": absent{}}), want: "needs secret, with the keys accessKeyID"},
		"Plain":        {reason: "clear text, in words", changes: of(edits{"spec.s3.endpoint": "http://minio:9000", "spec.tls": plain})},
		"PlainUnsaid":  {reason: "clear text is asked for", changes: of(edits{"spec.s3.endpoint": "http://minio:9000"}), want: "must begin with https://"},
		"PlainTLS":     {reason: "vice versa", changes: of(edits{"spec.tls": plain}), want: "or with http:// when tls.mode is Disabled"},
		"Scheme":       {reason: "a scheme", changes: of(edits{"spec.s3.endpoint": "s3.shop.example"}), want: "endpoint must be a URL"},
		"OtherScheme":  {reason: "http or https", changes: of(edits{"spec.s3.endpoint": "ftp://s3.shop.example"}), want: "endpoint must be a URL"},
		"Path":         {reason: "no path", changes: of(edits{"spec.s3.endpoint": "https://s3.shop.example/bucket"}), want: "endpoint must be a URL"},
		"User":         {reason: "no credential in a spec", changes: of(edits{"spec.s3.endpoint": "https://a:b@s3.shop.example"}), want: "endpoint must be a URL"},
		"Bucket":       {reason: "a name", changes: of(edits{"spec.s3.bucket": "a/b"}), want: "bucket"},
		"BucketShort":  {reason: "at least three", changes: of(edits{"spec.s3.bucket": "ab"}), want: "bucket"},
		"Prefix":       {reason: "no traversal", changes: of(edits{"spec.s3.prefix": "a/../b"}), want: "prefix must be"},
		"PrefixSlash":  {reason: "no empty part", changes: of(edits{"spec.s3.prefix": "/a"}), want: "prefix must be"},
		"PrefixLong":   {reason: "bounded", changes: of(edits{"spec.s3.prefix": longText(513)}), want: "Too long"},
		"Region":       {reason: "pattern", changes: of(edits{"spec.s3.region": "a b"}), want: "region"},
		"LockOnly":     {reason: "how long is missing", changes: of(edits{"spec.s3.lockMode": "Compliance"}), want: "go together"},
		"DaysOnly":     {reason: "how strictly is missing", changes: of(edits{"spec.s3.retentionDays": int64(1)}), want: "go together"},
		"Days":         {reason: "at most a century", changes: of(edits{"spec.s3.lockMode": "Compliance", "spec.s3.retentionDays": int64(36501)}), want: "retentionDays"},
		"LockMode":     {reason: "enum", changes: of(edits{"spec.s3.lockMode": "GOVERNANCE", "spec.s3.retentionDays": int64(1)}), want: "Unsupported value"},
		"LegalHold":    {reason: "enum", changes: of(edits{"spec.s3.legalHold": "ON"}), want: "Unsupported value"},
		"Addressing":   {reason: "enum", changes: of(edits{"spec.s3.addressing": "path"}), want: "Unsupported value"},
		"Compression":  {reason: "enum", changes: of(edits{"spec.s3.compression": "Zstd"}), want: "Unsupported value"},
		"EndpointLong": {reason: "bounded", changes: of(edits{"spec.s3.endpoint": "https://" + longText(505)}), want: "Too long"},
	})
}

func TestLogSinkServersSchema(t *testing.T) {
	plain := edits{"spec.tls": map[string]any{"mode": "Disabled"}}
	with := func(changes ...edits) edits {
		all := edits{}
		for _, c := range changes {
			maps.Copy(all, c)
		}
		return all
	}
	otlp := func(protocol, endpoint string, changes edits) edits {
		return sinkOf("OTLP", "otlp", map[string]any{"protocol": protocol, "endpoint": endpoint}, changes)
	}
	syslog := func(changes edits) edits {
		return sinkOf("Syslog", "syslog", map[string]any{"address": "syslog.shop.example:6514"}, changes)
	}
	kafka := func(changes edits) edits {
		return sinkOf("Kafka", "kafka", map[string]any{"brokers": []any{"kafka:9093"}, "topic": "records"}, changes)
	}
	sasl := func(mechanism string) edits {
		return edits{"spec.secret": map[string]any{"name": "kafka"}, "spec.kafka.sasl": mechanism}
	}
	webhook := func(url string, changes edits) edits {
		all := edits{"spec.secret": map[string]any{"name": "intake"}}
		maps.Copy(all, changes)
		return sinkOf("Webhook", "webhook", map[string]any{"url": url}, all)
	}
	tryCreate(t, "logsink.yaml", map[string]schemaCase{
		"OTLPGRPC":        {reason: "a URL", changes: otlp("GRPC", "https://collector.logging.svc:4317", nil)},
		"OTLPGRPCIPv6":    {reason: "a URL", changes: otlp("GRPC", "https://[2001:db8::1]:4317/", nil)},
		"OTLPGRPCPlain":   {reason: "clear text, in words", changes: otlp("GRPC", "http://localhost:4317", plain)},
		"OTLPGRPCUnsaid":  {reason: "clear text is asked for", changes: otlp("GRPC", "http://localhost:4317", nil), want: "must begin with https://"},
		"OTLPGRPCPath":    {reason: "gRPC has none of its own", changes: otlp("GRPC", "https://collector:4317/v1/logs", nil), want: "no path when protocol is GRPC"},
		"OTLPGRPCAddress": {reason: "a URL", changes: otlp("GRPC", "collector:4317", nil), want: "must be a URL"},
		"OTLPHTTP":        {reason: "a URL", changes: otlp("HTTP", "https://collector:4318/v1/logs", nil)},
		"OTLPHTTPPlain":   {reason: "clear text, in words", changes: otlp("HTTP", "http://collector:4318", plain)},
		"OTLPHTTPUnsaid":  {reason: "clear text is asked for", changes: otlp("HTTP", "http://collector:4318", nil), want: "must begin with https://"},
		"OTLPHTTPTLS":     {reason: "vice versa", changes: otlp("HTTP", "https://collector:4318", plain), want: "or with http:// when tls.mode is Disabled"},
		"OTLPHTTPQuery":   {reason: "no token in a spec", changes: otlp("HTTP", "https://collector:4318/?token=a", nil), want: "without user, query"},
		"OTLPProtocol":    {reason: "enum", changes: otlp("JSON", "https://collector:4318", nil), want: "Unsupported value"},
		"OTLPNoProtocol":  {reason: "required", changes: otlp("HTTP", "https://collector:4318", edits{"spec.otlp.protocol": absent{}}), want: "spec.otlp.protocol"},
		"OTLPCompression": {reason: "enum", changes: otlp("HTTP", "https://collector:4318", edits{"spec.otlp.compression": "zip"}), want: "Unsupported value"},

		"Syslog":         {reason: "the rest is optional", changes: syslog(nil)},
		"SyslogAll":      {reason: "everything", changes: syslog(edits{"spec.syslog.facility": "local7", "spec.syslog.maxMessageBytes": int64(1052672)})},
		"SyslogPlain":    {reason: "clear text, in words", changes: syslog(plain)},
		"SyslogFacility": {reason: "enum", changes: syslog(edits{"spec.syslog.facility": "local8"}), want: "Unsupported value"},
		"SyslogSmall":    {reason: "every receiver takes 2048", changes: syslog(edits{"spec.syslog.maxMessageBytes": int64(2047)}), want: "maxMessageBytes"},
		"SyslogLarge":    {reason: "no record is larger", changes: syslog(edits{"spec.syslog.maxMessageBytes": int64(1052673)}), want: "maxMessageBytes"},
		"SyslogNoPort":   {reason: "a port", changes: syslog(edits{"spec.syslog.address": "syslog.shop.example"}), want: "address must be a host and a port"},
		"SyslogScheme":   {reason: "no scheme", changes: syslog(edits{"spec.syslog.address": "tcp://syslog:6514"}), want: "address must be a host and a port"},

		"Kafka":          {reason: "the rest is optional", changes: kafka(nil)},
		"KafkaSCRAM":     {reason: "a password that is not sent", changes: kafka(sasl("SCRAM-SHA-512"))},
		"KafkaClear":     {reason: "SCRAM sends no password", changes: kafka(with(sasl("SCRAM-SHA-256"), plain))},
		"KafkaPlain":     {reason: "over TLS", changes: kafka(sasl("PLAIN"))},
		"KafkaPlainOpen": {reason: "no password in clear text", changes: kafka(with(sasl("PLAIN"), plain)), want: "would send the password in clear text"},
		"KafkaNoSecret":  {reason: "a password is needed", changes: kafka(edits{"spec.kafka.sasl": "PLAIN"}), want: "kafka.sasl needs secret"},
		"KafkaSASL":      {reason: "enum", changes: kafka(sasl("GSSAPI")), want: "Unsupported value"},
		"KafkaNoBroker":  {reason: "at least one", changes: kafka(edits{"spec.kafka.brokers": []any{}}), want: "brokers"},
		"KafkaBrokers":   {reason: "bounded", changes: kafka(edits{"spec.kafka.brokers": names(17)}), want: "brokers"},
		"KafkaBroker":    {reason: "host and port", changes: kafka(edits{"spec.kafka.brokers": []any{"kafka"}}), want: "a broker must be a host and a port"},
		"KafkaTopic":     {reason: "a name", changes: kafka(edits{"spec.kafka.topic": ".."}), want: "topic must be"},
		"KafkaTopicLong": {reason: "bounded", changes: kafka(edits{"spec.kafka.topic": longText(250)}), want: "Too long"},

		"Webhook":         {reason: "the rest is optional", changes: webhook("https://logs.shop.example", nil)},
		"WebhookAll":      {reason: "everything", changes: webhook("https://logs.shop.example:8443/in?team=shop", edits{"spec.secret": map[string]any{"name": "intake"}, "spec.webhook.compression": "Gzip"})},
		"WebhookNoSecret": {reason: "every request is signed", changes: webhook("https://logs.shop.example", edits{"spec.secret": absent{}}), want: "needs secret, with the key signingKey"},
		"WebhookPlain":    {reason: "clear text, in words", changes: webhook("http://localhost:8080/in", plain)},
		"WebhookUnsaid":   {reason: "clear text is asked for", changes: webhook("http://logs.shop.example", nil), want: "must begin with https://"},
		"WebhookTLS":      {reason: "vice versa", changes: webhook("https://logs.shop.example", plain), want: "or with http:// when tls.mode is Disabled"},
		"WebhookUser":     {reason: "no credential in a spec", changes: webhook("https://a:b@logs.shop.example", nil), want: "without user"},
		"WebhookFragment": {reason: "nobody would see it", changes: webhook("https://logs.shop.example/#a", nil), want: "without user and fragment"},
		"WebhookLong":     {reason: "bounded", changes: webhook("https://a/"+strings.Repeat("a", 2048), nil), want: "Too long"},
	})
}
