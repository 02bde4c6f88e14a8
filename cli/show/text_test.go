// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// Nothing that others wrote draws on a terminal or passes for something else
// (checklist 37, 48).
func TestSafe(t *testing.T) {
	cases := map[string]struct{ reason, text, want string }{
		"Plain":     {"what is plain stays", "UPDATE orders SET a = 'é, ж, 漢'", "UPDATE orders SET a = 'é, ж, 漢'"},
		"Escape":    {"erasing the line is not done", "a\x1b[2Kb", `a\u{1b}[2Kb`},
		"Bidi":      {"text is not turned round", "a\u202eb\u2066c", `a\u{202e}b\u{2066}c`},
		"ZeroWidth": {"nothing is hidden between letters", "a\u200bb\ufeffc\u00add", `a\u{200b}b\u{feff}c\u{ad}d`},
		"Fillers":   {"blanks that are letters are no blanks", "a\u3164b\u2800c\u115fd\ufe0fe", `a\u{3164}b\u{2800}c\u{115f}d\u{fe0f}e`},
		"Tags":      {"tags are seen", "a\U000e0041b", `a\u{e0041}b`},
		"Spaces":    {"other spaces are no blanks", "a\u00a0b\u2028c\u3000d", `a\u{a0}b\u{2028}c\u{3000}d`},
		"C1":        {"the second set of controls counts", "a\u009bb\u0085c", `a\u{9b}b\u{85}c`},
		"NotUTF8":   {"bytes that are no text are seen", "a\xffb", `a\x{ff}b`},
		"Replaced":  {"the replacement character itself is one", "a\ufffdb", "a\ufffdb"},
		"LineFeed":  {"a line does not become two", "a\nb\rc\td", `a\u{a}b\u{d}c\u{9}d`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Safe(tc.text); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	got := Lines("SELECT 1;\r\n\tDELETE\rFROM a\x1b[2K\n\nDROP", "  | ")
	want := "  | SELECT 1;\n  |     DELETE\\u{d}FROM a\\u{1b}[2K\n  | \n  | DROP\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("every line is behind the prefix, so that none passes for one of the plugin's: -want +got\n%s", diff)
	}
}

func TestBounded(t *testing.T) {
	if got, want := Bounded("UPDATE\n  orders\tSET", 60), "UPDATE orders SET"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got := Bounded(strings.Repeat("é", 100)+"\u202e", 10)
	if want := strings.Repeat("é", 9) + "…"; got != want || utf8.RuneCountInString(got) != 10 {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLookAlikes(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		want         string
	}{
		"ASCII":    {"plain letters need no note", "SELECT * FROM accounts", ""},
		"Cyrillic": {"each letter is named once", "SELECT * FROM \u0430\u0430ccounts", `"а" (U+0430)`},
		"Many": {
			"a text in another language is not spelt", "абвгдежзик",
			`"а" (U+0430), "б" (U+0431), "в" (U+0432), "г" (U+0433), "д" (U+0434), "е" (U+0435), "ж" (U+0436), "з" (U+0437), and 2 more`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, LookAlikes(tc.text)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}
