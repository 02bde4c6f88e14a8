// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"unicode"
	"unicode/utf8"
)

// redacted is what stands for a whole value. It says nothing of the value, not
// even its length.
const redacted = "[masked]"

const (
	star       = '*'
	zeroJoiner = '\u200d'
)

// appendKeepLast stars all but the last n characters. What would show half of
// the value or more is redacted whole, as is text that is not UTF-8, of which
// nobody can say what its characters are.
//
// A kept part does not begin inside a character: a combining mark, or what a
// joiner ties to a hidden one, is hidden too.
func appendKeepLast(dst, value []byte, n int) []byte {
	total := utf8.RuneCount(value)
	if n <= 0 || n >= total || total-n <= n || !utf8.Valid(value) {
		return append(dst, redacted...)
	}
	cut, kept := len(value), 0
	for kept < n {
		_, size := utf8.DecodeLastRune(value[:cut])
		cut -= size
		kept++
	}
	for cut < len(value) {
		before, _ := utf8.DecodeLastRune(value[:cut])
		first, size := utf8.DecodeRune(value[cut:])
		if before != zeroJoiner && !extends(first) {
			break
		}
		cut += size
		kept--
	}
	if kept == 0 {
		return append(dst, redacted...)
	}
	for range total - kept {
		dst = append(dst, star)
	}
	return append(dst, value[cut:]...)
}

// extends says whether a rune belongs to the character before it: combining
// marks with the variation selectors, joiners, and skin tones.
func extends(r rune) bool {
	return unicode.Is(unicode.M, r) || unicode.Is(unicode.Cf, r) || r >= 0x1F3FB && r <= 0x1F3FF
}
