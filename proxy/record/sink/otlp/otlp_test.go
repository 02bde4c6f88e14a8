// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/ocsf"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/otlp"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forms are the ways in which requests are made.
var forms = map[string]func(*collector) otlp.Options{
	"GRPC": func(c *collector) otlp.Options { return c.options(otlp.GRPC) },
	"GRPCGzip": func(c *collector) otlp.Options {
		o := c.options(otlp.GRPC)
		o.Compression = sink.Gzip
		return o
	},
	"HTTP": func(c *collector) otlp.Options { return c.options(otlp.HTTP) },
	"HTTPGzipOCSF": func(c *collector) otlp.Options {
		o := c.options(otlp.HTTP)
		o.Compression, o.Encode = sink.Gzip, ocsf.Encode
		return o
	},
}

// destination is what the collector accepts from now on, as seen by those who
// read the records in the bodies.
func (c *collector) destination(t *testing.T, options otlp.Options) sinktest.Destination {
	t.Helper()
	from := c.end(t)
	return sinktest.Destination{
		New: func(t *testing.T) sink.Sink {
			t.Helper()
			return open(t, options)
		},
		Received: func(t *testing.T) [][]byte {
			t.Helper()
			var all [][]byte
			for _, r := range logRecords(c.requests(t, from)) {
				body := []byte(r.GetBody().GetStringValue())
				if options.Encode != nil {
					var err error
					if body, err = ocsf.Raw(body); err != nil {
						t.Fatal(err)
					}
				}
				all = append(all, body)
			}
			return all
		},
		Break: func(t *testing.T) func() {
			t.Helper()
			c.kill(t)
			return func() { c.start(t) }
		},
	}
}

func TestConformance(t *testing.T) {
	c := startCollector(t)
	for name, options := range forms {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Destination {
				t.Helper()
				return c.destination(t, options(c))
			})
		})
	}
}

// TestOutage kills the collector under load.
func TestOutage(t *testing.T) {
	for _, name := range []string{"GRPC", "HTTPGzipOCSF"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCollector(t)
			sinktest.Outage(t, c.destination(t, forms[name](c)))
		})
	}
}

func attributes(list []*common.KeyValue) map[string]any {
	all := map[string]any{}
	for _, a := range list {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.GetKey()] = v.IntValue
		}
	}
	return all
}

// TestLogRecord: what readers at the destination see besides the body.
func TestLogRecord(t *testing.T) {
	c := startCollector(t)
	s := open(t, c.options(otlp.GRPC))
	alice := &identity.Principal{UserName: "alice", Kind: identity.Human}
	at := time.Unix(1700000000, 123456789)
	for name, test := range map[string]struct {
		reason   string
		event    record.Event
		severity string
		want     map[string]any
	}{
		"Allowed": {
			"all that one may search for",
			record.Event{
				Type: record.OperationDecided, Session: "s-1", Connection: record.Connection{Namespace: "payments", Name: "orders"}, Actor: alice,
				ClientAddress: "[2001:db8::1]:50123", Decision: &record.Decision{Effect: policy.Allow},
			},
			"INFO",
			map[string]any{
				"doorward.session": "s-1", "doorward.connection": "payments/orders", "doorward.user": "alice", "doorward.decision": "Allow",
				"client.address": "2001:db8::1", "client.port": int64(50123),
			},
		},
		"Denied": {
			"a denial stands out",
			record.Event{Type: record.OperationDecided, Decision: &record.Decision{Effect: policy.Deny}},
			"WARN",
			map[string]any{"doorward.decision": "Deny"},
		},
		"Unproven":        {"a caller who could not be proven", record.Event{Type: record.AuthenticationFailed}, "WARN", nil},
		"Refused":         {"a caller who may not connect", record.Event{Type: record.SessionRefused}, "WARN", nil},
		"SnapshotRefused": {"a configuration that is not accepted", record.Event{Type: record.SnapshotRefused}, "WARN", nil},
		"Unknown":         {"a type of a later version", record.Event{Type: "Teleported", ClientAddress: "nowhere"}, "INFO", nil},
	} {
		t.Run(name, func(t *testing.T) {
			from := c.end(t)
			test.event.Time = at
			p := record.Position{LogID: "abc", Index: 3}
			r := record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &test.event)}
			before := time.Now()
			if err := s.Write(t.Context(), []record.Record{r}); err != nil {
				t.Fatal(err)
			}
			requests := c.requests(t, from)
			got := logRecords(requests)
			if len(got) != 1 {
				t.Fatalf("%d log records", len(got))
			}
			want := map[string]any{"doorward.record.id": "abc/3", "doorward.log": "abc", "doorward.index": int64(3), "doorward.type": string(test.event.Type)}
			for k, v := range test.want {
				want[k] = v
			}
			if diff := cmp.Diff(want, attributes(got[0].GetAttributes())); diff != "" {
				t.Errorf("%s: attributes: -want, +got:\n%s", test.reason, diff)
			}
			resource := requests[0].GetResourceLogs()[0]
			if diff := cmp.Diff(map[string]any{"service.name": "doorward-proxy", "service.instance.id": "abc"}, attributes(resource.GetResource().GetAttributes())); diff != "" {
				t.Errorf("resource: -want, +got:\n%s", diff)
			}
			type head struct{ Severity, Event, Body string }
			if diff := cmp.Diff(head{test.severity, string(test.event.Type), string(r.JSON)},
				head{got[0].GetSeverityText(), got[0].GetEventName(), got[0].GetBody().GetStringValue()}); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", test.reason, diff)
			}
			if got[0].GetTimeUnixNano() != uint64(at.UnixNano()) {
				t.Errorf("time %d, want %d", got[0].GetTimeUnixNano(), at.UnixNano())
			}
			if observed := time.Unix(0, int64(got[0].GetObservedTimeUnixNano())); observed.Before(before) || observed.After(time.Now()) {
				t.Errorf("observed %s", observed)
			}
		})
	}
}

// TestTLS is about who is talked to: without the right authority, name or
// client certificate nothing is sent.
func TestTLS(t *testing.T) {
	c := startCollector(t)
	other := startCollector(t)
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		for name, change := range map[string]func(*sink.TLS){
			"OtherAuthority": func(o *sink.TLS) { o.CA = other.tls.CA },
			"OtherName":      func(o *sink.TLS) { o.ServerName = "logs.example.com" },
			"NoCertificate":  func(o *sink.TLS) { o.Certificate, o.Key = nil, nil },
		} {
			t.Run(string(protocol)+name, func(t *testing.T) {
				from := c.end(t)
				options := c.options(protocol)
				change(&options.TLS)
				err := open(t, options).Write(t.Context(), sinktest.Records(0, 1))
				// A server that asks for a certificate may hang up before it has said so.
				if err == nil || name != "NoCertificate" && !strings.Contains(err.Error(), "tls: ") {
					t.Errorf("Write: %v, want an error of TLS", err)
				}
				if n := len(c.requests(t, from)); n > 0 {
					t.Errorf("%d requests were accepted", n)
				}
			})
		}
	}
}
