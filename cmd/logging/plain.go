// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// plain writes what a logger does, with whatever draws on a terminal, turns text round or
// shows nothing as \uXXXX: callers, issuers and targets write part of what is logged, and
// people read logs with cat. In JSON the escape means the character itself (RFC 8259,
// section 7).
type plain struct{ out io.Writer }

// Write takes one or several whole lines.
func (p plain) Write(lines []byte) (int, error) {
	shown := lines
	if bytes.IndexFunc(lines, deceives) >= 0 || !utf8.Valid(lines) {
		shown = make([]byte, 0, len(lines)+len(lines)/4)
		for _, r := range string(lines) { // what is no UTF-8 is U+FFFD
			if !deceives(r) {
				shown = utf8.AppendRune(shown, r)
				continue
			}
			for _, unit := range utf16.Encode([]rune{r}) {
				shown = fmt.Appendf(shown, `\u%04x`, unit)
			}
		}
	}
	if _, err := p.out.Write(shown); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// deceives says whether a character is neither seen nor white space of the log's own.
func deceives(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
