// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package observability

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// headerCanary is the receiver's credential, to be found in no span.
const headerCanary = "canary-of-the-collector"

// receiver takes OTLP over HTTP and keeps the spans.
type receiver struct {
	server *httptest.Server

	mu    sync.Mutex // guards what follows
	spans []*otlp.Span
	text  []byte // everything that came, as JSON
	bare  int    // requests without the credential
}

func newReceiver() *receiver {
	r := &receiver{}
	r.server = httptest.NewServer(r)
	return r
}

// ServeHTTP takes one request.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	message, err := read(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, err := protojson.Marshal(message)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || request.Header.Get("Authorization") != "Bearer "+headerCanary {
		r.bare++
	}
	r.text = append(r.text, text...)
	for _, resource := range message.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			r.spans = append(r.spans, scope.GetSpans()...)
		}
	}
}

// read decodes a request, whose form on the wire is that of TracesData.
func read(request *http.Request) (*otlp.TracesData, error) {
	body, err := io.ReadAll(request.Body)
	if err == nil && request.Header.Get("Content-Encoding") == "gzip" {
		var unpacked io.Reader
		if unpacked, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(unpacked)
		}
	}
	message := &otlp.TracesData{}
	if err = errors.Join(err, proto.Unmarshal(body, message)); err != nil {
		return nil, fmt.Errorf("not OTLP: %w", err)
	}
	return message, nil
}

// attribute is an attribute of a span as text; empty where it has none.
func attribute(s *otlp.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			if text := a.GetValue().GetStringValue(); text != "" {
				return text
			}
			return fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return ""
}

// session is the closed session whose spans have a session id that the filter
// takes: its own span, and all spans of its trace.
func (r *receiver) session(take func(*otlp.Span) bool) (root *otlp.Span, all []*otlp.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.spans, func(s *otlp.Span) bool { return s.GetName() == "session" && take(s) })
	if i < 0 {
		return nil, nil
	}
	root = r.spans[i]
	for _, s := range r.spans {
		if bytes.Equal(s.GetTraceId(), root.GetTraceId()) {
			all = append(all, s)
		}
	}
	return root, all
}
