// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/doorward/doorward/cmd/version"
	"github.com/doorward/doorward/proxy/record/ocsf"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
	"github.com/doorward/doorward/proxy/record/sink/file"
	"github.com/doorward/doorward/proxy/record/sink/kafka"
	"github.com/doorward/doorward/proxy/record/sink/otlp"
	"github.com/doorward/doorward/proxy/record/sink/stdout"
	"github.com/doorward/doorward/proxy/record/sink/syslog"
	"github.com/doorward/doorward/proxy/record/sink/webhook"
	"github.com/doorward/doorward/proxy/snapshot"
)

// s3Gather is how long records gather for one object.
const s3Gather = 5 * time.Second

// errUnset says that a sink's settings are not those of its type.
var errUnset = errors.New("the settings of its type are missing: upgrade the proxy to the manager's version")

// keys are a sink's credentials by their keys in the LogSink's Secret. They are
// taken out with need and may, so that what is needed and absent is named once.
type keys struct {
	values  map[string][]byte
	missing []string
}

func (k *keys) may(name string) []byte { return k.values[name] }

func (k *keys) need(name string) []byte {
	value := k.values[name]
	if len(value) == 0 {
		k.missing = append(k.missing, name)
	}
	return value
}

// newSink opens a LogSink for the proxy of a Connection. secrets returns the
// sink's credentials, and is asked only where it has some.
func newSink(connection string, s snapshot.Sink, secrets func(sink string) (map[string][]byte, error)) (sink.Sink, error) {
	k := &keys{}
	if s.Secret {
		var err error
		if k.values, err = secrets(s.Name); err != nil {
			return nil, err
		}
	}
	encode, err := encoder(s.Format)
	if err != nil {
		return nil, err
	}
	open, err := opener(s, k, encode)
	if err != nil {
		return nil, err
	}
	if len(k.missing) > 0 {
		_, name, _ := strings.Cut(connection, "/")
		where := "the LogSink names no Secret"
		if s.Secret {
			where = fmt.Sprintf("secret %q has no key %q", snapshot.SinkSecretName(name), snapshot.SinkSecretKey(s.Name, k.missing[0]))
		}
		return nil, fmt.Errorf("credentials missing: %s: put key %q into the Secret of LogSink %q", where, k.missing[0], s.Name)
	}
	if s.Secret && len(k.values) == 0 {
		// Nothing is sent unproven because a Secret is incomplete.
		return nil, fmt.Errorf("credentials missing: LogSink %q has none: look at its condition Accepted", s.Name)
	}
	return open()
}

func encoder(format string) (sink.Encoder, error) {
	switch format {
	case "", "Native":
		return sink.Native, nil
	case "OCSF":
		return ocsf.Encoder(version.String()), nil
	default:
		return nil, fmt.Errorf("format unknown to this proxy: %q: upgrade the proxy to the manager's version", format)
	}
}

