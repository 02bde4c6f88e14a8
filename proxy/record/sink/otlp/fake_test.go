// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/otlp"
	"github.com/doorward/doorward/test/testcert"
)

// fake is a server whose answers a test decides on, for what a real one cannot
// be made to say.
type fake struct {
	options otlp.Options

	mu       sync.Mutex
	requests []*logs.LogsData
	headers  map[string]string
}

// ids are the record ids of each request so far.
func (f *fake) ids() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all [][]string
	for _, r := range f.requests {
		all = append(all, ids(r))
	}
	return all
}

func ids(request *logs.LogsData) []string {
	var all []string
	for _, l := range logRecords([]*logs.LogsData{request}) {
		all = append(all, strings.TrimPrefix(fmt.Sprint(attributes(l.GetAttributes())["doorward.record.id"]), logPrefix))
	}
	return all
}

func (f *fake) keep(t *testing.T, body []byte, headers map[string]string) *logs.LogsData {
	t.Helper()
	request := &logs.LogsData{}
	if err := proto.Unmarshal(body, request); err != nil {
		t.Errorf("request: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, request)
	f.headers = headers
	return request
}

func certificate(t *testing.T) (tls.Certificate, sink.TLS) {
	t.Helper()
	authority, err := testcert.NewCA("doorward-otlp")
	if err != nil {
		t.Fatal(err)
	}
	pair := must(t)(authority.Issue(testcert.Request{CommonName: "otlp", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}))
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, sink.TLS{CA: string(authority.PEM)}
}

// fakeHTTP answers each request as answer says.
func fakeHTTP(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, request *logs.LogsData)) *fake {
	t.Helper()
	f := &fake{options: otlp.Options{Protocol: otlp.HTTP}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reader := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if reader, err = gzip.NewReader(r.Body); err != nil {
				t.Errorf("body: %v", err)
				return
			}
		}
		body, err := io.ReadAll(reader)
		if err != nil {
			return // the client has gone
		}
		headers := map[string]string{}
		for name := range r.Header {
			headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		answer(w, r, f.keep(t, body, headers))
	}))
	own, trust := certificate(t)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	f.options.Endpoint, f.options.TLS = server.URL, trust
	return f
}

// fakeGRPC answers each request with bytes or a status.
func fakeGRPC(t *testing.T, answer func(ctx context.Context, request *logs.LogsData) ([]byte, error), more ...grpc.ServerOption) *fake {
	t.Helper()
	f := &fake{options: otlp.Options{Protocol: otlp.GRPC}}
	own, trust := certificate(t)
	handler := func(_ any, stream grpc.ServerStream) error {
		if method, _ := grpc.MethodFromServerStream(stream); method != "/opentelemetry.proto.collector.logs.v1.LogsService/Export" {
			t.Errorf("method %q", method)
		}
		var body []byte
		if err := stream.RecvMsg(&body); err != nil {
			return err
		}
		headers := map[string]string{}
		md, _ := metadata.FromIncomingContext(stream.Context())
		for name, values := range md {
			headers[name] = values[0]
		}
		said, err := answer(stream.Context(), f.keep(t, body, headers))
		if err != nil {
			return err
		}
		return stream.SendMsg(&said)
	}
	server := grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(credentials.NewServerTLSFromCert(&own)), grpc.UnknownServiceHandler(handler), grpc.ForceServerCodecV2(bytesCodec{}),
	}, more...)...)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		group.Wait()
	})
	f.options.Endpoint, f.options.TLS = "https://"+listener.Addr().String(), trust
	return f
}

// bytesCodec leaves messages as they are on the wire.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("message of type %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*data)}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("message of type %T", v)
	}
	*to = data.Materialize()
	return nil
}

// partialSuccess is an ExportLogsServiceResponse with a partial success.
func partialSuccess(rejected int64, message string) []byte {
	inner := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(rejected))
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
}
