// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import "encoding/binary"

// Rows come by the thousand. Those that were read together are passed on
// together: counted and written in one go.

// whole says that a message of a kind follows at an offset from what is
// consumed, and has been read whole; its size includes the header.
func (r *wireReader) whole(kind byte, offset int) (size int, ok bool) {
	rest := r.window[r.begin+offset : r.end]
	if len(rest) < headerLength || rest[0] != kind {
		return 0, false
	}
	length := binary.BigEndian.Uint32(rest[1:headerLength])
	if length < 4 || uint64(length) > uint64(len(rest)-1) { //nolint:gosec // a header is there
		return 0, false // peek says what is wrong with it, or waits for the rest
	}
	return 1 + int(length), true
}

// batch finds the messages of a kind that were read together, the first of
// which is n bytes long: their size with the headers, how many they are, and
// the bytes of their bodies.
func (r *wireReader) batch(kind byte, n int) (size, count int, bytes int64) {
	size, count, bytes = headerLength+n, 1, int64(n)
	for {
		next, ok := r.whole(kind, size)
		if !ok {
			return size, count, bytes
		}
		size, count, bytes = size+next, count+1, bytes+int64(next-headerLength)
	}
}

// flow passes on what nobody looks at: the row, or the row of copy data, of n
// bytes that was announced, and those that were read with it. The first is
// counted already.
func (s *session) flow(op *operation, kind byte, n int) error {
	r := s.fromTarget
	// Where there is a limit, or the record keeps something, each is looked at.
	// Not every message of binary copy data is a row.
	if op.answer != nil || op.permit.Meter() != nil || op.copyBinary || headerLength+n > r.buffered() {
		return s.stream(n, op.answer)
	}
	size, count, bytes := r.batch(kind, n)
	op.rows += int64(count - 1)
	op.bytes += bytes - int64(n)
	raw := r.window[r.begin : r.begin+size]
	r.begin += size
	return s.pass(raw)
}