// opener takes from k what a sink needs and returns how it is opened.
func opener(s snapshot.Sink, k *keys, encode sink.Encoder) (func() (sink.Sink, error), error) {
	tls := sink.TLS{
		Disabled: s.TLS.Mode == "Disabled", ServerName: s.TLS.ServerName, CA: s.TLS.CA,
		Certificate: k.may(snapshot.SinkCertificate), Key: k.may(snapshot.SinkKey),
	}
	if mode := s.TLS.Mode; mode != "" && mode != "VerifyFull" && mode != "Disabled" {
		return nil, fmt.Errorf("TLS mode unknown to this proxy: %q: upgrade the proxy to the manager's version", mode)
	}
	switch {
	case s.Type == "Stdout":
		return func() (sink.Sink, error) {
			return stdout.New(stdout.Options{Writer: os.Stdout, Encode: encode}), nil
		}, nil
	case s.Type == "File" && s.File != nil:
		return opening(file.New, file.Options{
			Dir: s.File.Directory, MaxBytes: s.File.MaxFileBytes, Encode: encode,
			Retention: time.Duration(s.File.RetentionSeconds) * time.Second,
		}), nil
	case s.Type == "S3" && s.S3 != nil:
		o := blob.Options{
			Endpoint: s.S3.Endpoint, Region: s.S3.Region, Bucket: s.S3.Bucket, Prefix: s.S3.Prefix, TLS: tls, Encode: encode,
			AccessKeyID: string(k.need(snapshot.SinkAccessKeyID)), SecretAccessKey: string(k.need(snapshot.SinkSecretAccessKey)),
			SessionToken: string(k.may(snapshot.SinkSessionToken)),
			Addressing:   blob.Addressing(s.S3.Addressing), Compression: sink.Compression(s.S3.Compression),
			LockMode: blob.LockMode(s.S3.LockMode), RetentionDays: s.S3.RetentionDays, LegalHold: s.S3.LegalHold,
		}
		return func() (sink.Sink, error) {
			made, err := blob.New(o)
			if err != nil {
				return nil, err
			}
			return gathering{made}, nil
		}, nil
	case s.Type == "OTLP" && s.OTLP != nil:
		headers, err := headersOf(k.may(snapshot.SinkHeaders))
		return opening(otlp.New, otlp.Options{
			Endpoint: endpointOf(s.OTLP.Endpoint, tls.Disabled), Protocol: otlp.Protocol(s.OTLP.Protocol), Headers: headers, TLS: tls,
			Compression: sink.Compression(s.OTLP.Compression), Encode: encode,
		}), err
	case s.Type == "Syslog" && s.Syslog != nil:
		return opening(syslog.New, syslog.Options{
			Address: s.Syslog.Address, TLS: tls, Facility: s.Syslog.Facility, MaxMessageBytes: int(s.Syslog.MaxMessageBytes), Encode: encode,
		}), nil
	case s.Type == "Kafka" && s.Kafka != nil:
		o := kafka.Options{Brokers: s.Kafka.Brokers, Topic: s.Kafka.Topic, TLS: tls, SASL: s.Kafka.SASL, Encode: encode}
		if o.SASL != "" {
			o.Username, o.Password = string(k.need(snapshot.SinkUsername)), k.need(snapshot.SinkPassword)
		}
		return opening(kafka.New, o), nil
	case s.Type == "Webhook" && s.Webhook != nil:
		headers, err := headersOf(k.may(snapshot.SinkHeaders))
		signing := [][]byte{k.need(snapshot.SinkSigningKey)}
		if previous := k.may(snapshot.SinkPreviousSigningKey); len(previous) > 0 {
			signing = append(signing, previous)
		}
		return opening(webhook.New, webhook.Options{
			URL: s.Webhook.URL, Secrets: signing, Headers: headers, TLS: tls,
			Compression: sink.Compression(s.Webhook.Compression), Encode: encode,
		}), err
	case s.Type == "File", s.Type == "S3", s.Type == "OTLP", s.Type == "Syslog", s.Type == "Kafka", s.Type == "Webhook":
		return nil, errUnset
	default:
		return nil, fmt.Errorf("type unknown to this proxy: %q: upgrade the proxy to the manager's version", s.Type)
	}
}

// opening makes of a package's New what opens its sink.
func opening[O any, S sink.Sink](open func(O) (S, error), options O) func() (sink.Sink, error) {
	return func() (sink.Sink, error) {
		made, err := open(options)
		if err != nil {
			return nil, err
		}
		return made, nil
	}
}

// gathering is an object store, where each batch makes an object.
type gathering struct{ *blob.Sink }

// Gather implements sink.Gatherer.
func (gathering) Gather() time.Duration { return s3Gather }

// endpointOf makes a URL of a host and port, which is how gRPC names a server.
func endpointOf(endpoint string, inClear bool) string {
	switch {
	case strings.Contains(endpoint, "://"):
		return endpoint
	case inClear:
		return "http://" + endpoint
	default:
		return "https://" + endpoint
	}
}

// headersOf reads lines of "Name: value". Its errors show no value.
func headersOf(text []byte) (map[string]string, error) {
	headers := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if _, twice := headers[name]; !found || name == "" || value == "" || twice {
			return nil, fmt.Errorf("key %q of the LogSink's Secret not usable: line %d: want \"Name: value\", each name once", snapshot.SinkHeaders, n)
		}
		headers[name] = value
	}
	return headers, lines.Err()
}
