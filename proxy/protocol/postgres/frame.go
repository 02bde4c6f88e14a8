// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/relay"
)

// Bounds on what either side may send, in bytes of the message's body.
const (
	// maxStartup is the server's own bound on a startup packet
	// (MAX_STARTUP_PACKET_LENGTH), its length included.
	maxStartup = 10_000
	// maxPassword bounds the message that carries the token.
	maxPassword = 32 << 10
	// MaxFrontendMessage bounds every later message of a client.
	MaxFrontendMessage = 16 << 20
	// MaxStatement bounds the text of a statement.
	MaxStatement = 8 << 20
	// maxBackendStreamed bounds rows and copy data of the target; they are
	// streamed. It is the server's own bound on a message.
	maxBackendStreamed = 1 << 30
	// maxBackendBuffered bounds every other message of the target.
	maxBackendBuffered = 16 << 20
	// maxMaskedRow bounds a row in which something must be masked: it is held
	// whole, since its length changes.
	maxMaskedRow = 64 << 20
)

const headerLength = 5

// errFraming says that a peer broke the framing; the stream cannot be resumed.
var errFraming = errors.New("malformed message framing")

// smallRead is how many bytes are read while nothing is there, so that a
// session that does nothing holds no buffer: enough for a small message or two.
const smallRead = 128

// wireReader cuts a byte stream into messages. It holds a buffer only while it
// has read part of a message, or more than a few small ones.
type wireReader struct {
	r io.Reader
	// limit is the largest message that is held in a buffer of the pool.
	limit int
	pool  *relay.Pool
	// window is where what was read is: small, or the buffer. What is not yet
	// consumed is between begin and end.
	window     []byte
	begin, end int
	buffer     *[]byte // nil where none is held
	small      [smallRead]byte
	// scratch holds a message that does not fit the buffer.
	scratch []byte
}

func newWireReader(r io.Reader, limit int) *wireReader {
	pool := relay.SmallBuffers
	if limit > pool.Size() {
		pool = relay.Buffers
	}
	return &wireReader{r: r, limit: min(limit, pool.Size()), pool: pool}
}

// buffered is how many bytes were read and not consumed.
func (r *wireReader) buffered() int { return r.end - r.begin }

// need reads until n bytes are there, which is not more than the limit.
func (r *wireReader) need(n int) error {
	for r.buffered() < n {
		if r.buffered() == 0 {
			r.drop()
		}
		if err := r.more(n); err != nil {
			return err
		}
	}
	return nil
}

// drop gives the buffer back. Nothing may refer to what was read.
func (r *wireReader) drop() {
	if r.buffer != nil {
		r.pool.Put(r.buffer)
		r.buffer = nil
	}
	r.window, r.begin, r.end = r.small[:], 0, 0
}

// more reads once, where need be into a buffer that has room for n bytes from
// the first that is not consumed. What was read before may move.
func (r *wireReader) more(n int) error {
	if len(r.window)-r.begin < n || r.end == len(r.window) {
		rest := r.window[r.begin:r.end]
		if r.buffer == nil {
			r.buffer = r.pool.Get()
			r.window = (*r.buffer)[:max(r.limit, smallRead)]
		}
		r.begin, r.end = 0, copy(r.window, rest)
	}
	for range emptyReads {
		read, err := r.r.Read(r.window[r.end:])
		r.end += read
		if read > 0 {
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// emptyReads is how often a reader may say that it read nothing.
const emptyReads = 100

// peek waits for the next header and returns the message's type and the length
// of its body. It consumes nothing. The end of the stream before a message is
// io.EOF, within one io.ErrUnexpectedEOF.
func (r *wireReader) peek(limit func(kind byte) int) (kind byte, body int, err error) {
	if err := r.need(headerLength); err != nil {
		if errors.Is(err, io.EOF) && r.buffered() > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	return parseHeader(r.window[r.begin:r.end], limit)
}

// parseHeader checks a header against the bound of its kind.
func parseHeader(header []byte, limit func(kind byte) int) (kind byte, body int, err error) {
	kind = header[0]
	length := binary.BigEndian.Uint32(header[1:headerLength])
	if length < 4 {
		return kind, 0, fmt.Errorf("%w: message %q has length %d", errFraming, kind, length)
	}
	// The comparison is made on 64 bits, so that no length wraps around.
	if most := limit(kind); int64(length)-4 > int64(most) {
		return kind, 0, fmt.Errorf("%w: message %q has %d bytes, at most %d are taken", errFraming, kind, int64(length)-4, most)
	}
	return kind, int(length) - 4, nil
}

// take consumes the message that peek announced and returns all its bytes, the
// header included. They are valid until the next call.
func (r *wireReader) take(body int) ([]byte, error) {
	total := headerLength + body
	if total <= r.limit {
		if err := r.need(total); err != nil {
			return nil, unexpected(err)
		}
		raw := r.window[r.begin : r.begin+total : r.begin+total]
		r.begin += total
		return raw, nil
	}
	if cap(r.scratch) < total {
		r.scratch = make([]byte, total)
	}
	raw := r.scratch[:total]
	if total > maxScratch {
		r.scratch = nil // a rare giant is not kept for the session's life
	}
	n := copy(raw, r.window[r.begin:r.end])
	r.begin += n
	if _, err := io.ReadFull(r.r, raw[n:]); err != nil {
		return nil, unexpected(err)
	}
	return raw, nil
}

// maxScratch is the largest buffer that is kept between messages.
const maxScratch = 256 << 10

// copyTo consumes the message that peek announced and writes it to w piece by
// piece; the answer, which may be nil, takes the pieces too. The error says on
// which side it failed.
func (r *wireReader) copyTo(w *wireWriter, body int, answer *access.Answer) (readErr, writeErr error) {
	for left := headerLength + body; left > 0; {
		if err := r.need(1); err != nil {
			return unexpected(err), nil
		}
		piece := r.window[r.begin:min(r.end, r.begin+left)]
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
		answer.Content(piece)
		r.begin += len(piece)
		left -= len(piece)
	}
	return nil, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendMessage appends a message of one kind whose body is the given parts.
func appendMessage(dst []byte, kind byte, parts ...[]byte) []byte {
	length := 4
	for _, part := range parts {
		length += len(part)
	}
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	for _, part := range parts {
		dst = append(dst, part...)
	}
	return dst
}
