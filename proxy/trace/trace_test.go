// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// receiver is an OTLP server that keeps spans.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans []*otlp.Span
	all   []byte // everything that came, as text
}

func (r *receiver) keep(request *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, _ := protojson.Marshal(request)
	r.all = append(r.all, text...)
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
}

// Export implements the gRPC service.
func (r *receiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.keep(request)
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP takes OTLP over HTTP.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if request.Header.Get("Content-Encoding") == "gzip" {
		reader, gzipErr := gzip.NewReader(bytes.NewReader(body))
		if gzipErr != nil {
			http.Error(w, gzipErr.Error(), http.StatusBadRequest)
			return
		}
		body, err = io.ReadAll(reader)
	}
	message := &collector.ExportTraceServiceRequest{}
	if err = errors.Join(err, proto.Unmarshal(body, message)); err != nil || request.URL.Path != "/v1/traces" {
		http.Error(w, "not traces", http.StatusBadRequest)
		return
	}
	r.keep(message)
}

// tree is the names of all spans below their parents, in the order in which they began.
func (r *receiver) tree(t *testing.T) []string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := slices.Clone(r.spans)
	slices.SortStableFunc(spans, func(a, b *otlp.Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	var lines []string
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range spans {
			if string(s.GetParentSpanId()) == parent {
				lines = append(lines, indent+s.GetName())
				below(string(s.GetSpanId()), indent+"  ")
			}
		}
	}
	below("", "")
	if len(lines) != len(spans) {
		t.Errorf("%d of %d spans have no parent among them", len(spans)-len(lines), len(spans))
	}
	return lines
}

// walk plays one session on the road.
func walk(o access.Observer, statement string) {
	start := time.Now()
	login := &access.Login{
		Connection: snapshot.Connection{Namespace: "data", Name: "shop"}, Protocol: "postgres", Client: "192.0.2.7:40000", Accepted: start,
		Steps: []access.Step{
			{Name: access.StepTLS, Began: start.Add(time.Millisecond), Took: time.Millisecond},
			{Name: access.StepAuthenticate, Began: start.Add(2 * time.Millisecond), Took: time.Millisecond},
			{Name: access.StepAuthorize, Began: start.Add(3 * time.Millisecond), Took: time.Millisecond},
		},
	}
	w := o.Opened(login, "shop-abc")
	if w == nil {
		return
	}
	w.Dialed(snapshot.Target{Host: "db.example", Port: 5432}, start.Add(4*time.Millisecond), time.Millisecond, nil)
	w.Operation(access.Observed{
		ID: 1, Effect: policy.RequireApproval, Began: start.Add(5 * time.Millisecond), Masks: 1,
		Source: statement, Operation: &record.Operation{Kind: "SELECT", Statement: "SELECT 'canary'", ParameterText: "$1 = 'canary-parameter'"},
		Approval: &record.Approval{Request: "shop-r1", Outcome: access.Approved},
		Took: access.Took{
			Parse: time.Millisecond, Decide: time.Millisecond, Hold: time.Millisecond, Record: time.Millisecond, Forward: time.Millisecond, Answer: time.Millisecond,
		},
		Result: &record.Result{Outcome: "Succeeded", Rows: 2, Bytes: 30, MaskedValues: 2},
	})
	w.Operation(access.Observed{
		ID: 2, Effect: policy.Deny, Reason: access.ReasonDenied, Began: start.Add(15 * time.Millisecond),
		Operation: &record.Operation{Kind: "DROP TABLE", Statement: "DROP TABLE canary_table"}, Took: access.Took{Decide: time.Millisecond, Record: time.Millisecond},
	})
	w.Closed(access.EndRevoked, time.Second)
	o.Refused(&access.Login{
		Connection: login.Connection, Client: "192.0.2.7:40001", Accepted: start.Add(20 * time.Millisecond),
		Steps: []access.Step{{Name: access.StepTLS, Began: start.Add(20 * time.Millisecond), Took: time.Millisecond, Reason: access.ReasonHandshake}},
	}, access.ReasonHandshake)
}

