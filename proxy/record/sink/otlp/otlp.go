// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package otlp is the sink that sends records as log records of the
// OpenTelemetry protocol (OTLP 1.x), over gRPC or over HTTP.
//
// It speaks the protocol itself and not through OpenTelemetry's SDK, whose
// exporters queue, drop what they cannot deliver, and pass over the records
// that a server says it rejected. Here a batch counts as accepted only when the
// server's answer says that none of it was rejected.
package otlp

import (
	"context"
	"fmt"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// Bounds of one request in bytes, before compression. Receivers take 4 MiB over
// gRPC unless told otherwise, and 20 MiB over HTTP.
const (
	maxRequest = 3 << 20
	minRequest = 64 << 10
)

// answerLimit is the number of bytes read of an answer.
const answerLimit = 64 << 10

// exporter sends one request, the protobuf form of an
// ExportLogsServiceRequest. It returns nil where the server has answered that
// it took all records.
type exporter interface {
	export(ctx context.Context, request []byte) *refusal
	close() error
}

// Sink sends to one endpoint.
type Sink struct {
	options  Options
	endpoint string
	secrets  []string // what an error must not show
	exporter exporter
	// limit is the number of bytes of a request of more than one record.
	limit int
	// accepted is the last record that the server took of a batch that failed
	// as a whole; the ones up to it are not sent again.
	accepted *record.Position
}

// New makes a sink. The server is reached by the first Write only.
func New(options Options) (*Sink, error) {
	s := &Sink{options: options, limit: maxRequest}
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("OTLP sink not usable: %w", err)
	}
	return s, nil
}

func (s *Sink) complete() error {
	if s.options.Encode == nil {
		s.options.Encode = sink.Native
	}
	u, err := s.options.target()
	if err != nil {
		return err
	}
	s.endpoint = u.String()
	headers, err := s.options.headers()
	if err != nil {
		return err
	}
	for _, value := range s.options.Headers {
		s.secrets = append(s.secrets, secretParts(value)...)
	}
	if s.options.Protocol == HTTP {
		s.exporter, err = newOverHTTP(u, headers, &s.options)
	} else {
		s.exporter, err = newOverGRPC(u, headers, &s.options)
	}
	return err
}

// Close ends the connection.
func (s *Sink) Close() error { return s.exporter.close() }

// Write implements sink.Sink: the server has answered that it took all records,
// in several requests where they are too many for one.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	batch = s.rest(batch)
	if len(batch) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot send records to %q: %w", s.endpoint, context.Cause(ctx))
	}
	entries, err := newEntries(batch, s.options.Encode)
	if err != nil {
		return fmt.Errorf("cannot send records to %q: %w", s.endpoint, err)
	}
	if err := s.send(ctx, entries); err != nil {
		return err
	}
	s.accepted = nil
	return nil
}

// rest returns the records that the server has not taken yet.
func (s *Sink) rest(batch []record.Record) []record.Record {
	for s.accepted != nil && len(batch) > 0 && batch[0].Position.LogID == s.accepted.LogID && batch[0].Position.Index <= s.accepted.Index {
		batch = batch[1:]
	}
	return batch
}

// send sends records in order, in halves where the server does not take them
// together. So a record that it does not take at all is found and named, and
// those before it are delivered.
func (s *Sink) send(ctx context.Context, entries []entry) error {
	many := len(entries) > 1
	if many && size(entries) > s.limit {
		return s.halves(ctx, entries)
	}
	request, err := marshal(entries)
	if err != nil {
		return fmt.Errorf("cannot send records %s to %q: %w", span(entries), s.endpoint, err)
	}
	refusal := s.exporter.export(ctx, request)
	if refusal == nil {
		last := entries[len(entries)-1].position
		s.accepted = &last
		return nil
	}
	if refusal.tooLarge {
		s.limit = min(s.limit, max(len(request)/2, minRequest))
	}
	if many && (refusal.tooLarge || refusal.some) && ctx.Err() == nil {
		return s.halves(ctx, entries)
	}
	return s.failed(ctx, span(entries), refusal)
}

func (s *Sink) halves(ctx context.Context, entries []entry) error {
	middle := len(entries) / 2
	if err := s.send(ctx, entries[:middle]); err != nil {
		return err
	}
	return s.send(ctx, entries[middle:])
}
