// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/doorward/doorward/proxy/record/sink"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

// overHTTP posts requests to one URL.
type overHTTP struct {
	url         string
	headers     http.Header
	compression sink.Compression
	client      *http.Client
	transport   *http.Transport
}

func newOverHTTP(u *url.URL, headers map[string]string, o *Options) (*overHTTP, error) {
	transport, err := o.TLS.Transport()
	if err != nil {
		return nil, err
	}
	return &overHTTP{
		url: u.String(), headers: httpHeaders(headers, o.Compression), compression: o.Compression, transport: transport,
		client: &http.Client{
			Transport: transport,
			// Records go where the endpoint is and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (h *overHTTP) close() error {
	h.transport.CloseIdleConnections()
	return nil
}

func (h *overHTTP) export(ctx context.Context, body []byte) *refusal {
	body, err := h.compression.Compress(body)
	if err != nil {
		return &refusal{status: "cannot compress", cause: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return &refusal{status: "no request", cause: err}
	}
	request.Header = h.headers.Clone()
	answer, err := h.client.Do(request)
	if err != nil {
		// The URL is in our own text already.
		if sent := new(url.Error); errors.As(err, &sent) {
			err = sent.Err
		}
		// A server may hang up on what is too large before its 413 can be read.
		cut := errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
		return &refusal{status: "no answer", cause: err, some: cut}
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit+1))
	if err != nil {
		return &refusal{status: "answer broken off: HTTP status " + strconv.Itoa(answer.StatusCode), cause: err}
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || answer.Header.Get("Content-Encoding") != "" {
		kind = ""
	}
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNoContent {
		return read(said, kind)
	}
	return refusedAnswer(answer, said, kind)
}

// read reads the body of a success. An empty one says that all records were
// taken (OTLP specification, "Full Success").
func read(said []byte, kind string) *refusal {
	switch {
	case len(said) == 0:
		return nil
	case len(said) > answerLimit:
		return &refusal{status: fmt.Sprintf("answer larger than %d bytes", answerLimit), hint: hintNoReceiver}
	case kind == protobufType:
		return answered(said)
	case kind == jsonType:
		return answeredJSON(said)
	default:
		return &refusal{status: "answer is not OTLP's", said: string(said), hint: hintNoReceiver}
	}
}

// refusedAnswer reads a failure as the OTLP specification has it ("Failures" of
// OTLP/HTTP): the body is a google.rpc.Status.
func refusedAnswer(answer *http.Response, said []byte, kind string) *refusal {
	r := &refusal{
		status: "HTTP status " + strconv.Itoa(answer.StatusCode), said: string(said),
		after: retryAfter(answer.Header, time.Now()),
	}
	var status rpc.Status
	if kind == protobufType && proto.Unmarshal(said, &status) == nil {
		r.said = status.GetMessage()
	}
	switch code := answer.StatusCode; {
	case code >= 300 && code < 400:
		r.hint = hintRedirect
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		r.hint = hintCredentials
	case code == http.StatusRequestEntityTooLarge:
		r.tooLarge, r.hint = true, hintTooLarge
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity:
		r.some = true
	case code >= 200 && code < 300, code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType:
		r.hint = hintNoReceiver
	}
	return r
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds or a date.
func retryAfter(headers http.Header, now time.Time) time.Duration {
	value := headers.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
