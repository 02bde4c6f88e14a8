// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// cutMark is what a string that was cut has after its last byte, followed by its
// length in bytes and cutEnd.
const (
	cutMark = " [cut: "
	cutEnd  = " bytes in all]"
)

// Original reads back what a one-line string of a record was before it was made safe to
// show. It returns false where that is lost: the string was cut, or something in it was
// taken for a secret; also where a string merely looks so.
func Original(s string) (string, bool) {
	if strings.Contains(s, redacted) || strings.HasSuffix(s, cutEnd) && strings.Contains(s, cutMark) {
		return "", false
	}
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for ; at >= 0; at = strings.IndexByte(s, '\\') {
		out, s = append(out, s[:at]...), s[at:]
		if !looksVisible(s) {
			out, s = append(out, '\\'), s[1:]
			continue
		}
		digits, rest, closed := strings.Cut(s[len(`\u{`):], "}")
		value, err := strconv.ParseUint(digits, 16, 32)
		switch {
		case !closed || err != nil || value > utf8.MaxRune || s[1] == 'x' && value > 0xff:
			return "", false // no record was written so
		case s[1] == 'x':
			out = append(out, byte(value)) //nolint:gosec // at most 0xff
		default:
			out = utf8.AppendRune(out, rune(value))
		}
		s = rest
	}
	return string(append(out, s...)), true
}
