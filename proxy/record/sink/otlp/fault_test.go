// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

const (
	logPrefix = sinktest.LogID + "/"
	// canary is a credential, which no error shows.
	canary = "canary-4711-secret"
)

func headers() map[string]string {
	return map[string]string{"Authorization": "Bearer " + canary, "x-scope": "audit"}
}

// failed is what a Write that a server does not accept tells.
type failed struct {
	Texts []string // what is to be in the error
	After time.Duration
}

// refused checks the error of one Write of three records, and that none of them
// counts as accepted.
func refused(t *testing.T, f *fake, want failed) {
	t.Helper()
	f.options.Headers = headers()
	s := open(t, f.options)
	err := s.Write(t.Context(), sinktest.Records(0, 3))
	if err == nil {
		t.Fatal("Write accepted records that the server did not take")
	}
	for _, text := range append(want.Texts, f.options.Endpoint, logPrefix+"0") {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("Write: %v, want %q in it", err, text)
		}
	}
	if strings.Contains(err.Error(), canary) || strings.ContainsAny(err.Error(), "\x1b\n") || len(err.Error()) > 1200 {
		t.Errorf("Write: %q has a secret, control characters or no bound", err)
	}
	var retry interface{ RetryAfter() time.Duration }
	if !errors.As(err, &retry) || retry.RetryAfter().Round(time.Minute/6) != want.After {
		t.Errorf("Write: %v, want an error that asks for a pause of %s", err, want.After)
	}
	if got := f.headers["authorization"]; got != "Bearer "+canary {
		t.Errorf("header %q", got)
	}
}

