// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/snapshot"
)

// checklist 47, 49: no error of a sink that cannot be opened shows a credential.
func TestNewSink(t *testing.T) {
	const canary = "canary-credential"
	signing := []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(canary, 2))))
	s3 := &snapshot.S3Sink{Endpoint: "https://s3.example", Bucket: "audit"}
	plain := &snapshot.KafkaSink{Brokers: []string{"kafka.example:9093"}, Topic: "audit", SASL: "PLAIN"}
	hook := &snapshot.WebhookSink{URL: "https://siem.example/in"}
	tests := map[string]struct {
		reason string
		sink   snapshot.Sink
		keys   map[string][]byte
		says   string // empty: it opens
	}{
		"Stdout":     {reason: "needs nothing", sink: snapshot.Sink{Type: "Stdout"}},
		"StdoutOCSF": {reason: "any format goes anywhere", sink: snapshot.Sink{Type: "Stdout", Format: "OCSF"}},
		"File":       {reason: "needs a directory", sink: snapshot.Sink{Type: "File", File: &snapshot.FileSink{Directory: filepath.Join(t.TempDir(), "records"), RetentionSeconds: 60}}},
		"S3":         {reason: "has its keys", sink: snapshot.Sink{Type: "S3", Secret: true, S3: s3}, keys: map[string][]byte{"accessKeyID": []byte("id"), "secretAccessKey": []byte(canary)}},
		"S3NoKey": {
			reason: "the key is named as it is in both Secrets", sink: snapshot.Sink{Type: "S3", Secret: true, S3: s3}, keys: map[string][]byte{"accessKeyID": []byte(canary)},
			says: `secret "doorward-shop-sinks" has no key "siem_secretAccessKey": put key "secretAccessKey" into the Secret of LogSink "siem"`,
		},
		"S3NoSecret": {reason: "no Secret, no keys", sink: snapshot.Sink{Type: "S3", S3: s3}, says: "names no Secret"},
		"OTLPGRPC":   {reason: "gRPC names a host and port", sink: snapshot.Sink{Type: "OTLP", OTLP: &snapshot.OTLPSink{Endpoint: "otel.example:4317", Protocol: "GRPC"}}},
		"OTLPHTTP": {
			reason: "HTTP names a URL", sink: snapshot.Sink{Type: "OTLP", Secret: true, OTLP: &snapshot.OTLPSink{Endpoint: "https://otel.example", Protocol: "HTTP"}},
			keys: map[string][]byte{"headers": []byte("Authorization: Bearer " + canary + "\n")},
		},
		"OTLPInClear": {
			reason: "the scheme follows the TLS mode", sink: snapshot.Sink{Type: "OTLP", TLS: snapshot.SinkTLS{Mode: "Disabled"}, OTLP: &snapshot.OTLPSink{Endpoint: "otel.example:4317", Protocol: "GRPC"}},
		},
		"BadHeaders": {
			reason: "a line without name is not sent as one", sink: snapshot.Sink{Type: "OTLP", Secret: true, OTLP: &snapshot.OTLPSink{Endpoint: "https://otel.example", Protocol: "HTTP"}},
			keys: map[string][]byte{"headers": []byte("A: b\n" + canary)}, says: "line 2",
		},
		"Syslog": {reason: "needs an address", sink: snapshot.Sink{Type: "Syslog", Syslog: &snapshot.SyslogSink{Address: "log.example:6514"}}},
		"Kafka": {
			reason: "has user and password", sink: snapshot.Sink{Type: "Kafka", Secret: true, Kafka: plain},
			keys: map[string][]byte{"username": []byte("app"), "password": []byte(canary)},
		},
		"KafkaNoPassword": {reason: "SASL needs one", sink: snapshot.Sink{Type: "Kafka", Secret: true, Kafka: plain}, keys: map[string][]byte{"username": []byte(canary)}, says: `"siem_password"`},
		"KafkaBadClientCertificate": {
			reason: "half a client certificate is none", sink: snapshot.Sink{Type: "Kafka", Secret: true, Kafka: &snapshot.KafkaSink{Brokers: plain.Brokers, Topic: "audit"}},
			keys: map[string][]byte{"tls.key": []byte(canary)}, says: "client certificate",
		},
		"Webhook":       {reason: "is signed", sink: snapshot.Sink{Type: "Webhook", Secret: true, Webhook: hook}, keys: map[string][]byte{"signingKey": signing, "previousSigningKey": signing}},
		"WebhookBadKey": {reason: "a key that is none", sink: snapshot.Sink{Type: "Webhook", Secret: true, Webhook: hook}, keys: map[string][]byte{"signingKey": []byte(canary)}, says: "sign"},
		"WebhookNoKey":  {reason: "must be signed", sink: snapshot.Sink{Type: "Webhook", Secret: true, Webhook: hook}, says: `"siem_signingKey"`},
		"Unset":         {reason: "a type without its settings", sink: snapshot.Sink{Type: "Kafka"}, says: "settings"},
		"UnknownType":   {reason: "fails closed", sink: snapshot.Sink{Type: "Pigeon"}, says: "upgrade the proxy"},
		"UnknownFormat": {reason: "fails closed", sink: snapshot.Sink{Type: "Stdout", Format: "XML"}, says: "upgrade the proxy"},
		"UnknownTLS":    {reason: "fails closed", sink: snapshot.Sink{Type: "Syslog", Syslog: &snapshot.SyslogSink{Address: "a:1"}, TLS: snapshot.SinkTLS{Mode: "Maybe"}}, says: "upgrade the proxy"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.sink.Name = "siem"
			s, err := newSink("data/shop", tc.sink, func(string) (map[string][]byte, error) { return tc.keys, nil })
			switch {
			case tc.says == "" && err != nil:
				t.Errorf("newSink() = %v: %s", err, tc.reason)
			case tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("newSink() = %v, want %q: %s", err, tc.says, tc.reason)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("the error shows a credential: %v", err)
			}
			if closer, ok := s.(io.Closer); ok && err == nil {
				must(t, closer.Close())
			}
			if _, gathers := s.(sink.Gatherer); err == nil && gathers != (tc.sink.Type == "S3") {
				t.Errorf("gathers: %v", gathers)
			}
		})
	}
	errAway := errors.New(`secret "doorward-shop-sinks" does not exist`)
	if _, err := newSink("data/shop", snapshot.Sink{Name: "siem", Type: "S3", Secret: true, S3: s3}, func(string) (map[string][]byte, error) { return nil, errAway }); !errors.Is(err, errAway) {
		t.Errorf("newSink() = %v, want %v", err, errAway)
	}
}

