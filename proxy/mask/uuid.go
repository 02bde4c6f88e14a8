// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import "encoding/hex"

// uuid replaces a UUID by one of version 8, whose bits are the keyed hash of it
// (RFC 9562 section 5.8).
func (k *keyed) uuid(dst []byte, inBinary bool, value []byte) (out []byte, null bool) {
	var id [16]byte
	if inBinary {
		if len(value) != len(id) {
			return dst, true
		}
		copy(id[:], value)
	} else if !parseUUID(&id, value) {
		return dst, true
	}
	s := k.take()
	defer k.give(s)
	s.text = append(s.text[:0], id[:]...)
	sum := s.digest(forUUID, s.text)[:16]
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	if inBinary {
		return append(dst, sum...), false
	}
	for i, part := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, sum[part[0]:part[1]])
	}
	return dst, false
}

// parseUUID reads 32 hexadecimal digits with hyphens anywhere between them, as
// the common textual forms have them.
func parseUUID(id *[16]byte, value []byte) bool {
	n := 0
	for _, c := range value {
		var nibble byte
		switch {
		case c == '-':
			continue
		case '0' <= c && c <= '9':
			nibble = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			nibble = c | 0x20 - 'a' + 10
		default:
			return false
		}
		if n == 32 {
			return false
		}
		id[n/2] = id[n/2]<<4 | nibble
		n++
	}
	return n == 32
}
