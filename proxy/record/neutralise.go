// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"strconv"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// StatementLimit is the number of bytes of a statement that a record shows.
const StatementLimit = 16 << 10

// ResponseLimit is the number of bytes of an answer that a record shows.
const ResponseLimit = 64 << 10

// lineLimit is the number of bytes shown of everything else.
const lineLimit = 4 << 10

// plain holds the bytes that stand for themselves in any string.
var plain = func() (p [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		p[c] = c != '"' && c != '\\'
	}
	return p
}()

// look holds the bytes at which simple must look closer: those that do not
// stand for themselves, and those that markers of secrets begin with.
var look = func() (l [256]bool) {
	for c := range l {
		l[c] = !plain[c] || markers[c][0] != 0
	}
	return l
}()

// simple says whether s shows as it is: nothing to escape and no secret. Most
// strings are, and one pass over them is enough to know.
func simple(s string) bool {
	for i := range len(s) {
		if !look[s[i]] {
			continue
		}
		if !plain[s[i]] {
			return false
		}
		if marked(s, i) {
			if from, to := secretAt(s, i); to > from {
				return false
			}
		}
	}
	return true
}

// appendSimple appends what simple says yes to as a JSON string.
func appendSimple(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// appendString appends s as a JSON string. Where lines is true, line feeds, CR
// LF pairs and tabs belong to the text and stay.
//
// What could deceive a reader of the decoded string is made visible: control
// characters, bidirectional and other invisible characters become \u{hex},
// bytes that are not UTF-8 become \x{hex}. A backslash that would make plain
// text look like one of these becomes \u{5c}, so that the form is unambiguous.
func appendString(dst []byte, s string, lines bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			invalid := r == utf8.RuneError && size == 1
			if invalid || hidden(r) {
				dst = append(dst, s[start:i]...)
				if invalid {
					dst = appendVisible(dst, 'x', rune(c))
				} else {
					dst = appendVisible(dst, 'u', r)
				}
				start = i + size
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch {
		case c == '"':
			dst = append(dst, '\\', '"')
		case c == '\\' && looksVisible(s[i:]):
			dst = appendVisible(dst, 'u', '\\')
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case lines && c == '\n':
			dst = append(dst, '\\', 'n')
		case lines && c == '\t':
			dst = append(dst, '\\', 't')
		case lines && c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			dst = append(dst, '\\', 'r')
		default:
			dst = appendVisible(dst, 'u', rune(c))
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendVisible appends \u{hex} or \x{hex}, its backslash escaped for JSON.
func appendVisible(dst []byte, kind byte, value rune) []byte {
	dst = append(dst, '\\', '\\', kind, '{')
	dst = strconv.AppendInt(dst, int64(value), 16)
	return append(dst, '}')
}

// looksVisible says whether s begins like something appendVisible made.
func looksVisible(s string) bool {
	return len(s) > 2 && (s[1] == 'u' || s[1] == 'x') && s[2] == '{'
}

// wholeRunes is the greatest n <= limit at which s can be cut between runes.
func wholeRunes(s string, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	for n := limit; n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return n
		}
	}
	return limit // not UTF-8: anywhere
}

// Deceives says whether a character shows nothing, or changes how its neighbours show,
// where a text is shown to people: what is not graphic, every space but the blank, and
// what records neutralise.
func Deceives(r rune) bool {
	switch {
	case r == ' ':
		return false
	case r < utf8.RuneSelf:
		return r < ' ' || r == 0x7f
	}
	return hidden(r) || !unicode.IsGraphic(r) || unicode.IsSpace(r)
}

// hidden says whether a character beyond ASCII shows nothing or changes how
// its neighbours show: Unicode categories Cc, Cf (bidi, zero width, tags), Zl
// and Zp, and the blank fillers and variation selectors outside of them.
func hidden(r rune) bool {
	switch {
	case r < 0xa0:
		return true
	case r < 0x34f:
		return r == 0xad
	case r == 0x34f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r == 0x2800, r == 0x3164, r == 0xffa0:
		return true
	case r >= 0x180b && r <= 0x180f, r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// appendExact appends s as a JSON string that decodes to s itself where s is
// valid UTF-8: what could deceive a reader of the line is escaped, nothing is
// rewritten. It is for what programs read back, never for what callers sent.
func appendExact(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for s != "" {
		// Most of a recording comes in runs that nothing is done to.
		run := 0
		for run < len(s) && s[run] >= ' ' && s[run] < 0x7f && s[run] != '"' && s[run] != '\\' {
			run++
		}
		dst = append(dst, s[:run]...)
		if s = s[run:]; s == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r < 0x20 || r == 0x7f || r >= utf8.RuneSelf && hidden(r):
			for _, unit := range utf16.Encode([]rune{r}) {
				dst = append(dst, '\\', 'u', digits[unit>>12&15], digits[unit>>8&15], digits[unit>>4&15], digits[unit&15])
			}
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