func body(code int, header map[string]string, text string) func(http.ResponseWriter, *http.Request, *logs.LogsData) {
	return func(w http.ResponseWriter, _ *http.Request, _ *logs.LogsData) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

// TestHTTPFaults is checklist 44, 47 and 48: what is not accepted fails and says
// so, without secrets and control characters of the server's.
func TestHTTPFaults(t *testing.T) {
	protobuf := map[string]string{"Content-Type": "application/x-protobuf"}
	message, err := proto.Marshal(&rpc.Status{Code: 14, Message: "queue is full"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reason string
		answer func(http.ResponseWriter, *http.Request, *logs.LogsData)
		want   failed
	}{
		"Internal":     {"what the server says is shown, made safe", body(500, nil, "boom\x1b[2K\n\u202e"), failed{Texts: []string{"HTTP status 500", `boom\x1b[2K`}}},
		"Unauthorized": {"a server that repeats the token does not put it into the error", body(401, nil, "no such token: "+canary), failed{Texts: []string{"[redacted]", "credentials"}}},
		"NotFound":     {"the endpoint is wrong", body(404, nil, ""), failed{Texts: []string{"404", "endpoint"}}},
		"Throttled":    {"the pause asked for is kept", body(429, map[string]string{"Retry-After": "70"}, ""), failed{Texts: []string{"429"}, After: 70 * time.Second}},
		"Unavailable": {
			"a date is a pause, too",
			body(503, map[string]string{"Retry-After": time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)}, ""),
			failed{Texts: []string{"503"}, After: 2 * time.Minute},
		},
		"Status":       {"the body of a failure is a Status", body(503, protobuf, string(message)), failed{Texts: []string{`"queue is full"`}}},
		"BadRequest":   {"may be the fault of one record, which is looked for", body(400, nil, "bad"), failed{Texts: []string{"400"}}},
		"Accepted":     {"202 says that nothing is done yet", body(202, nil, ""), failed{Texts: []string{"202"}}},
		"LoginPage":    {"200 of something that is no receiver", body(200, map[string]string{"Content-Type": "text/html"}, "<html>"), failed{Texts: []string{"not OTLP", "<html>"}}},
		"NoType":       {"a body of an unknown type says nothing", body(200, map[string]string{"Content-Type": "?"}, "ok"), failed{Texts: []string{"not OTLP"}}},
		"Compressed":   {"an encoding that was not asked for", body(200, map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, "x"), failed{Texts: []string{"not OTLP"}}},
		"Garbage":      {"a success that cannot be read may be none", body(200, protobuf, "\x0a\xff"), failed{Texts: []string{"not readable"}}},
		"WrongField":   {"likewise", body(200, protobuf, "\x08\x01"), failed{Texts: []string{"not readable"}}},
		"Oversize":     {"answers are bounded", body(200, protobuf, strings.Repeat("\x12\x00", 100_000)), failed{Texts: []string{"larger than"}}},
		"Long":         {"texts are bounded", body(500, nil, strings.Repeat("x", 1<<20)), failed{Texts: []string{"[cut]"}}},
		"Rejected":     {"a partial success is a failure", body(200, protobuf, string(partialSuccess(1, "too old"))), failed{Texts: []string{"rejected: 1", `"too old"`}}},
		"Negative":     {"whatever number it is", body(200, protobuf, string(partialSuccess(-1, ""))), failed{Texts: []string{"rejected: -1"}}},
		"RejectedJSON": {"some servers answer in JSON", body(200, map[string]string{"Content-Type": "application/json"}, `{"partialSuccess":{"rejectedLogRecords":"2"}}`), failed{Texts: []string{"rejected: 2"}}},
		"GarbageJSON":  {"and not always well", body(200, map[string]string{"Content-Type": "application/json; charset=utf-8"}, `{"partialSuccess":{"rejectedLogRecords":"x"}}`), failed{Texts: []string{"not readable"}}},
		"HangsUp": {
			"an answer that breaks off is none",
			func(w http.ResponseWriter, _ *http.Request, _ *logs.LogsData) {
				w.Header().Set("Content-Length", "10")
				w.Header().Set("Content-Type", "application/x-protobuf")
				_, _ = w.Write([]byte{0x0a})
			},
			failed{Texts: []string{"broken off"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			refused(t, fakeHTTP(t, c.answer), c.want)
		})
	}
}

// TestGRPCFaults is checklist 44, 47 and 48, as TestHTTPFaults.
func TestGRPCFaults(t *testing.T) {
	throttled, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(70 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reason string
		said   []byte
		err    error
		want   failed
	}{
		"Unavailable":       {"what the server says is shown, made safe", nil, status.Error(codes.Unavailable, "boom\x1b[2K\n\u202e"), failed{Texts: []string{"Unavailable", `boom\x1b[2K`}}},
		"Unauthenticated":   {"a server that repeats the token does not put it into the error", nil, status.Error(codes.Unauthenticated, "no such token: "+canary), failed{Texts: []string{"[redacted]", "credentials"}}},
		"Unimplemented":     {"the endpoint is wrong", nil, status.Error(codes.Unimplemented, ""), failed{Texts: []string{"endpoint"}}},
		"Throttled":         {"the pause asked for is kept", nil, throttled.Err(), failed{Texts: []string{"slow down"}, After: 70 * time.Second}},
		"InvalidArgument":   {"may be the fault of one record, which is looked for", nil, status.Error(codes.InvalidArgument, "bad"), failed{Texts: []string{"InvalidArgument"}}},
		"ResourceExhausted": {"a record that is too large by itself", nil, status.Error(codes.ResourceExhausted, "large"), failed{Texts: []string{"max_recv_msg_size_mib"}}},
		"Long":              {"texts are bounded", nil, status.Error(codes.Internal, strings.Repeat("x", 30_000)), failed{Texts: []string{"[cut]"}}},
		"Garbage":           {"a success that cannot be read may be none", []byte("\x0a\xff"), nil, failed{Texts: []string{"not readable"}}},
		"Oversize":          {"answers are bounded", make([]byte, 100_000), nil, failed{Texts: []string{"larger than max"}}},
		"Rejected":          {"a partial success is a failure", partialSuccess(1, "too old"), nil, failed{Texts: []string{"rejected: 1", `"too old"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			refused(t, fakeGRPC(t, func(context.Context, *logs.LogsData) ([]byte, error) { return c.said, c.err }), c.want)
		})
	}
}

// TestAccepts: the forms of a success that servers have.
func TestAccepts(t *testing.T) {
	protobuf := map[string]string{"Content-Type": "application/x-protobuf"}
	for name, f := range map[string]*fake{
		"Empty":     fakeHTTP(t, body(200, protobuf, "")),
		"NoContent": fakeHTTP(t, body(204, nil, "")),
		"JSON":      fakeHTTP(t, body(200, map[string]string{"Content-Type": "application/json"}, `{"partialSuccess":{}}`)),
		// Nothing rejected: the message is a warning.
		"Warning":     fakeHTTP(t, body(200, protobuf, string(partialSuccess(0, "deprecated")))),
		"Later":       fakeHTTP(t, body(200, protobuf, "\x12\x03abc")),
		"GRPC":        fakeGRPC(t, func(context.Context, *logs.LogsData) ([]byte, error) { return nil, nil }),
		"GRPCWarning": fakeGRPC(t, func(context.Context, *logs.LogsData) ([]byte, error) { return partialSuccess(0, "deprecated"), nil }),
	} {
		t.Run(name, func(t *testing.T) {
			f.options.Headers = headers()
			if err := open(t, f.options).Write(t.Context(), sinktest.Records(0, 3)); err != nil {
				t.Errorf("Write: %v", err)
			}
			if diff := cmp.Diff([][]string{{"0", "1", "2"}}, f.ids()); diff != "" {
				t.Errorf("requests: -want, +got:\n%s", diff)
			}
			if f.headers["x-scope"] != "audit" || !strings.HasPrefix(f.headers["user-agent"], "doorward-proxy") {
				t.Errorf("headers %q", f.headers)
			}
		})
	}
}

// TestRedirect is checklist 25: records and credentials go to the endpoint and
// nowhere else.
func TestRedirect(t *testing.T) {
	elsewhere := fakeHTTP(t, body(200, nil, ""))
	for _, code := range []int{301, 302, 303, 307, 308} {
		f := fakeHTTP(t, body(code, map[string]string{"Location": elsewhere.options.Endpoint}, ""))
		f.options.TLS.CA += elsewhere.options.TLS.CA
		refused(t, f, failed{Texts: []string{fmt.Sprint(code), "redirects are not followed"}})
	}
	if got := elsewhere.ids(); len(got) > 0 {
		t.Errorf("requests followed the redirect: %q", got)
	}
}

// TestNoAnswer: a server that never answers holds nobody up beyond the context.
func TestNoAnswer(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	reached := make(chan struct{}, 2)
	wait := func(ctx context.Context) {
		reached <- struct{}{}
		select {
		case <-ctx.Done():
		case <-stop:
		}
	}
	for name, f := range map[string]*fake{
		"HTTP": fakeHTTP(t, func(_ http.ResponseWriter, r *http.Request, _ *logs.LogsData) { wait(r.Context()) }),
		"GRPC": fakeGRPC(t, func(ctx context.Context, _ *logs.LogsData) ([]byte, error) {
			wait(ctx)
			return nil, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			errEnough := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-reached
				cancel(errEnough)
			}()
			if err := open(t, f.options).Write(ctx, sinktest.Records(0, 3)); !errors.Is(err, errEnough) {
				t.Errorf("Write: %v, want %v", err, errEnough)
			}
		})
	}
}

// picky rejects the record of one id, wherever it is; all others of its request
// are taken, or none of them.
type picky struct{ id string }

func (p picky) rejects(request *logs.LogsData) bool { return slices.Contains(ids(request), p.id) }

// TestOneRecordRefused: a record that the server does not take is named, those
// before it are delivered once, those behind it wait.
func TestOneRecordRefused(t *testing.T) {
	bad := &picky{id: "5"}
	for name, f := range map[string]*fake{
		"HTTPRejected": fakeHTTP(t, func(w http.ResponseWriter, _ *http.Request, request *logs.LogsData) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			if bad.rejects(request) {
				_, _ = w.Write(partialSuccess(1, "schema"))
			}
		}),
		"HTTPBadRequest": fakeHTTP(t, func(w http.ResponseWriter, _ *http.Request, request *logs.LogsData) {
			if bad.rejects(request) {
				w.WriteHeader(http.StatusBadRequest)
			}
		}),
		"GRPCRejected": fakeGRPC(t, func(_ context.Context, request *logs.LogsData) ([]byte, error) {
			if bad.rejects(request) {
				return partialSuccess(1, "schema"), nil
			}
			return nil, nil
		}),
		"GRPCInvalid": fakeGRPC(t, func(_ context.Context, request *logs.LogsData) ([]byte, error) {
			if bad.rejects(request) {
				return nil, status.Error(codes.InvalidArgument, "schema")
			}
			return nil, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			bad.id = "5"
			s := open(t, f.options)
			err := s.Write(t.Context(), sinktest.Records(0, 8))
			if err == nil || !strings.Contains(err.Error(), `record`) || !strings.Contains(err.Error(), `"`+logPrefix+`5" to "https`) {
				t.Errorf("Write: %v, want the record's id alone", err)
			}
			before := len(f.ids())
			// It comes again, with more, and in the end the server takes it.
			if err := s.Write(t.Context(), sinktest.Records(0, 9)); err == nil {
				t.Error("Write accepted a record that the server did not take")
			}
			bad.id = ""
			if err := s.Write(t.Context(), sinktest.Records(0, 10)); err != nil {
				t.Errorf("Write: %v", err)
			}
			all := f.ids()
			for _, request := range all[before:] {
				if slices.Contains(request, "4") {
					t.Errorf("a record that was taken is sent again: %q", request)
				}
			}
			if diff := cmp.Diff([]string{"5", "6", "7", "8", "9"}, all[len(all)-1]); diff != "" {
				t.Errorf("last request: -want, +got:\n%s", diff)
			}
			if err := s.Write(t.Context(), sinktest.Records(3, 4)); err != nil || len(f.ids()) != len(all)+1 {
				t.Errorf("after a success, records are not passed over: %v", err)
			}
		})
	}
}

// TestTooLarge: a server that takes less than a batch gets it in parts, and the
// parts are small enough at once the next time.
func TestTooLarge(t *testing.T) {
	const limit = 200_000
	tooLarge := func(r *logs.LogsData) bool { return proto.Size(r) > limit }
	for name, f := range map[string]*fake{
		"HTTP": fakeHTTP(t, func(w http.ResponseWriter, _ *http.Request, request *logs.LogsData) {
			if tooLarge(request) {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
			}
		}),
		// gRPC's own refusal.
		"GRPC": fakeGRPC(t, func(context.Context, *logs.LogsData) ([]byte, error) { return nil, nil }, grpc.MaxRecvMsgSize(limit)),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, f.options)
			for at := int64(0); at < 4000; at += 2000 {
				before := len(f.ids())
				if err := s.Write(t.Context(), sinktest.Records(at, at+2000)); err != nil {
					t.Fatalf("Write: %v", err)
				}
				f.mu.Lock()
				requests := f.requests[before:]
				f.mu.Unlock()
				next := at
				for _, r := range requests {
					if tooLarge(r) {
						if at > 0 {
							t.Errorf("a request of %d bytes, although the server takes %d", proto.Size(r), limit)
						}
						continue
					}
					for _, id := range ids(r) {
						if id != fmt.Sprint(next) {
							t.Fatalf("record %s, want %d", id, next)
						}
						next++
					}
				}
				if next != at+2000 {
					t.Errorf("records up to %d, want %d", next, at+2000)
				}
			}
		})
	}
}

// TestRequestsAreBounded: no request is larger than receivers take unless told
// otherwise, whatever the batch.
func TestRequestsAreBounded(t *testing.T) {
	f := fakeGRPC(t, func(context.Context, *logs.LogsData) ([]byte, error) { return nil, nil }, grpc.MaxRecvMsgSize(4<<20))
	var batch []record.Record
	for i := range int64(1200) {
		p := record.Position{LogID: sinktest.LogID, Index: i}
		e := record.Event{Type: record.SessionEnd, Reason: strings.Repeat("x", 4000)}
		batch = append(batch, record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &e)})
	}
	if err := open(t, f.options).Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if n := len(f.ids()); n != 2 {
		t.Errorf("%d requests", n)
	}
}
