// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestNeutralise is checklist 48: newline, ANSI, NUL in user, statement, reason.
func TestNeutralise(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		line   string
		text   string
	}{
		"Plain":        {reason: "ordinary text stays", in: `select "a\b" from t`, line: `select "a\b" from t`, text: `select "a\b" from t`},
		"Umlauts":      {reason: "letters of any script stay", in: "Größe 価格 цена 🙂", line: "Größe 価格 цена 🙂", text: "Größe 価格 цена 🙂"},
		"Newline":      {reason: "a name must not forge a line", in: "a\nb\tc", line: `a\u{a}b\u{9}c`, text: "a\nb\tc"},
		"CRLF":         {reason: "a line end of two characters is one", in: "a\r\nb", line: `a\u{d}\u{a}b`, text: "a\r\nb"},
		"CR":           {reason: "a lone CR overwrites the line", in: "a\rb", line: `a\u{d}b`, text: `a\u{d}b`},
		"ANSI":         {reason: "escape sequences rewrite the terminal", in: "a\x1b[2Kb", line: `a\u{1b}[2Kb`, text: `a\u{1b}[2Kb`},
		"NUL":          {reason: "NUL ends strings elsewhere", in: "a\x00b", line: `a\u{0}b`, text: `a\u{0}b`},
		"DEL":          {reason: "DEL is a control character", in: "a\x7fb", line: `a\u{7f}b`, text: `a\u{7f}b`},
		"C1":           {reason: "C1 holds an 8-bit CSI", in: "a\u009b2Kb", line: `a\u{9b}2Kb`, text: `a\u{9b}2Kb`},
		"Bidi":         {reason: "an override turns the text round", in: "a\u202eb\u2066c", line: `a\u{202e}b\u{2066}c`, text: `a\u{202e}b\u{2066}c`},
		"ZeroWidth":    {reason: "equal looks must be equal names", in: "a\u200bb\ufeffc\u00add", line: `a\u{200b}b\u{feff}c\u{ad}d`, text: `a\u{200b}b\u{feff}c\u{ad}d`},
		"Tags":         {reason: "tag characters carry hidden text", in: "a\U000e0041b", line: `a\u{e0041}b`, text: `a\u{e0041}b`},
		"LineSep":      {reason: "U+2028 is a line end to some", in: "a\u2028b", line: `a\u{2028}b`, text: `a\u{2028}b`},
		"Filler":       {reason: "blank letters hide", in: "a\u3164b", line: `a\u{3164}b`, text: `a\u{3164}b`},
		"InvalidUTF8":  {reason: "bytes that are no text are shown as bytes", in: "a\xffb\xc3", line: `a\x{ff}b\x{c3}`, text: `a\x{ff}b\x{c3}`},
		"LooksVisible": {reason: "plain text must not pass for a mark", in: `a\u{1b}\x{ff}\y`, line: `a\u{5c}u{1b}\u{5c}x{ff}\y`, text: `a\u{5c}u{1b}\u{5c}x{ff}\y`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d, err := Decode(encode(Event{
				Type: SessionStart, Reason: tc.in,
				Operation:  &Operation{Statement: tc.in, Digest: "x"},
				Attributes: []Attribute{{Name: tc.in, Value: tc.in}},
			}))
			if err != nil {
				t.Fatal(err)
			}
			got := []string{d.Reason, d.Attributes[0].Name, d.Attributes[0].Value, d.Operation.Statement}
			if diff := cmp.Diff([]string{tc.line, tc.line, tc.line, tc.text}, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLongLineIsCut(t *testing.T) {
	d, err := Decode(encode(Event{Type: SessionEnd, Reason: strings.Repeat("é", 5000)}))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", 2048) + " [cut: 10000 bytes in all]"; d.Reason != want {
		t.Errorf("reason of %d bytes ends in %q", len(d.Reason), d.Reason[len(d.Reason)-40:])
	}
}

// FuzzNeutralise holds for any string: the record is one line of printable
// JSON, it decodes, and different strings stay different.
func FuzzNeutralise(f *testing.F) {
	f.Add("a\x1b[2K\n\u202e\xff\\u{1b}", "b")
	f.Add("\\", "\\u{5c}")
	f.Add("\r\n", "\r")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, lines := range []bool{false, true} {
			x, y := appendString(nil, a, lines), appendString(nil, b, lines)
			if (a == b) != (string(x) == string(y)) {
				t.Errorf("%q and %q become %s and %s", a, b, x, y)
			}
			var s string
			if err := json.Unmarshal(x, &s); err != nil {
				t.Fatalf("%s: %v", x, err)
			}
			for i, r := range s {
				if r == utf8.RuneError && !strings.Contains(a, "\ufffd") || hidden(r) && r >= 0x80 || r < 0x20 && !lines || r == 0x7f || r == 0x1b {
					t.Errorf("%q at %d of %q", r, i, s)
				}
			}
			for _, c := range x {
				if c < 0x20 || c == 0x7f {
					t.Errorf("byte %#x in %q", c, x)
				}
			}
		}
	})
}