func TestSpansOverTheWire(t *testing.T) {
	for name, protocol := range map[string]string{"gRPC": protocolGRPC, "HTTP": protocolHTTP} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { goleak.VerifyNone(t) }) // after the receiver is gone
			r := &receiver{}
			endpoint := serve(t, r, protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary-header")
			tracer, err := Start(t.Context(), Options{Log: testr.New(t), Version: "v1.2.3", Instance: "edge-1"})
			if err != nil || tracer == nil {
				t.Fatalf("no tracer: %v", err)
			}
			walk(tracer, "SELECT 'canary-value' /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/")
			if err := tracer.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []string{
				"session", "  tls", "  authenticate", "  authorize", "  dial",
				"  SELECT", "    parse", "    decide", "    hold", "    record", "    forward", "    answer", "    mask",
				"  DROP TABLE", "    decide", "    record",
				"session", "  tls",
			}
			if diff := cmp.Diff(want, r.tree(t)); diff != "" {
				t.Errorf("spans (-want +got):\n%s", diff)
			}
			text := string(r.all)
			for _, has := range []string{
				`"doorward.session.id","value":{"stringValue":"shop-abc"}`, `"doorward.operation.id","value":{"intValue":"1"}`,
				`"db.system.name","value":{"stringValue":"postgresql"}`, `"db.operation.name","value":{"stringValue":"SELECT"}`,
				`"server.address","value":{"stringValue":"db.example"}`, `"service.name","value":{"stringValue":"doorward-proxy"}`,
				`"doorward.approval.request","value":{"stringValue":"shop-r1"}`, `"doorward.session.end","value":{"stringValue":"Revoked"}`,
				`"service.version","value":{"stringValue":"v1.2.3"}`, `"doorward.reason","value":{"stringValue":"Denied"}`,
			} {
				if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, `": `, `":`), `, "`, `,"`), has) {
					t.Errorf("no span has %s", has)
				}
			}
			// Checklist 47: no statement, value or credential in any attribute.
			if strings.Contains(text, "canary") {
				t.Errorf("spans hold what they must not: %s", text)
			}
		})
	}
}

// serve serves a receiver and returns its endpoint.
func serve(t *testing.T, r *receiver, protocol string) string {
	t.Helper()
	if protocol == protocolHTTP {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		return server.URL
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

func TestClientParents(t *testing.T) {
	r := &receiver{}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", serve(t, r, protocolHTTP))
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	for name, tc := range map[string]struct {
		reason    string
		allowed   bool
		statement string
		want      []string
	}{
		"Off":     {reason: "callers do not decide what is sampled, unless they may", statement: "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/"},
		"Sampled": {reason: "an operation goes on with the caller's trace", allowed: true, statement: "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/", want: []string{"SELECT"}},
		"Not":     {reason: "the caller's trace is not sampled", allowed: true, statement: "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'*/"},
	} {
		t.Run(name, func(t *testing.T) {
			r.mu.Lock()
			r.spans = nil
			r.mu.Unlock()
			tracer, err := Start(t.Context(), Options{Log: testr.New(t), ClientParents: tc.allowed})
			if err != nil {
				t.Fatal(err)
			}
			walk(tracer, tc.statement)
			if err := tracer.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			var got []string
			for _, s := range r.spans {
				if len(s.GetLinks()) > 0 {
					got = append(got, s.GetName())
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestCallersHideNothing: who may name a trace cannot have an operation left out of
// the session's by naming one that is not sampled.
func TestCallersHideNothing(t *testing.T) {
	r := &receiver{}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", serve(t, r, protocolHTTP))
	tracer, err := Start(t.Context(), Options{Log: testr.New(t), ClientParents: true})
	if err != nil {
		t.Fatal(err)
	}
	walk(tracer, "SELECT 1 /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'*/")
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.GetName() == "SELECT" {
			return
		}
	}
	t.Error("an operation is in no trace")
}
