// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/relay"
)

// errFraming says that a peer broke the framing; its stream cannot be resumed.
var errFraming = errors.New("malformed packet framing")

// emptyReads is how often a reader may say that it read nothing.
const emptyReads = 100

// stream is one direction: it reads packets and writes those that are passed on from the
// buffer into which they were read. For one goroutine.
type stream struct {
	src io.Reader
	// write takes what is passed on.
	write func([]byte) error
	// flushed is told that all that was passed on is written; may be nil.
	flushed func()
	// quiet says that nothing is expected soon, so that no buffer need be held.
	quiet func() bool

	// window is where what was read is: small, or the buffer. What was passed on and is
	// not yet written is between sent and begin, what was read and not yet consumed between
	// begin and end.
	window           []byte
	sent, begin, end int
	buffer           *[]byte // nil where none is held
	small            [128]byte
}

// buffered is what was read and not consumed.
func (s *stream) buffered() []byte { return s.window[s.begin:s.end] }

// flush writes what was passed on.
func (s *stream) flush() error {
	if s.begin > s.sent {
		from := s.sent
		s.sent = s.begin
		if err := s.write(s.window[from:s.begin]); err != nil {
			return err
		}
	}
	if s.flushed != nil {
		s.flushed()
	}
	return nil
}

// pass passes on the next n bytes, which are buffered.
func (s *stream) pass(n int) { s.begin += n }

// drop consumes the next n bytes, which are buffered, without passing them on.
func (s *stream) drop(n int) error {
	err := s.flush()
	s.begin += n
	s.sent = s.begin
	return err
}

// need reads until n bytes are buffered, which is at most maxWhole+lengthSize. What was
// passed on is written before it waits. At the end of the source the error is io.EOF where
// nothing is buffered, else io.ErrUnexpectedEOF.
func (s *stream) need(n int) error {
	for s.end-s.begin < n {
		if err := s.flush(); err != nil {
			return err
		}
		if err := s.more(n); err != nil {
			if errors.Is(err, io.EOF) && s.end > s.begin {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// more reads once, where need be into a buffer. Nothing is left to be written.
func (s *stream) more(n int) error {
	rest := s.buffered()
	switch {
	case len(rest) == 0 && s.quiet():
		s.release()
	case s.buffer == nil:
		s.buffer = relay.Buffers.Get()
		s.window = (*s.buffer)[:cap(*s.buffer)]
		s.sent, s.begin, s.end = 0, 0, copy(s.window, rest)
	case len(rest) == 0:
		s.sent, s.begin, s.end = 0, 0, 0
	case len(s.window)-s.begin < n:
		s.sent, s.begin, s.end = 0, 0, copy(s.window, rest)
	}
	for range emptyReads {
		read, err := s.src.Read(s.window[s.end:])
		s.end += read
		if read > 0 {
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// release gives the buffer back. Nothing may refer to what was read.
func (s *stream) release() {
	if s.buffer != nil {
		relay.Buffers.Put(s.buffer)
		s.buffer = nil
	}
	s.window, s.sent, s.begin, s.end = s.small[:], 0, 0, 0
}

// next waits for the head of the next packet and returns it with the length of the whole
// packet, its length field included. It consumes nothing.
func (s *stream) next() (head packetHead, err error) {
	if err := s.need(headSize); err != nil {
		return packetHead{}, err
	}
	return decodeHead(s.buffered())
}

// packetHead is what every packet begins with. Of INIT and VERSION, id is the version.
type packetHead struct {
	size int // of the whole packet, its length field included
	kind byte
	id   uint32
}

// decodeHead reads the first headSize bytes of a packet.
func decodeHead(b []byte) (packetHead, error) {
	if len(b) < headSize {
		return packetHead{}, fmt.Errorf("%w: %d bytes of a head", errFraming, len(b))
	}
	length := binary.BigEndian.Uint32(b)
	head := packetHead{kind: b[lengthSize], id: binary.BigEndian.Uint32(b[lengthSize+1:])}
	// A DATA is held against what its READ asked for.
	if length < minPacket || length > maxPacket && head.kind != typeData || length > 1<<30 {
		return head, fmt.Errorf("%w: a packet of type %d has length %d, which must be between %d and %d", errFraming, head.kind, length, minPacket, maxPacket)
	}
	head.size = lengthSize + int(length)
	return head, nil
}

// whole waits for all of a packet and returns it. It consumes nothing.
func (s *stream) whole(size int) ([]byte, error) {
	if size > lengthSize+maxWhole {
		return nil, fmt.Errorf("%w: a packet of %d bytes where at most %d are held", errFraming, size, maxWhole)
	}
	if err := s.need(size); err != nil {
		return nil, unexpected(err)
	}
	return s.buffered()[:size:size], nil
}

// stream passes the next n bytes on piece by piece as they come, each digested before where
// they are content at an offset.
func (s *stream) stream(n int, digest *sequence, at uint64) error {
	for n > 0 {
		if err := s.need(1); err != nil {
			return unexpected(err)
		}
		piece := s.buffered()
		piece = piece[:min(len(piece), n)]
		if digest != nil {
			digest.add(at, piece)
			at += uint64(len(piece))
		}
		s.pass(len(piece))
		n -= len(piece)
	}
	return nil
}

// skip consumes the next n bytes as they come.
func (s *stream) skip(n int) error {
	for n > 0 {
		if err := s.need(1); err != nil {
			return unexpected(err)
		}
		piece := min(len(s.buffered()), n)
		if err := s.drop(piece); err != nil {
			return err
		}
		n -= piece
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
