// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNote: checklist 37 and 48, an Event is made of whatever others wrote.
func TestNote(t *testing.T) {
	for name, tc := range map[string]struct{ reason, text, want string }{
		"Short":     {"what is harmless stays", "alice, größer", "by alice, größer"},
		"Escape":    {"a terminal would erase the line", "a\x1b[2K", `by a\u{1b}[2K`},
		"Override":  {"an override would turn the text round", "a\u202eb", `by a\u{202e}b`},
		"LineFeed":  {"a line of its own could look like ours", "a\nb", `by a\u{a}b`},
		"Long":      {"the API server takes no more", strings.Repeat("a", 4096), "by " + strings.Repeat("a", 1021)},
		"Wide":      {"no character is cut in the middle", strings.Repeat("注", 4096), "by " + strings.Repeat("注", 340)},
		"LongHides": {"what is made visible is longer", strings.Repeat("\u202e", 512), "by " + strings.Repeat(`\u{202e}`, 127) + `\u{20`},
		"NotUTF8":   {"bytes that are no text", strings.Repeat("\xbf", 4096), "by " + strings.Repeat(`\x{bf}`, 170) + `\`},
	} {
		t.Run(name, func(t *testing.T) {
			got := Note("by %s", tc.text)
			if got != tc.want || len(got) > 1024 || !utf8.ValidString(got) {
				t.Errorf("%s: %d bytes, got %q, want %q", tc.reason, len(got), got, tc.want)
			}
		})
	}
}
