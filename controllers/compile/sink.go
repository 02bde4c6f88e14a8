// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Sinks compiles all LogSinks of the cluster: those whose settings are in order,
// sorted by name, and the verdict Accepted of each by name. secrets are what is
// known of the Secrets in the operator's namespace, by name; nil means that
// nothing is known, which no sink is blamed for.
//
// A sink whose Secret is missing or incomplete is not accepted, and yet among
// those returned: a proxy that was told to drop it would forget what it has
// delivered, and records would never reach it.
func Sinks(all []v1alpha1.LogSink, secrets map[string]SinkSecret) ([]snapshot.Sink, map[string]kit.Verdict) {
	verdicts := make(map[string]kit.Verdict, len(all))
	compiled := make([]snapshot.Sink, 0, len(all))
	for i := range all {
		sink := &all[i]
		s, f := compileSink(sink)
		if f == nil {
			compiled = append(compiled, s)
			f = credentialFault(sink, secrets)
		}
		if f != nil {
			verdicts[sink.Name] = kit.False(v1alpha1.ConditionAccepted, f.reason, f.err.Error())
			continue
		}
		verdicts[sink.Name] = kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	}
	slices.SortFunc(compiled, func(a, b snapshot.Sink) int { return strings.Compare(a.Name, b.Name) })
	return compiled, verdicts
}

// sinksOf are the sinks of one Connection. Managed proxies cannot write files that
// outlive their pods, so that records would wait for such a sink for ever.
func sinksOf(c *v1alpha1.Connection, all []v1alpha1.LogSink) []snapshot.Sink {
	sinks, _ := Sinks(all, nil)
	if !managed(c) {
		return sinks
	}
	return slices.DeleteFunc(sinks, func(s snapshot.Sink) bool { return s.File != nil })
}

// Uses says whether the proxies of a Connection use the sink.
func Uses(c *v1alpha1.Connection, sink *v1alpha1.LogSink) bool {
	_, f := compileSink(sink)
	return f == nil && (!managed(c) || sink.Spec.Type != v1alpha1.LogSinkFile)
}

// LeftOut returns the names of Managed Connections, as namespace/name, whose
// proxies do not use the sink because of its type.
func LeftOut(sink *v1alpha1.LogSink, connections []v1alpha1.Connection) []string {
	if sink.Spec.Type != v1alpha1.LogSinkFile {
		return nil
	}
	var names []string
	for i := range connections {
		if c := &connections[i]; managed(c) {
			names = append(names, c.Namespace+"/"+c.Name)
		}
	}
	return sortStrings(names)
}

func compileSink(sink *v1alpha1.LogSink) (snapshot.Sink, *fault) {
	spec := &sink.Spec
	compiled := snapshot.Sink{Name: sink.Name, Type: string(spec.Type), Format: string(spec.Format)}
	if secret := spec.Secret; secret != nil {
		if OwnSecret(secret.Name) {
			return compiled, invalid("spec.secret.name: %q is a name of the manager's own Secrets: give the Secret of the sink another name", secret.Name)
		}
		may, _ := SinkKeys(sink)
		compiled.Secret = len(may) > 0
	}
	if tls := spec.TLS; tls != nil {
		compiled.TLS = snapshot.SinkTLS{Mode: string(tls.Mode), ServerName: tls.ServerName, CA: tls.CertificateAuthority}
		if tls.CertificateAuthority != "" {
			if err := checkPEM(tls.CertificateAuthority); err != nil {
				return compiled, &fault{v1alpha1.ReasonInvalidCertificateAuthority, fmt.Errorf("spec.tls.certificateAuthority: %w", err)}
			}
		}
	}
	if members(spec) > 1 {
		return compiled, invalid("only the settings of type %s may be set", spec.Type)
	}
	var err error
	switch {
	case spec.Type == v1alpha1.LogSinkStdout && members(spec) == 0:
	case spec.Type == v1alpha1.LogSinkFile && spec.File != nil:
		compiled.File, err = compileFile(spec.File)
	case spec.Type == v1alpha1.LogSinkS3 && spec.S3 != nil:
		compiled.S3, err = compileS3(spec.S3, clearText(spec))
	case spec.Type == v1alpha1.LogSinkOTLP && spec.OTLP != nil:
		compiled.OTLP, err = compileOTLP(spec.OTLP, clearText(spec))
	case spec.Type == v1alpha1.LogSinkSyslog && spec.Syslog != nil:
		compiled.Syslog, err = compileSyslog(spec.Syslog)
	case spec.Type == v1alpha1.LogSinkKafka && spec.Kafka != nil:
		compiled.Kafka, err = compileKafka(spec.Kafka, clearText(spec))
	case spec.Type == v1alpha1.LogSinkWebhook && spec.Webhook != nil:
		compiled.Webhook, err = compileWebhook(spec.Webhook, clearText(spec))
	default:
		return compiled, invalid("type %q with its settings, and no others, is needed; this manager knows Stdout, File, S3, OTLP, Syslog, Kafka and Webhook", spec.Type)
	}
	if err != nil {
		return compiled, &fault{v1alpha1.ReasonInvalid, err}
	}
	if spec.Secret == nil && (spec.S3 != nil || spec.Webhook != nil || spec.Kafka != nil && spec.Kafka.SASL != "") {
		return compiled, invalid("spec.secret is needed: the server of this sink asks for credentials")
	}
	return compiled, nil
}

