// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxTyped bounds a line that is typed, in bytes.
const maxTyped = 4 << 10

// The keys that edit a line, as terminals and GNU Readline have them.
const (
	keyInterrupt = 0x03 // ^C
	keyEnd       = 0x04 // ^D
	keyBackspace = 0x08 // ^H
	keyRedraw    = 0x0c // ^L
	keyKill      = 0x15 // ^U
	keyWord      = 0x17 // ^W
	keySuspend   = 0x1a // ^Z
	keyEscape    = 0x1b
	keyDelete    = 0x7f // what backspace sends
)

// What terminals send around what is pasted, where programs ask for it (XTerm Control Sequences,
// Bracketed Paste Mode).
const (
	pasteBegins = "\x1b[200~"
	pasteEnds   = "\x1b[201~"
)

// typing makes lines of what is typed, as far as the keys tell. What any other key has made of
// a line, such as one that moves, completes or looks in the history, the shell alone knows: such
// a line is lost, and so is a long one.
type typing struct {
	// terminal says that there are keys; else there are line feeds only.
	terminal bool

	line []byte
	lost bool
	// pasting says that line feeds do not end a line, which what is pasted may have several of.
	pasting bool
	// mark is the beginning of what may be a mark of a paste.
	mark []byte
}

// lines are those that a chunk ends, but for blank and lost ones.
func (t *typing) lines(chunk []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, key := range chunk {
			if line := t.take(key); line != "" && !yield(line) {
				return
			}
		}
	}
}

// take takes one byte, and returns the line that it ends, if it does.
func (t *typing) take(key byte) (line string) {
	if t.terminal && t.marks(key) {
		return ""
	}
	switch {
	case (key == '\n' || key == '\r' && t.terminal) && !t.pasting:
		if !t.lost {
			line = string(bytes.TrimSpace(t.line))
		}
		t.begin()
	case !t.terminal, t.pasting, key >= ' ' && key != keyDelete:
		t.add(key)
	case key == keyInterrupt:
		t.begin()
	case key == keyRedraw, len(t.line) == 0 && (key == keyEnd || key == keySuspend):
		// The line stays as it is. What reads the terminal may end, and the shell read on.
	case key == keyBackspace, key == keyDelete:
		_, size := utf8.DecodeLastRune(t.line)
		t.line = t.line[:len(t.line)-size]
	case key == keyWord:
		rest := bytes.TrimRight(t.line, " ")
		t.line = rest[:bytes.LastIndexByte(rest, ' ')+1]
	case key == keyKill:
		t.line = t.line[:0]
	default:
		t.lose()
	}
	return line
}

// begin forgets the line, so that the next one is known.
func (t *typing) begin() { t.line, t.lost = t.line[:0], false }

func (t *typing) lose() { t.line, t.lost = t.line[:0], true }

func (t *typing) add(key byte) {
	switch {
	case t.lost:
	case len(t.line) == maxTyped:
		t.lose()
	default:
		if key == '\r' && t.pasting { // as terminals send the line feeds of what is pasted
			key = '\n'
		}
		t.line = append(t.line, key)
	}
}

// marks says whether a byte belongs to a mark of a paste, as far as it has come.
func (t *typing) marks(key byte) bool {
	if key != keyEscape && len(t.mark) == 0 {
		return false
	}
	t.mark = append(t.mark, key)
	switch mark := string(t.mark); {
	case mark == pasteBegins, mark == pasteEnds:
		t.pasting, t.mark = mark == pasteBegins, t.mark[:0]
	case strings.HasPrefix(pasteBegins, mark), strings.HasPrefix(pasteEnds, mark):
	default: // another key, of which this byte may be none
		t.mark = t.mark[:0]
		t.lose()
		return false
	}
	return true
}
