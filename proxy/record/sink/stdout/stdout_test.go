// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stdout_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/stdout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a pipe's end that may break off in the middle of a line.
type stream struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	broken bool
}

func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		n, _ := s.buffer.Write(b[:len(b)/3])
		return n, errors.New("boom")
	}
	return s.buffer.Write(b)
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, func(*testing.T) sinktest.Destination {
		to := &stream{}
		set := func(broken bool) {
			to.mu.Lock()
			defer to.mu.Unlock()
			to.broken = broken
		}
		return sinktest.Destination{
			New: func(*testing.T) sink.Sink { return stdout.New(stdout.Options{Writer: to}) },
			Received: func(*testing.T) [][]byte {
				to.mu.Lock()
				defer to.mu.Unlock()
				return bytes.Split(bytes.TrimSuffix(bytes.Clone(to.buffer.Bytes()), []byte("\n")), []byte("\n"))
			},
			Break: func(*testing.T) func() {
				set(true)
				return func() { set(false) }
			},
		}
	})
}

// TestStuckStream: a reader that does not read delays, and loses nothing.
func TestStuckStream(t *testing.T) {
	reader, writer := io.Pipe()
	s := stdout.New(stdout.Options{Writer: writer})
	errStuck := errors.New("stuck")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStuck)
	if err := s.Write(ctx, sinktest.Records(0, 2)); !errors.Is(err, errStuck) {
		t.Errorf("Write: %v, want %v", err, errStuck)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Write(ctx, sinktest.Records(0, 2)) }()
	var got bytes.Buffer
	if _, err := io.CopyN(&got, reader, 10); err != nil { // the stream takes a part
		t.Fatal(err)
	}
	cancel(errStuck)
	if err := <-done; !errors.Is(err, errStuck) {
		t.Errorf("Write: %v, want %v", err, errStuck)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&got, reader)
	}()
	if err := s.Write(t.Context(), sinktest.Records(0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	<-read
	var want bytes.Buffer
	for _, r := range append(sinktest.Records(0, 2), sinktest.Records(0, 3)...) {
		want.Write(append(r.JSON, '\n'))
	}
	if got.String() != want.String() {
		t.Errorf("got\n%swant\n%s", got.String(), want.String())
	}
}
