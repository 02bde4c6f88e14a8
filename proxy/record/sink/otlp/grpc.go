// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/doorward/doorward/proxy/record/sink"
)

// exportMethod is the method of OTLP's service for logs.
const exportMethod = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

const connectTimeout = 10 * time.Second

// overGRPC sends requests over one connection.
type overGRPC struct {
	target  string
	options []grpc.DialOption
	headers metadata.MD
	// conn is nil before the first request, and after one that failed.
	conn *grpc.ClientConn
}

func newOverGRPC(u *url.URL, headers map[string]string, o *Options) (*overGRPC, error) {
	config, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if config != nil {
		transport = credentials.NewTLS(config)
	}
	calls := []grpc.CallOption{grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(answerLimit)}
	if o.Compression == sink.Gzip {
		calls = append(calls, grpc.UseCompressor(gzip.Name))
	}
	return &overGRPC{
		// The dialer resolves the name, so that nothing else of DNS is believed.
		target:  "passthrough:///" + u.Host,
		headers: metadata.New(headers),
		options: []grpc.DialOption{
			grpc.WithTransportCredentials(transport),
			grpc.WithDefaultCallOptions(calls...),
			grpc.WithNoProxy(),
			grpc.WithDisableServiceConfig(),
			grpc.WithDisableRetry(),
			grpc.WithUserAgent(userAgent),
			grpc.WithMaxHeaderListSize(answerLimit),
			grpc.WithIdleTimeout(30 * time.Second),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		},
	}, nil
}

func (g *overGRPC) export(ctx context.Context, request []byte) *refusal {
	if g.conn == nil {
		conn, err := grpc.NewClient(g.target, g.options...)
		if err != nil {
			return &refusal{status: "connection not possible", cause: err}
		}
		g.conn = conn
	}
	var answer []byte
	err := g.conn.Invoke(metadata.NewOutgoingContext(ctx, g.headers), exportMethod, &request, &answer)
	if err == nil {
		return answered(answer)
	}
	refused := refusedStatus(err)
	if !refused.tooLarge && !refused.some {
		// A connection that has failed is tried again by gRPC after pauses of
		// its own, up to two minutes. The pauses are the Shipper's to make.
		_ = g.close()
	}
	return refused
}

func (g *overGRPC) close() error {
	if g.conn == nil {
		return nil
	}
	err := g.conn.Close()
	g.conn = nil
	return err
}

// refusedStatus reads a gRPC status as the OTLP specification has it ("Failures"
// of OTLP/gRPC).
func refusedStatus(err error) *refusal {
	s := status.Convert(err)
	r := &refusal{status: "gRPC status " + s.Code().String(), said: s.Message()}
	info := false
	for _, detail := range s.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			info = true
			r.after = max(retry.GetRetryDelay().AsDuration(), 0)
		}
	}
	switch s.Code() {
	case codes.ResourceExhausted:
		// Without word on when to come again, it is the message that is too much.
		if r.tooLarge = !info; r.tooLarge {
			r.hint = hintTooLarge
		}
	case codes.InvalidArgument:
		r.some = true
	case codes.Unauthenticated, codes.PermissionDenied:
		r.hint = hintCredentials
	case codes.Unimplemented, codes.NotFound:
		r.hint = hintNoReceiver
	default:
		// What passes by itself, and what the server says best.
	}
	return r
}

// raw passes on messages that are protobuf already.
type raw struct{}

// Name says that the content is protobuf.
func (raw) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	data, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("message cannot be sent: %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*data)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	to, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("message cannot be received: %T", v)
	}
	*to = data.Materialize()
	return nil
}
