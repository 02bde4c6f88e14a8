// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"strings"
	"testing"
)

// TestCheckReason: checklist 37 and 38, nobody is sent a reason that deceives, or has no end.
func TestCheckReason(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, text string
		fails        string
	}{
		"Text":     {"a line of text", "INC-4711, größer", ""},
		"None":     {"others go by it", "", "no reason"},
		"Blank":    {"blanks say nothing", "  ", "no reason"},
		"Longest":  {"characters count, not bytes", strings.Repeat("é", 16), ""},
		"Long":     {"the API takes no more", strings.Repeat("é", 17), "more than 16 characters"},
		"Lines":    {"a second line could pass for another's", "a\nb", `--reason a\u{a}b`},
		"Override": {"text is not turned round", "a\u202eb", `--reason a\u{202e}b`},
		"C1":       {"the second set of controls draws on terminals, too", "a\u009b2Kb", `--reason a\u{9b}2Kb`},
		"NotUTF8":  {"bytes that are no text", "a\xff", `--reason a\x{ff}`},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckReason(tc.text, 16)
			if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.fails)
			}
		})
	}
}
