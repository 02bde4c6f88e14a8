// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"slices"
	"strings"
	"testing"
)

// TestTyping: what keys make of lines, however they are cut into chunks.
func TestTyping(t *testing.T) {
	for name, test := range map[string]struct {
		reason, keys string
		bare         bool // no terminal
		want         []string
	}{
		"Enter":         {reason: "either ends a line", keys: "id\rwhoami\nps", want: []string{"id", "whoami"}},
		"Blank":         {reason: "there is nothing to read", keys: "\r  \r\r\n"},
		"Backspace":     {reason: "either takes a character away", keys: "iid\x08\x7f\x7fd\r", want: []string{"d"}},
		"Characters":    {reason: "of any width", keys: "ä\u20ac\x7f\x7f\x7fid\r", want: []string{"id"}},
		"Word":          {reason: "with the blanks behind it", keys: "rm -rf /a/b  \x17\x17id\r", want: []string{"rm id"}},
		"AllWords":      {reason: "until nothing is left", keys: "a b\x17\x17\x17id\r", want: []string{"id"}},
		"Kill":          {reason: "all goes", keys: "reboot\x15id\r", want: []string{"id"}},
		"Interrupt":     {reason: "the line is given up", keys: "reboot\x03id\r", want: []string{"id"}},
		"Redraw":        {reason: "the line stays", keys: "i\x0cd\r", want: []string{"id"}},
		"EndOfInput":    {reason: "what reads the terminal ends, and the shell reads on", keys: "\x04\x1aid\r", want: []string{"id"}},
		"EndInALine":    {reason: "shells and terminals take it differently", keys: "reboot\x04\rid\r", want: []string{"id"}},
		"Completion":    {reason: "the shell knows what it became", keys: "reb\tnow\rid\r", want: []string{"id"}},
		"History":       {reason: "the shell knows which it was", keys: "\x1b[A\rid\r", want: []string{"id"}},
		"Cursor":        {reason: "what comes is put elsewhere", keys: "oot\x1b[Dreb\rid\r", want: []string{"id"}},
		"Search":        {reason: "the shell knows what it found", keys: "\x12reb\rid\r", want: []string{"id"}},
		"LostIsKilled":  {reason: "nobody knows where the cursor was", keys: "\x1b[A\x15reboot\rid\r", want: []string{"id"}},
		"LostIsGivenUp": {reason: "the next line is known", keys: "\x1b[A\x03id\r", want: []string{"id"}},
		"Escape":        {reason: "a key of its own", keys: "\x1b\rid\r", want: []string{"id"}},
		"Quoted":        {reason: "the key behind it is none", keys: "\x16\x15reboot\rid\r", want: []string{"id"}},
		"Paste":         {reason: "it is part of the line", keys: "sudo \x1b[200~reb\x1b[201~oot\r", want: []string{"sudo reboot"}},
		"PasteOfLines":  {reason: "none runs before Enter", keys: "\x1b[200~a\rb\tc\n\x1b[201~\r", want: []string{"a\nb\tc"}},
		"PasteGivenUp":  {reason: "none ran", keys: "\x1b[200~reboot\r\x1b[201~\x03id\r", want: []string{"id"}},
		"NearlyPaste":   {reason: "another key", keys: "\x1b[200xreboot\rid\r", want: []string{"id"}},
		"Long":          {reason: "it is not kept", keys: strings.Repeat("x", maxTyped+1) + "\x15reboot\rid\r", want: []string{"id"}},
		"NotTooLong":    {reason: "it fits", keys: strings.Repeat("x", maxTyped) + "\r", want: []string{strings.Repeat("x", maxTyped)}},
		"Bare":          {reason: "there are no keys without a terminal", bare: true, keys: "a\tb\x1b[A\x7f\rc\nid\n", want: []string{"a\tb\x1b[A\x7f\rc", "id"}},
	} {
		t.Run(name, func(t *testing.T) {
			for size := range len(test.keys) {
				typing := typing{terminal: !test.bare}
				var got []string
				for chunk := range slices.Chunk([]byte(test.keys), size+1) {
					got = slices.AppendSeq(got, typing.lines(chunk))
				}
				if !slices.Equal(got, test.want) {
					t.Fatalf("%s: chunks of %d: %q, want %q", test.reason, size+1, got, test.want)
				}
				if cap(typing.line) > 2*maxTyped {
					t.Fatalf("%s: %d bytes are kept", test.reason, cap(typing.line))
				}
			}
		})
	}
}

// TestKeysElsewhere: keys that an editor takes, a paste among them, leave nothing behind.
func TestKeysElsewhere(t *testing.T) {
	d := &detector{typing: typing{terminal: true}}
	var got []string
	for _, step := range []struct {
		alternate bool
		keys      string
	}{{false, "vi"}, {true, "\x1b[A reboot\r"}, {false, "id\r\x1b[200~a"}, {true, "\x1b[201~b\r"}, {false, "ps\r"}} {
		d.screen.alternate.Store(step.alternate)
		got = append(got, d.lines([]byte(step.keys))...)
	}
	if want := []string{"id", "ps"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestScreen: the alternate screen is seen however it is cut into chunks.
func TestScreen(t *testing.T) {
	for shown, want := range map[string]bool{
		"plain":                              false,
		"\x1b[?1049h":                        true,
		"a\x1b[?1049h\x1b[22;0;0tb":          true,
		"\x1b[?1049h text \x1b[?1049l":       false,
		"\x1b[?1049\x1b[?1049h":              true,
		"\x1b\x1b[?1049h":                    true,
		"\x1b[?1049x":                        false,
		"\x1b[?2004h":                        false,
		"\x1b[?1049h\x1b[?1049l\x1b[?1049hx": true,
	} {
		for size := range len(shown) {
			var s screen
			for chunk := range slices.Chunk([]byte(shown), size+1) {
				if n, err := s.Write(chunk); n != len(chunk) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got := s.alternate.Load(); got != want {
				t.Errorf("%q in chunks of %d: %t", shown, size+1, got)
			}
		}
	}
}
