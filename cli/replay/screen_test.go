// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bufio"
	"strings"
	"testing"
)

// shown is what a terminal gets of a text, in pieces of some runes.
func shown(t *testing.T, text string, piece int) (string, int) {
	t.Helper()
	var b strings.Builder
	out := bufio.NewWriter(&b)
	s := newScreen(out)
	for runes := []rune(text); len(runes) > 0; {
		n := min(piece, len(runes))
		s.show(string(runes[:n]))
		runes = runes[n:]
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String(), s.leftOut
}

// TestScreen: checklist 37 and 48: what draws reaches the reader's terminal, and nothing that
// the terminal acts on otherwise, wherever the text is cut.
func TestScreen(t *testing.T) {
	cases := map[string]struct{ reason, text, want string }{
		"Text":           {"as it is", "$ ls\r\nä 日本 🙂\t\b", "$ ls\r\nä 日本 🙂\t\b"},
		"Colours":        {"how text looks", "\x1b[1;38;2;1;2;3mx\x1b[0m\x1b[4:3my", "\x1b[1;38;2;1;2;3mx\x1b[0m\x1b[4:3my"},
		"Cursor":         {"where text is", "\x1b[2J\x1b[10;20Hx\x1b[K\x1b[s\x1b[u\x1b7\x1b8\x1bM", "\x1b[2J\x1b[10;20Hx\x1b[K\x1b[s\x1b[u\x1b7\x1b8\x1bM"},
		"Lines":          {"line drawing", "\x1b(0qqq\x1b(B\x0e\x0f", "\x1b(0qqq\x1b(B\x0e\x0f"},
		"Alternate":      {"what editors do", "\x1b[?1049h\x1b[?25l", "\x1b[?1049h\x1b[?25l"},
		"Clipboard":      {"OSC 52", "a\x1b]52;c;cm0gLXJmIH4=\x07b", "ab"},
		"Title":          {"OSC 0, ended by ST", "a\x1b]0;title\x1b\\b", "ab"},
		"Link":           {"OSC 8", "\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\", "x"},
		"EightBit":       {"OSC as one character", "a\u009d52;c;AAAA\u009cb", "ab"},
		"EightBitQuery":  {"CSI as one character", "a\u009bcb", "ab"},
		"EightBitMove":   {"which draws too", "a\u009b2Jb", "a\x1b[2Jb"},
		"Device":         {"queries that a terminal answers", "a\x1b[c\x1b[>c\x1b[=c\x1b[6n\x1b[?6n\x1b[5n\x1bZ\x1b[x\x1b[?1$p\x1b[>q\x1b[21tb", "ab"},
		"Control":        {"device control strings", "a\x1bP$qm\x1b\\b\x1bP+q544e\x1b\\c", "abc"},
		"Program":        {"other strings", "a\x1b_Gq\x1b\\b\x1b^x\x1b\\c\x1bXx\x1b\\d", "abcd"},
		"Mouse":          {"modes of mouse, keys and pasting", "a\x1b[?1000h\x1b[?1004h\x1b[?2004h\x1b[>4;2m\x1b[>1u\x1b[?u\x1b=b", "ab"},
		"Mixed":          {"modes that draw, and others", "\x1b[?1049;1000h", "\x1b[?1049h"},
		"ScrollBack":     {"the reader's own scroll-back", "a\x1b[3Jb", "ab"},
		"ScrollBackToo":  {"the same, written otherwise", "a\x1b[03Jb\x1b[;3Jc\x1b[2;3Jd\x1b[1Je", "abcd\x1b[1Je"},
		"Reset":          {"the whole terminal", "a\x1bcb\x1b[!pc\x1b#8d", "abcd"},
		"Printer":        {"printing", "a\x1b[5ib\x1b[4ic", "abc"},
		"Repeat":         {"a letter a billion times", "a\x1b[999999999bb", "ab"},
		"Bidi":           {"text that shows in another order", "a\u202eb\u2066c", "abc"},
		"Bell":           {"noise", "a\x07\x00\x7fb", "ab"},
		"Interrupted":    {"one sequence within another", "a\x1b[12\x1b]0;x\x07b", "ab"},
		"StringInString": {"a string that another begins in", "a\x1b]0;x\x1b]52;c;y\x07b", "ab"},
		"CutByEscape":    {"what draws behind a string that does not end", "a\x1b]0;x\x1b[1mb", "a\x1b[1mb"},
		"Charset":        {"no character set that draws", "a\x1b(\x1b]0;x\x07b", "ab"},
		"Endless":        {"a string that never ends hides nothing for long", "\x1b]0;" + strings.Repeat("x", maxString+1) + "seen", "seen"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 1 << 20} {
				got, _ := shown(t, tc.text, piece)
				if name == "Endless" {
					if !strings.HasSuffix(got, "seen") {
						t.Errorf("%s: it is hidden", tc.reason)
					}
					continue
				}
				if got != tc.want {
					t.Errorf("%s: in pieces of %d: %q, want %q", tc.reason, piece, got, tc.want)
				}
			}
		})
	}
}

// FuzzScreen: whatever is recorded, every ESC that comes out begins something that draws.
func FuzzScreen(f *testing.F) {
	f.Add("\x1b]52;c;x\x07\x1b[?1049h\x1b(0")
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := shown(t, text, 1<<20)
		for i, part := range strings.Split(got, "\x1b") {
			if i == 0 {
				continue
			}
			if part == "" || !strings.ContainsRune("[()78DEM", rune(part[0])) {
				t.Fatalf("%q comes out of %q", got, text)
			}
			if part[0] == '[' {
				end := strings.IndexFunc(part[1:], func(r rune) bool { return r >= 0x40 })
				if end < 0 || !strings.ContainsRune(moves+"hlsu", rune(part[1+end])) {
					t.Fatalf("%q comes out of %q", got, text)
				}
			}
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r >= 0x80 && r < 0xa0 || r == 0x07 }) {
			t.Fatalf("%q comes out of %q", got, text)
		}
	})
}
