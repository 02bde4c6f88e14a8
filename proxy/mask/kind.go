// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

// Kind is the shape of a value, whatever a protocol calls its type. Each has a
// text format, which is the way people write it, and a binary format, which is
// that of PostgreSQL: integers, floats and instants big-endian.
type Kind int

// The kinds. The zero Kind is Other: what nobody knows can only become NULL.
const (
	// Other has a shape of its own: arrays, composites, ranges, XML, geometry.
	Other Kind = iota
	// Text is characters, the same in both formats.
	Text
	// Char is Text with blanks at its end that are no part of the value.
	Char
	// JSON is JSON text, the same in both formats.
	JSON
	// JSONB is JSON text; in binary format the byte 1 stands before it.
	JSONB
	// Int2, Int4 and Int8 are signed integers of 2, 4 and 8 bytes.
	Int2
	Int4
	Int8
	// Numeric is a decimal number of any length (numeric_send in numeric.c).
	Numeric
	// Float4 and Float8 are IEEE 754 numbers.
	Float4
	Float8
	// UUID is 16 bytes (RFC 9562).
	UUID
	// Date, Time, Timestamp and Interval are dates, times of day (with or without
	// a zone), instants (with or without a zone) and lengths of time.
	Date
	Time
	Timestamp
	Interval
	// Bytes is any bytes; in text format hexadecimal after \x.
	Bytes
	// Bool is a truth value.
	Bool
	// Inet is an address or network.
	Inet
)

// width is the size in bytes of an integer kind, 0 for every other.
func (k Kind) width() int {
	switch k {
	case Int2:
		return 2
	case Int4:
		return 4
	case Int8:
		return 8
	default:
		return 0
	}
}
