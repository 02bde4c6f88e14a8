// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"bytes"
	"encoding/binary"

	"github.com/doorward/doorward/proxy/policy"
)

// numeric masks a decimal number. Digits keeps its sign and its number of digits
// before and after the point. Hash gives an integer that is not negative: that of
// the integer of the same value where there is one, else one of 18 digits.
func (k *keyed) numeric(dst []byte, m policy.Method, inBinary bool, value []byte) (out []byte, null bool) {
	s := k.take()
	defer k.give(s)
	text := value
	if inBinary {
		var ok bool
		if s.text, ok = appendNumericText(s.text[:0], value); !ok {
			return dst, true
		}
		text = s.text
	}
	negative, whole, fraction, ok := splitNumeric(text)
	if !ok {
		return dst, true // NaN and the infinities have no digits
	}
	start := len(s.other)
	if m.Type == policy.Hash {
		s.other = k.hashNumeric(s.other, negative, whole, fraction)
	} else {
		s.other = k.digitsNumeric(s.other, text, negative, whole, fraction)
	}
	if inBinary {
		return appendNumericBinary(dst, s.other[start:]), false
	}
	return append(dst, s.other[start:]...), false
}

// hashNumeric appends the hash of a number as text.
func (k *keyed) hashNumeric(dst []byte, negative bool, whole, fraction []byte) []byte {
	whole, fraction = bytes.TrimLeft(whole, "0"), bytes.TrimRight(fraction, "0")
	s := k.take()
	defer k.give(s)
	if negative && len(whole)+len(fraction) > 0 {
		s.text = append(s.text, '-')
	}
	s.text = append(s.text, whole...)
	if len(whole) == 0 {
		s.text = append(s.text, '0')
	}
	if len(fraction) == 0 {
		if n, ok := decodeInt(Int8, false, s.text); ok {
			return appendInt(dst, Int8, false, k.hashInt(n, false))
		}
	} else {
		s.text = append(append(s.text, '.'), fraction...)
	}
	u := binary.BigEndian.Uint64(s.digest(forNumeric, s.text)) % 900_000_000_000_000_000
	return appendInt(dst, Int8, false, int64(u)+100_000_000_000_000_000)
}

// digitsNumeric appends a number of the same form with other digits, as text.
// The first of several digits before the point is not 0.
func (k *keyed) digitsNumeric(dst, text []byte, negative bool, whole, fraction []byte) []byte {
	s := k.take()
	defer k.give(s)
	if len(fraction) == 0 {
		// An integer gives what it gives in a column of integers.
		if n, ok := decodeInt(Int8, false, text); ok {
			return appendInt(dst, Int8, false, k.digitsInt(n, false))
		}
	}
	d := s.stream(text)
	if negative {
		dst = append(dst, '-')
	}
	for i := range whole {
		digit := d.next()
		for i == 0 && len(whole) > 1 && digit == 0 {
			digit = d.next()
		}
		dst = append(dst, '0'+digit)
	}
	if len(fraction) > 0 {
		dst = append(dst, '.')
	}
	for range fraction {
		dst = append(dst, '0'+d.next())
	}
	return dst
}

// splitNumeric takes a number in text format apart: digits, and digits after a
// point. A number without digits before the point is none.
func splitNumeric(text []byte) (negative bool, whole, fraction []byte, ok bool) {
	if len(text) > 0 && text[0] == '-' {
		negative, text = true, text[1:]
	}
	whole, fraction, point := bytes.Cut(text, []byte{'.'})
	if len(whole) == 0 || point && len(fraction) == 0 || !allDigits(whole) || !allDigits(fraction) {
		return false, nil, nil, false
	}
	return negative, whole, fraction, true
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
