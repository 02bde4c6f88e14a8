// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stdout is the sink that writes records as JSON lines to a stream,
// such as standard output, from where a container platform takes them.
package stdout

import (
	"context"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// Options say where lines go and what is in them.
type Options struct {
	Writer io.Writer
	// Encode makes a line; nil is sink.Native.
	Encode sink.Encoder
}

// Sink writes to one stream. A record counts as accepted when the stream has
// taken its bytes.
type Sink struct {
	writer io.Writer
	encode sink.Encoder
	// busy is the write that a caller did not wait for, if there is one.
	busy chan outcome
	// torn says that the stream may stand in the middle of a line.
	torn   bool
	buffer []byte
}

type outcome struct {
	n   int
	err error
}

// New makes a sink that writes to the stream once per batch. A write that blocks
// outlives Write's context: it ends with the stream.
func New(o Options) *Sink { return &Sink{writer: o.Writer, encode: o.Encode} }

// Write implements sink.Sink.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if s.busy != nil {
		// The stream was stuck in the middle of an earlier batch.
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot write to the stream: %w", context.Cause(ctx))
	}
	s.buffer = s.buffer[:0]
	if s.torn {
		// Ends the broken line, so that the next record has its own.
		s.buffer = append(s.buffer, '\n')
	}
	for _, r := range batch {
		var err error
		if s.buffer, err = sink.AppendLine(s.buffer, r, s.encode); err != nil {
			return err
		}
	}
	data := s.buffer
	s.busy = make(chan outcome, 1)
	go func(busy chan<- outcome) {
		n, err := s.writer.Write(data)
		if err == nil && n < len(data) {
			err = io.ErrShortWrite
		}
		busy <- outcome{n, err}
	}(s.busy)
	return s.await(ctx)
}

// await waits for the write under way.
func (s *Sink) await(ctx context.Context) error {
	select {
	case o := <-s.busy:
		s.busy = nil
		if o.n > 0 {
			s.torn = s.buffer[min(o.n, len(s.buffer))-1] != '\n'
		}
		if o.err != nil {
			return fmt.Errorf("cannot write to the stream: %w", o.err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the stream takes nothing: %w", context.Cause(ctx))
	}
}
