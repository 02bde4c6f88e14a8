// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook is the sink that posts records to an HTTP endpoint as JSON
// lines, signed as Standard Webhooks (standardwebhooks.com) has it:
//
//	webhook-id: <log id>/<first index>-<last index>
//	webhook-timestamp: <seconds since 1970>
//	webhook-signature: v1,<base64 of HMAC-SHA256> [v1,<of the next secret>...]
//
// where what is signed are id, timestamp and the body as sent, joined by dots.
// The same records in one request have the same id each time, but after a
// failure they may also come in other requests: a receiver that must not have
// a record twice goes by the record's own id, its log and index.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// answerLimit is the number of bytes read of an answer.
const answerLimit = 64 << 10

// Sink posts to one URL.
type Sink struct {
	options   Options
	url       string
	shown     string // the URL without its query, for errors
	keys      [][]byte
	secrets   []string // what an error must not show
	headers   http.Header
	client    *http.Client
	transport *http.Transport
	// limit is the number of bytes, before compression, of a request of more
	// than one record; 0 for none. See broken.
	limit int
}

// New makes a sink. The receiver is reached by the first Write only.
func New(options Options) (*Sink, error) {
	s := &Sink{options: options}
	err := s.complete()
	if err != nil {
		return nil, fmt.Errorf("webhook sink not usable: %w", err)
	}
	return s, nil
}

func (s *Sink) complete() error {
	if err := s.options.Compression.Check(); err != nil {
		return err
	}
	u, err := s.options.target()
	if err != nil {
		return err
	}
	s.url = u.String()
	s.secrets = secretParts(u.RawQuery)
	u.RawQuery = ""
	s.shown = u.String()
	if s.keys, err = s.options.keys(); err != nil {
		return err
	}
	if s.headers, err = s.options.headers(); err != nil {
		return err
	}
	for _, value := range s.options.Headers {
		s.secrets = append(s.secrets, secretParts(value)...)
	}
	if s.transport, err = s.options.TLS.Transport(); err != nil {
		return err
	}
	s.client = &http.Client{
		Transport: s.transport,
		// Records go where the URL says and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// Close closes idle connections.
func (s *Sink) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Write implements sink.Sink: the receiver has answered 2xx, to several
// requests where one was too large for it.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if len(batch) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot post records to %q: %w", s.shown, context.Cause(ctx))
	}
	lines, err := s.lines(batch)
	if err != nil {
		return fmt.Errorf("cannot post records to %q: %w", s.shown, err)
	}
	if err := s.send(ctx, lines); err != nil {
		return err
	}
	s.limit = 0
	return nil
}

// lines are encoded records and where each begins.
type lines struct {
	batch   []record.Record
	content []byte
	starts  []int // one more than records: the last is the end
}

func (s *Sink) lines(batch []record.Record) (lines, error) {
	l := lines{batch: batch, starts: []int{0}}
	var err error
	for _, r := range batch {
		if l.content, err = sink.AppendLine(l.content, r, s.options.Encode); err != nil {
			return lines{}, err
		}
		l.starts = append(l.starts, len(l.content))
	}
	return l, nil
}

func (l lines) bytes() []byte { return l.content[l.starts[0]:l.starts[len(l.starts)-1]] }

// id names the records: the same for the same ones.
func (l lines) id() string {
	first, last := l.batch[0].Position, l.batch[len(l.batch)-1].Position
	return first.ID() + "-" + strconv.FormatInt(last.Index, 10)
}

// send posts records, in halves where they are too many for the receiver.
func (s *Sink) send(ctx context.Context, l lines) error {
	many := len(l.batch) > 1
	if many && s.limit > 0 && len(l.bytes()) > s.limit {
		return s.halves(ctx, l)
	}
	err := s.post(ctx, l)
	if many && errors.Is(err, errTooLarge) {
		return s.halves(ctx, l)
	}
	return err
}

func (s *Sink) halves(ctx context.Context, l lines) error {
	middle := len(l.batch) / 2
	if err := s.send(ctx, lines{l.batch[:middle], l.content, l.starts[:middle+1]}); err != nil {
		return err
	}
	return s.send(ctx, lines{l.batch[middle:], l.content, l.starts[middle:]})
}

// post makes one request.
func (s *Sink) post(ctx context.Context, l lines) error {
	id := l.id()
	body, err := s.options.Compression.Compress(l.bytes())
	if err != nil {
		return fmt.Errorf("cannot compress records %q: %w", id, err)
	}
	var sending atomic.Bool // the request's headers have left
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sending.Store(true) }})
	request, err := http.NewRequestWithContext(traced, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return s.failed(ctx, id, nil, err)
	}
	request.Header = s.headers.Clone()
	sign(request.Header, s.keys, id, time.Now(), body)
	answer, err := s.client.Do(request)
	if err != nil {
		if sending.Load() && ctx.Err() == nil {
			s.broken(len(l.bytes()))
		}
		return s.failed(ctx, id, nil, err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, answerLimit))
	if err == nil && answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return nil
	}
	return s.failed(ctx, id, &refusal{answer.StatusCode, said, retryAfter(answer.Header, time.Now())}, err)
}

// broken halves the limit after a request of so many bytes was broken off: a
// receiver may hang up on what is too large for it before its 413 can be read.
// The next Write that succeeds lifts the limit.
func (s *Sink) broken(size int) { s.limit = max(size/2, 1) }
