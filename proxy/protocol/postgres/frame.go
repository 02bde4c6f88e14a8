// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/access"
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
	MaxStatement = 256 << 10
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

// wireReader cuts a byte stream into messages.
type wireReader struct {
	br *bufio.Reader
	// scratch holds a message that does not fit the buffer.
	scratch []byte
}

func newWireReader(r io.Reader, size int) *wireReader {
	return &wireReader{br: bufio.NewReaderSize(r, size)}
}

// peek waits for the next header and returns the message's type and the length
// of its body. It consumes nothing. The end of the stream before a message is
// io.EOF, within one io.ErrUnexpectedEOF.
func (r *wireReader) peek(limit func(kind byte) int) (kind byte, body int, err error) {
	header, err := r.br.Peek(headerLength)
	if err != nil {
		if errors.Is(err, io.EOF) && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	return parseHeader(header, limit)
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
	if total <= r.br.Size() {
		raw, err := r.br.Peek(total)
		if err != nil {
			return nil, unexpected(err)
		}
		_, _ = r.br.Discard(total) // what was peeked can be discarded
		return raw, nil
	}
	if cap(r.scratch) < total {
		r.scratch = make([]byte, total)
	}
	raw := r.scratch[:total]
	if total > maxScratch {
		r.scratch = nil // a rare giant is not kept for the session's life
	}
	if _, err := io.ReadFull(r.br, raw); err != nil {
		return nil, unexpected(err)
	}
	return raw, nil
}

// maxScratch is the largest buffer that is kept between messages.
const maxScratch = 256 << 10

// copyTo consumes the message that peek announced and writes it to w piece by
// piece; the answer, which may be nil, takes the pieces too. The error says on
// which side it failed.
func (r *wireReader) copyTo(w *bufio.Writer, body int, answer *access.Answer) (readErr, writeErr error) {
	for left := headerLength + body; left > 0; {
		n := min(left, max(r.br.Buffered(), 1))
		piece, err := r.br.Peek(n)
		if err != nil {
			return unexpected(err), nil
		}
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
		answer.Content(piece)
		_, _ = r.br.Discard(n)
		left -= n
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
