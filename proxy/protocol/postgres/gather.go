// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"net"

	"github.com/doorward/doorward/proxy/relay"
)

// wireWriter gathers what is written until it is flushed, in a buffer that it
// holds only meanwhile. The first error sticks.
type wireWriter struct {
	conn net.Conn
	// line is what conn stands on; nil where that is not known.
	line   *relay.Line
	buffer *[]byte // nil where nothing was gathered
	err    error
}

func newWireWriter(conn net.Conn) *wireWriter {
	return &wireWriter{conn: conn, line: relay.LineOf(conn)}
}

// room is how many bytes fit before a flush.
func (w *wireWriter) room() int {
	if w.buffer == nil {
		w.buffer = relay.Buffers.Get()
	}
	return cap(*w.buffer) - len(*w.buffer)
}

// Write gathers p, and writes what does not fit.
func (w *wireWriter) Write(p []byte) (int, error) {
	for rest := p; w.err == nil; {
		n := min(w.room(), len(rest))
		*w.buffer = append(*w.buffer, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return len(p), nil
		}
		_ = w.Flush() // the error is kept
	}
	return 0, w.err
}

// WriteString is Write.
func (w *wireWriter) WriteString(text string) (int, error) {
	for rest := text; w.err == nil; {
		n := min(w.room(), len(rest))
		*w.buffer = append(*w.buffer, rest[:n]...)
		if rest = rest[n:]; rest == "" {
			return len(text), nil
		}
		_ = w.Flush() // the error is kept
	}
	return 0, w.err
}

// WriteByte is Write of one byte.
func (w *wireWriter) WriteByte(c byte) error {
	_, err := w.Write([]byte{c})
	return err
}

// recordSize is the most that one record of TLS takes (RFC 8446, section 5.1).
const recordSize = 16 << 10

// Flush writes what was gathered.
func (w *wireWriter) Flush() error {
	if w.buffer == nil || w.err != nil {
		return w.err
	}
	joined := w.line != nil && len(*w.buffer) > recordSize
	if joined {
		w.line.Join()
	}
	_, w.err = w.conn.Write(*w.buffer)
	if joined {
		if err := w.line.Part(); w.err == nil {
			w.err = err
		}
	}
	relay.Buffers.Put(w.buffer)
	w.buffer = nil
	return w.err
}
