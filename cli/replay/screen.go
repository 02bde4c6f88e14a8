// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bufio"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxSequence bounds a control sequence, maxString what is passed over as the string of
	// one: what opens a string and never ends it must not hide what comes after.
	maxSequence = 64
	maxString   = 4096
)

// moves are the final bytes of control sequences (ECMA-48, section 8.3) that draw: they move
// the cursor, erase, insert, delete, scroll, and choose how text looks.
const moves = "@ABCDEFGHJKLMPSTXZ`adefmr"

// modes are the private modes that draw: wrapping, a blinking or visible cursor, and the
// alternate screen (xterm, "Private modes").
var modes = []string{"7", "12", "25", "47", "1047", "1048", "1049"}

// screen passes on to a terminal what draws, and nothing else of what a recorded terminal was
// sent: nothing that a terminal answers, that reaches its clipboard, title, printer, keyboard
// or mouse, or that is no standard. The target wrote it, and an auditor's terminal must not
// act on it. What is not known to draw is left out.
type screen struct {
	out     *bufio.Writer
	state   func(*screen, rune)
	pending strings.Builder
	length  int
	// alternate and region are to be undone at the end.
	alternate, region bool
	// leftOut counts what was not passed on.
	leftOut int
}

func newScreen(out *bufio.Writer) *screen { return &screen{out: out, state: (*screen).ground} }

// show passes on text. Sequences may be cut anywhere between two calls.
func (s *screen) show(text string) {
	for _, r := range text {
		s.state(s, r)
	}
}

// end makes the terminal as it was.
func (s *screen) end() {
	if s.alternate {
		write(s.out, "\x1b[?1049l")
	}
	if s.region {
		write(s.out, "\x1b7\x1b[r\x1b8") // it moves the cursor
	}
	write(s.out, "\x0f\x1b(B\x1b[0m\x1b[?7h\x1b[?25h\r\n")
}

func (s *screen) drop() {
	s.leftOut++
	s.state = (*screen).ground
}

func (s *screen) pass(text string) {
	write(s.out, text)
	s.state = (*screen).ground
}

func (s *screen) ground(r rune) {
	switch {
	case r == 0x1b:
		s.state = (*screen).escape
	case r == 0x9b:
		s.begin((*screen).control)
	case r == 0x90, r == 0x98, r >= 0x9d && r <= 0x9f:
		s.begin((*screen).text)
	case r == '\b', r == '\t', r == '\n', r == '\r', r == 0x0e, r == 0x0f:
		write(s.out, string(r))
	case r == 0, r == 0x07: // padding, and the bell
	case r < ' ', r >= 0x7f && r < 0xa0, unicode.Is(unicode.Bidi_Control, r):
		s.leftOut++
	default:
		write(s.out, string(r))
	}
}

func (s *screen) begin(state func(*screen, rune)) {
	s.pending.Reset()
	s.length, s.state = 0, state
}

// escape is behind an ESC.
func (s *screen) escape(r rune) {
	switch r {
	case '[':
		s.begin((*screen).control)
	case ']', 'P', 'X', '^', '_':
		s.begin((*screen).text)
	case '(', ')':
		s.begin(nil)
		s.state = func(s *screen, set rune) { s.charset(r, set) }
	case '7', '8', 'D', 'E', 'M':
		s.pass("\x1b" + string(r))
	case 0x1b:
		s.leftOut++
	case ' ', '!', '"', '#', '$', '%', '&', '\'', '*', '+', ',', '-', '.', '/':
		s.begin((*screen).other)
	default:
		s.drop()
	}
}

// charset takes ASCII, British and the lines of the DEC terminals.
func (s *screen) charset(which, set rune) {
	switch set {
	case '0', 'A', 'B':
		s.pass("\x1b" + string(which) + string(set))
	case 0x1b:
		s.drop()
		s.state = (*screen).escape
	default:
		s.drop()
	}
}

// other is a sequence that never draws, up to its final byte.
func (s *screen) other(r rune) {
	s.length++
	if r >= 0x30 || r < ' ' || s.length > maxSequence {
		s.drop()
	}
	if r == 0x1b {
		s.state = (*screen).escape
	}
}

// text is the string of an operating system command, device control string or the like.
func (s *screen) text(r rune) {
	s.length++
	switch {
	case r == 0x07, r == 0x9c, r == 0x18, r == 0x1a, s.length > maxString:
		s.drop()
	case r == 0x1b:
		s.state = func(s *screen, r rune) {
			s.drop()
			if r != '\\' {
				s.escape(r)
			}
		}
	}
}

// control is a control sequence, up to its final byte.
func (s *screen) control(r rune) {
	switch {
	case r == 0x1b:
		s.drop()
		s.state = (*screen).escape
	case r >= 0x20 && r <= 0x3f && s.pending.Len() < maxSequence:
		s.pending.WriteRune(r)
	case r >= 0x40 && r <= 0x7e:
		s.finish(s.pending.String(), r)
	default:
		s.drop()
	}
}

func (s *screen) finish(parameters string, final rune) {
	if private, is := strings.CutPrefix(parameters, "?"); is {
		s.mode(private, final)
		return
	}
	plain := strings.Trim(parameters, "0123456789;:") == ""
	many := strings.ContainsAny(parameters, ";:")
	switch {
	case plain && (final == 's' || final == 'u') && parameters == "": // save and restore
	case !plain, !strings.ContainsRune(moves, final):
		s.drop()
		return
	case final == 'J' && strings.Contains(parameters, "3"), final == 'T' && many: // the scroll-back, also as 03; a mode of the mouse
		s.drop()
		return
	}
	s.region = s.region || final == 'r'
	s.pass("\x1b[" + parameters + string(final))
}

func (s *screen) mode(parameters string, final rune) {
	if final != 'h' && final != 'l' {
		s.drop()
		return
	}
	var kept []string
	for mode := range strings.SplitSeq(parameters, ";") {
		if !slices.Contains(modes, mode) {
			s.leftOut++
			continue
		}
		if kept = append(kept, mode); mode == "47" || mode == "1047" || mode == "1049" {
			s.alternate = final == 'h'
		}
	}
	s.state = (*screen).ground
	if len(kept) > 0 {
		s.pass("\x1b[?" + strings.Join(kept, ";") + string(final))
	}
}
