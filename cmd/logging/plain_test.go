// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestPlain: checklist 48, what others wrote draws nothing where a log is read in a terminal,
// makes no line of its own, and is in JSON what it was.
func TestPlain(t *testing.T) {
	for name, tc := range map[string]struct{ reason, text string }{
		"Escape":    {"a terminal obeys it", "a\x1b[2K\x1b]0;owned\ab"},
		"Bidi":      {"what follows is shown backwards", "a\u202eb\u2066c"},
		"ZeroWidth": {"two names look the same", "al\u200bice\ufeff"},
		"C1":        {"CSI in one byte", "a\u009b2Kb"},
		"Delete":    {"and DEL", "a\x7fb"},
		"NUL":       {"and NUL", "a\x00b"},
		"Tag":       {"beyond the first plane", "a\U000e0041b"},
		"Lines":     {"a line of somebody else's", "a\n{\"level\":\"info\",\"msg\":\"forged\"}\u2028b"},
		"Legible":   {"names of people stay", "Żaneta 王"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			for _, format := range []string{JSON, Text} {
				var out bytes.Buffer
				c := &Config{Format: format}
				c.Logger(&out).Error(errors.New(tc.text), "Cannot", "user", tc.text, "group", []string{tc.text})
				if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }); i >= 0 || !utf8.Valid(out.Bytes()) {
					t.Errorf("%s: %q", format, out.String())
				}
				for line := range strings.Lines(out.String()) {
					if strings.HasPrefix(line, `{"level":"info","msg":"forged"`) {
						t.Errorf("%s: a forged line: %q", format, out.String())
					}
				}
				if format == Text {
					continue
				}
				var got struct{ User string }
				if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.User != tc.text {
					t.Errorf("%q reads as %q: %v", out.String(), got.User, err)
				}
			}
		})
	}
}