func invalid(format string, args ...any) *fault {
	return &fault{v1alpha1.ReasonInvalid, fmt.Errorf(format, args...)}
}

// OwnSecret says whether a Secret of the operator's namespace is the manager's
// own, such as the authority's key: a sink must not send it anywhere.
func OwnSecret(name string) bool { return strings.HasPrefix(name, "doorward-") }

// members counts the settings of types.
func members(spec *v1alpha1.LogSinkSpec) int {
	n := 0
	for _, set := range []bool{spec.File != nil, spec.S3 != nil, spec.OTLP != nil, spec.Syslog != nil, spec.Kafka != nil, spec.Webhook != nil} {
		if set {
			n++
		}
	}
	return n
}

// clearText says whether records are sent in clear text.
func clearText(spec *v1alpha1.LogSinkSpec) bool {
	return spec.TLS != nil && spec.TLS.Mode == v1alpha1.TLSDisabled
}

func compileFile(file *v1alpha1.FileSink) (*snapshot.FileSink, error) {
	if !path.IsAbs(file.Directory) || path.Clean(file.Directory) != strings.TrimRight(file.Directory, "/") {
		return nil, fmt.Errorf("spec.file.directory must be an absolute path without '.' and '..': %q", file.Directory)
	}
	return &snapshot.FileSink{Directory: file.Directory, MaxFileBytes: file.MaxFileBytes, RetentionSeconds: int64(file.RetentionSeconds)}, nil
}

func compileS3(s3 *v1alpha1.S3Sink, inClear bool) (*snapshot.S3Sink, error) {
	u, err := checkURL("spec.s3.endpoint", s3.Endpoint, inClear)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("spec.s3.endpoint must be a URL without path and query")
	}
	if (s3.LockMode == "") != (s3.RetentionDays == 0) {
		return nil, errors.New("spec.s3.lockMode and spec.s3.retentionDays go together: set both, or neither")
	}
	return &snapshot.S3Sink{
		Endpoint: s3.Endpoint, Region: s3.Region, Bucket: s3.Bucket, Prefix: s3.Prefix, Addressing: string(s3.Addressing),
		Compression: string(s3.Compression), LockMode: string(s3.LockMode), RetentionDays: s3.RetentionDays,
		LegalHold: s3.LegalHold == v1alpha1.LegalHoldEnabled,
	}, nil
}

func compileOTLP(otlp *v1alpha1.OTLPSink, inClear bool) (*snapshot.OTLPSink, error) {
	if otlp.Protocol != v1alpha1.OTLPProtocolGRPC && otlp.Protocol != v1alpha1.OTLPProtocolHTTP {
		return nil, fmt.Errorf("spec.otlp.protocol must be GRPC or HTTP: %q", otlp.Protocol)
	}
	u, err := checkURL("spec.otlp.endpoint", otlp.Endpoint, inClear)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || otlp.Protocol == v1alpha1.OTLPProtocolGRPC && strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("spec.otlp.endpoint must be a URL without query, and without path where spec.otlp.protocol is GRPC")
	}
	return &snapshot.OTLPSink{Endpoint: otlp.Endpoint, Protocol: string(otlp.Protocol), Compression: string(otlp.Compression)}, nil
}

func compileSyslog(syslog *v1alpha1.SyslogSink) (*snapshot.SyslogSink, error) {
	if err := checkHostPort("spec.syslog.address", syslog.Address); err != nil {
		return nil, err
	}
	return &snapshot.SyslogSink{Address: syslog.Address, Facility: string(syslog.Facility), MaxMessageBytes: int64(syslog.MaxMessageBytes)}, nil
}

func compileKafka(kafka *v1alpha1.KafkaSink, inClear bool) (*snapshot.KafkaSink, error) {
	if len(kafka.Brokers) == 0 {
		return nil, errors.New("spec.kafka.brokers: at least one is needed")
	}
	for i, broker := range kafka.Brokers {
		if err := checkHostPort(fmt.Sprintf("spec.kafka.brokers[%d]", i), broker); err != nil {
			return nil, err
		}
	}
	if kafka.SASL == v1alpha1.KafkaSASLPlain && inClear {
		return nil, errors.New("spec.kafka.sasl: PLAIN would send the password in clear text: enable spec.tls, or use a SCRAM mechanism")
	}
	return &snapshot.KafkaSink{Brokers: kafka.Brokers, Topic: kafka.Topic, SASL: string(kafka.SASL)}, nil
}

func compileWebhook(webhook *v1alpha1.WebhookSink, inClear bool) (*snapshot.WebhookSink, error) {
	if _, err := checkURL("spec.webhook.url", webhook.URL, inClear); err != nil {
		return nil, err
	}
	return &snapshot.WebhookSink{URL: webhook.URL, Compression: string(webhook.Compression)}, nil
}

// checkURL returns a URL that fits the TLS settings. The error does not hold it:
// somebody may have put a token into it.
func checkURL(field, text string, inClear bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New(field + " must be a URL of a host, without user and fragment")
	}
	switch {
	case u.Scheme == "https" && !inClear, u.Scheme == "http" && inClear:
		return u, nil
	default:
		return nil, errors.New(field + " must begin with https://, or with http:// where spec.tls.mode is Disabled")
	}
}

func checkHostPort(field, text string) error {
	host, port, err := net.SplitHostPort(text)
	if err == nil && host != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
			return nil
		}
	}
	return fmt.Errorf("%s must be a host and a port: %q", field, text)
}
