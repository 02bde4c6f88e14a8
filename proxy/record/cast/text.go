// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"unicode/utf16"
	"unicode/utf8"
)

// decoder makes whole characters of bytes that come in pieces.
type decoder struct {
	// part is the beginning of a character.
	part []byte
	text []byte
}

// decode returns the characters that are complete; what it returns is good
// until the next call. What cannot become a character becomes U+FFFD.
func (d *decoder) decode(data []byte) []byte {
	d.text = append(append(d.text[:0], d.part...), data...)
	end := len(d.text)
	for n := 1; n < utf8.UTFMax && n <= end; n++ {
		if last := d.text[end-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				end -= n
			}
			break
		}
	}
	d.part = append(d.part[:0], d.text[end:]...)
	return whole(d.text[:end])
}

// rest is what will never be a character.
func (d *decoder) rest() []byte {
	rest := whole(d.part)
	d.part = nil
	return rest
}

// whole is text with U+FFFD for what is not UTF-8: one for each beginning of a
// character that does not go on as one, and for each other byte.
func whole(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	var out []byte
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		for n := min(utf8.UTFMax-1, len(text)); r == utf8.RuneError && size == 1 && n > 1; n-- {
			if !utf8.FullRune(text[:n]) {
				size = n
			}
		}
		out = utf8.AppendRune(out, r)
		text = text[size:]
	}
	return out
}

// appendText appends valid UTF-8 as the inside of a JSON string of printable ASCII.
func appendText(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r >= 0x20 && r < 0x7f:
			dst = append(dst, byte(r))
		default:
			var units [2]uint16
			for _, unit := range utf16.AppendRune(units[:0], r) {
				dst = append(dst, '\\', 'u', digits[unit>>12&15], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
			}
		}
	}
	return dst
}
