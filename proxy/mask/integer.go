// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/doorward/doorward/proxy/policy"
)

// integer masks a value of an integer kind.
func (k *keyed) integer(dst []byte, m policy.Method, kind Kind, inBinary bool, value []byte) (out []byte, null bool) {
	n, ok := decodeInt(kind, inBinary, value)
	if !ok {
		return dst, true
	}
	if m.Type == policy.Hash {
		n = k.hashInt(n, kind == Int2)
	} else {
		n = k.digitsInt(n, kind == Int2)
	}
	return appendInt(dst, kind, inBinary, n), false
}

// hashInt maps an integer to one that is not negative. Among integers that are
// not negative it is one to one, so a hashed column stays unique, and it does not
// depend on whether the column has four bytes or eight: those that fit into four
// stay among themselves. Small says that the column has two bytes.
func (k *keyed) hashInt(n int64, small bool) int64 {
	tweak, u := byte('+'), uint64(n) //nolint:gosec // the sign is in the tweak
	if n < 0 {
		tweak, u = '-', uint64(-(n + 1)) //nolint:gosec // from -1 down: 0 up
	}
	switch {
	case small:
		return int64(k.permute(u, 15, tweak)) //nolint:gosec // 15 bits
	case u <= math.MaxInt32:
		return int64(k.permute(u, 31, tweak)) //nolint:gosec // 31 bits
	}
	// A permutation of 63 bits, walked until it leaves the smaller one's domain:
	// one step but for one value in 2^32.
	for {
		if u = k.permute(u, 63, tweak); u > math.MaxInt32 {
			return int64(u) //nolint:gosec // 63 bits
		}
	}
}

// rounds of the Feistel network, as many as FF1 has (NIST SP 800-38G).
const rounds = 10

// permute is a keyed permutation of the numbers below 2^bits: a Feistel network
// over two halves, the left one a bit shorter, with AES as the round function.
func (k *keyed) permute(u uint64, bits uint, tweak byte) uint64 {
	s := k.take()
	defer k.give(s)
	right := (bits + 1) / 2
	left := bits - right
	a, b := u>>right, u&(1<<right-1)
	for i := range byte(rounds) {
		clear(s.in[:])
		s.in[0], s.in[1], s.in[2] = tweak, byte(bits), i //nolint:gosec // at most 63
		if i%2 == 0 {
			a ^= k.round(s, b) & (1<<left - 1)
		} else {
			b ^= k.round(s, a) & (1<<right - 1)
		}
	}
	return a<<right | b
}

func (k *keyed) round(s *scratch, half uint64) uint64 {
	binary.BigEndian.PutUint64(s.in[8:], half)
	k.block.Encrypt(s.out[:], s.in[:])
	return binary.BigEndian.Uint64(s.out[:])
}

// digitsInt replaces each digit of an integer and keeps its sign, its number of
// digits, and its range: that of two bytes where small, of four where it is in it,
// of eight else.
func (k *keyed) digitsInt(n int64, small bool) int64 {
	s := k.take()
	defer k.give(s)
	s.text = strconv.AppendInt(s.text[:0], n, 10)
	bound, magnitude := uint64(math.MaxInt64), uint64(n) //nolint:gosec // the sign is looked at next
	if n < 0 {
		magnitude = -magnitude
	}
	switch {
	case small:
		bound = math.MaxInt16
	case n >= math.MinInt32 && n <= math.MaxInt32:
		bound = math.MaxInt32
	}
	low, high := uint64(0), uint64(9)
	for p := uint64(10); p <= magnitude; p *= 10 {
		low, high = p, p*10-1
		if p > math.MaxUint64/100 {
			high = math.MaxUint64
			break
		}
	}
	high = min(high, bound)
	// Rejecting what is over the last multiple of the span leaves no value
	// likelier than another.
	span := high - low + 1
	limit := math.MaxUint64 - math.MaxUint64%span
	sum := s.digest(forDigits, s.text)
	for {
		for i := 0; i+8 <= len(sum); i += 8 {
			if u := binary.BigEndian.Uint64(sum[i:]); u < limit {
				u = low + u%span
				if n < 0 {
					return -int64(u) //nolint:gosec // bounded
				}
				return int64(u) //nolint:gosec // bounded
			}
		}
		s.text = append(s.text[:0], sum...)
		sum = s.digest(forMore, s.text)
	}
}

// decodeInt reads a value of an integer kind.
func decodeInt(kind Kind, inBinary bool, value []byte) (n int64, ok bool) {
	width := kind.width()
	if inBinary {
		if len(value) != width {
			return 0, false
		}
		switch width {
		case 2:
			return int64(int16(binary.BigEndian.Uint16(value))), true //nolint:gosec // the type's own bits
		case 4:
			return int64(int32(binary.BigEndian.Uint32(value))), true //nolint:gosec // the type's own bits
		default:
			return int64(binary.BigEndian.Uint64(value)), true //nolint:gosec // the type's own bits
		}
	}
	digits, negative := value, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	limit := uint64(1) << (8*width - 1)
	if negative {
		return -int64(u), u <= limit
	}
	return int64(u), u < limit
}

func appendInt(dst []byte, kind Kind, inBinary bool, n int64) []byte {
	if !inBinary {
		return strconv.AppendInt(dst, n, 10)
	}
	switch kind.width() {
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n)) //nolint:gosec // in range
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(n)) //nolint:gosec // in range
	default:
		return binary.BigEndian.AppendUint64(dst, uint64(n)) //nolint:gosec // the same bits
	}
}
