// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestOriginal(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		lost         bool
	}{
		"Plain":     {reason: "most strings are as they were", text: "public.orders"},
		"Empty":     {reason: "also the empty one", text: ""},
		"Control":   {reason: "control characters come back", text: "a\x1b[1m\n\tb"},
		"Invisible": {reason: "those without a shape too", text: "a\u200bb\u202ec\U000e0041"},
		"Bytes":     {reason: "bytes that are no UTF-8 too", text: "a\xff\xfeb\xc3"},
		"Backslash": {reason: "what only looks so is told from it", text: `a\u{1b}\x{ff}\\u{5c}\`},
		"Unicode":   {reason: "letters are letters", text: "größe.日本"},
		"Cut":       {reason: "what was cut is lost", text: strings.Repeat("x", lineLimit+1), lost: true},
		"Secret":    {reason: "so is a secret", text: "password=hunter2", lost: true},
		"LooksCut":  {reason: "who names something so is not guessed at", text: "x [cut: 9 bytes in all]", lost: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var shown string
			if err := json.Unmarshal(appendLine(nil, tc.text), &shown); err != nil {
				t.Fatal(err)
			}
			got, ok := Original(shown)
			if ok == tc.lost || ok && got != tc.text {
				t.Errorf("%s: Original(%q) = %q, %t", tc.reason, shown, got, ok)
			}
		})
	}
	for _, text := range []string{`\u{zz}`, `\u{1b`, `\x{100}`, `\u{110000}`, `\u{}`} {
		if got, ok := Original(text); ok {
			t.Errorf("Original(%q) = %q, which no record holds", text, got)
		}
	}
}

// FuzzOriginal: what is made safe comes back, or is said to be lost.
func FuzzOriginal(f *testing.F) {
	f.Add("a\u200b\\u{1b}\xff")
	f.Fuzz(func(t *testing.T, text string) {
		var shown string
		if err := json.Unmarshal(appendLine(nil, text), &shown); err != nil {
			t.Fatal(err)
		}
		if got, ok := Original(shown); ok && got != text {
			t.Errorf("Original(%q) = %q, want %q", shown, got, text)
		}
	})
}