func TestHeaders(t *testing.T) {
	tests := map[string]struct {
		text string
		want map[string]string
		says string
	}{
		"None":    {text: "", want: map[string]string{}},
		"Some":    {text: "A: b: c\r\n\n X-Y :z\n", want: map[string]string{"A": "b: c", "X-Y": "z"}},
		"NoValue": {text: "A:", says: "line 1"},
		"Twice":   {text: "A: b\nA: c", says: "line 2"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := headersOf([]byte(tc.text))
			if (err != nil) != (tc.says != "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("headersOf() = %v, want %q", err, tc.says)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// checklist 48: what a destination said acts on nobody who reads the report.
func TestSinkReports(t *testing.T) {
	at := time.Unix(1800000000, 0)
	var statuses []sink.Status
	for i := range report.MaxSinks + 3 {
		statuses = append(statuses, sink.Status{Name: fmt.Sprintf("sink-%03d", i), Lag: int64(i), LastSuccess: at, Reachable: true})
	}
	statuses[40%len(statuses)].LastError = errors.New("bad\x1b[2K\u202eword\n" + strings.Repeat("ä", report.MaxSinkError))
	got := sinkReports(statuses)
	if len(got) != report.MaxSinks || got[0].Name != "sink-003" || !got[0].AcknowledgedAt.Equal(at) {
		t.Errorf("%d sinks, the first %+v; want those that lag most, by name", len(got), got[0])
	}
	for _, s := range got {
		if len(s.Error) > report.MaxSinkError || !utf8.ValidString(s.Error) || strings.ContainsAny(s.Error, "\x1b\u202e\n") {
			t.Errorf("error %q", s.Error)
		}
	}
	if never := sinkReports([]sink.Status{{Name: "a"}}); !never[0].AcknowledgedAt.IsZero() {
		t.Errorf("acknowledged at %s, want never", never[0].AcknowledgedAt)
	}
}

// checklist 44: who runs the proxy hears that the log fills up, and why, before
// operations are refused.
func TestSpace(t *testing.T) {
	problems := kube.NewProblems()
	s := space{problems: problems}
	now := time.Now()
	steps := []struct {
		reason string
		used   int64
		held   string
		after  time.Duration
		says   string // empty: no problem
	}{
		{"there is space", 79, "", 0, ""},
		{"it fills up", 80, `sink "siem" has acknowledged 1 of 2 records: bring it back`, 0, `sink "siem"`},
		{"the words are not renewed all the time", 90, "no sink takes records from it: create a LogSink", time.Second, `sink "siem"`},
		{"but now and then", 90, "no sink takes records from it: create a LogSink", spaceEvery, "create a LogSink"},
		{"it does not flap", 76, "no sink takes records from it: create a LogSink", spaceEvery, "76%"},
		{"there is space again", 74, "", 0, ""},
		{"nothing holds it up but the speed", 85, "", 0, "faster"},
	}
	for _, step := range steps {
		now = now.Add(step.after)
		s.check(spool.Usage{Used: step.used, Max: 100, Held: step.held}, now)
		list := problems.List()
		if (len(list) == 0) != (step.says == "") || len(list) > 0 && (list[0].Type != "LogSpace" || !strings.Contains(list[0].Message, step.says)) {
			t.Errorf("%s: %+v, want %q", step.reason, list, step.says)
		}
	}
}
