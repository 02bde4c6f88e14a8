// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/relay"
)

// sent keeps what is written to it.
type sent struct {
	net.Conn
	content bytes.Buffer
	err     error
}

func (s *sent) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.content.Write(p)
}

func TestWireWriter(t *testing.T) {
	for _, size := range []int{0, 1, relay.BufferSize - 1, relay.BufferSize, relay.BufferSize + 1, 3 * relay.BufferSize} {
		conn := &sent{}
		w := newWireWriter(relay.NewLine(conn))
		text := strings.Repeat("a", size)
		if n, err := w.Write([]byte(text)); n != size || err != nil {
			t.Fatalf("Write(%d bytes) = %d, %v", size, n, err)
		}
		if n, err := w.WriteString(text); n != size || err != nil {
			t.Fatalf("WriteString(%d bytes) = %d, %v", size, n, err)
		}
		if err := errors.Join(w.WriteByte('b'), w.Flush(), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := conn.content.String(); got != text+text+"b" {
			t.Errorf("%d bytes twice and one: wrote %d", size, len(got))
		}
		if w.buffer != nil {
			t.Error("a writer that was flushed holds a buffer")
		}
	}
}

func TestWireWriterErrorSticks(t *testing.T) {
	conn := &sent{err: errTarget}
	w := newWireWriter(conn)
	if _, err := w.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, errTarget) {
		t.Fatalf("Flush = %v, want %v", err, errTarget)
	}
	conn.err = nil
	_, err := w.Write([]byte("b"))
	if flushed := w.Flush(); !errors.Is(err, errTarget) || !errors.Is(flushed, errTarget) || conn.content.Len() > 0 {
		t.Errorf("after an error: Write %v, Flush %v, %d bytes", err, flushed, conn.content.Len())
	}
}

// A session that does nothing holds no buffers.
func TestWireReaderHoldsNothing(t *testing.T) {
	stream := bytes.Join([][]byte{
		appendMessage(nil, msgSync), appendMessage(nil, msgQuery, make([]byte, 500)), appendMessage(nil, msgSync), appendMessage(nil, msgQuery, make([]byte, 100<<10)),
	}, nil)
	r := newWireReader(bytes.NewReader(stream), clientBuffer)
	for range 4 {
		_, n, err := r.peek(frontendLimit)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := r.take(n)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(stream, raw) {
			t.Fatalf("took %d bytes that are not the next ones", len(raw))
		}
		stream = stream[len(raw):]
	}
	if _, _, err := r.peek(frontendLimit); !errors.Is(err, io.EOF) {
		t.Fatalf("peek = %v, want %v", err, io.EOF)
	}
	if r.buffer != nil {
		t.Error("a reader that waits with nothing read holds a buffer")
	}
}
