// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import "encoding/binary"

// The binary format of a numeric (numeric_send in numeric.c): the number of
// digits to base 10000, the weight of the first (its power of 10000), the sign,
// the number of decimal digits after the point; then the digits; 16 bits each.
const (
	numericHead     = 8
	numericPositive = 0x0000
	numericNegative = 0x4000
	maxNumericScale = 16383
)

// appendNumericText appends the text format of a numeric in binary format. It is
// false for NaN, the infinities and what is no numeric.
func appendNumericText(dst, value []byte) ([]byte, bool) {
	if len(value) < numericHead {
		return dst, false
	}
	count := int(binary.BigEndian.Uint16(value))
	weight := int(int16(binary.BigEndian.Uint16(value[2:]))) //nolint:gosec // signed by definition
	sign := binary.BigEndian.Uint16(value[4:])
	scale := int(binary.BigEndian.Uint16(value[6:]))
	digits := value[numericHead:]
	if len(digits) != 2*count || sign != numericPositive && sign != numericNegative || scale > maxNumericScale {
		return dst, false
	}
	at := func(i int) int {
		if i < 0 || i >= count {
			return 0
		}
		return int(binary.BigEndian.Uint16(digits[2*i:]))
	}
	for i := range count {
		if at(i) > 9999 {
			return dst, false
		}
	}
	if sign == numericNegative {
		dst = append(dst, '-')
	}
	if weight < 0 {
		dst = append(dst, '0')
	}
	for i := 0; i <= weight; i++ {
		dst = appendGroup(dst, at(i), i == 0)
	}
	if scale == 0 {
		return dst, true
	}
	dst = append(dst, '.')
	end := len(dst) + scale
	for i := weight + 1; len(dst) < end; i++ {
		dst = appendGroup(dst, at(i), false)
	}
	return dst[:end], true
}

// appendGroup appends four decimal digits, the first of a number without zeros
// before them.
func appendGroup(dst []byte, group int, first bool) []byte {
	for unit := 1000; unit > 0; unit /= 10 {
		if first && group < unit && unit > 1 {
			continue
		}
		first = false
		dst = append(dst, byte('0'+group/unit%10))
	}
	return dst
}

// appendNumericBinary appends the binary format of a number in the text format
// that splitNumeric takes.
func appendNumericBinary(dst, text []byte) []byte {
	negative, whole, fraction, _ := splitNumeric(text)
	head := len(dst)
	dst = append(dst, make([]byte, numericHead)...)
	// The first group has what is over a multiple of four.
	lead := (4 - len(whole)%4) % 4
	weight := (len(whole)+lead)/4 - 1
	started, count, kept := false, 0, 0
	add := func(group int) {
		if group == 0 && !started {
			weight--
			return
		}
		started = true
		dst = binary.BigEndian.AppendUint16(dst, uint16(group)) //nolint:gosec // below 10000
		count++
		if group != 0 {
			kept = count
		}
	}
	group := 0
	for i, c := range whole {
		group = group*10 + int(c-'0')
		if (i+lead)%4 == 3 {
			add(group)
			group = 0
		}
	}
	for i := 0; i < len(fraction) || i%4 != 0; i++ {
		group *= 10
		if i < len(fraction) {
			group += int(fraction[i] - '0')
		}
		if i%4 == 3 {
			add(group)
			group = 0
		}
	}
	dst = dst[:head+numericHead+2*kept]
	sign := uint16(numericPositive)
	if kept == 0 {
		weight = 0
	} else if negative {
		sign = numericNegative
	}
	binary.BigEndian.PutUint16(dst[head:], uint16(kept))
	binary.BigEndian.PutUint16(dst[head+2:], uint16(weight)) //nolint:gosec // signed by definition
	binary.BigEndian.PutUint16(dst[head+4:], sign)
	binary.BigEndian.PutUint16(dst[head+6:], uint16(len(fraction))) //nolint:gosec // the value's own scale
	return dst
}
