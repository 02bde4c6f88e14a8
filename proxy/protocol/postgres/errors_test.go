// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/access"
)

// TestRefusalsDrawNothing: checklist 48, what others wrote is in a refusal's words as text that
// is all to be seen; its message is one line, its hint may be several.
func TestRefusalsDrawNothing(t *testing.T) {
	for name, tc := range map[string]struct{ reason, text, message, hint string }{
		"Escape":    {"a terminal obeys it", "a\x1b[2Kb", `a\u{1b}[2Kb`, `a\u{1b}[2Kb`},
		"Bidi":      {"what follows is shown backwards", "a\u202eb\u2066", `a\u{202e}b\u{2066}`, `a\u{202e}b\u{2066}`},
		"ZeroWidth": {"two names look the same", "al\u200bice", `al\u{200b}ice`, `al\u{200b}ice`},
		"C1":        {"CSI in one character", "a\u009bb", `a\u{9b}b`, `a\u{9b}b`},
		"Carriage":  {"what was said before is written over", "a\rb", "a b", `a\u{d}b`},
		"Lines":     {"a hint holds commands of several lines", "a\n\tb", "a  b", "a\n\tb"},
		"Legible":   {"names of people stay", "Żaneta 王", "Żaneta 王", "Żaneta 王"},
	} {
		t.Run(name, func(t *testing.T) {
			got := errorResponse("ERROR", &access.Refusal{Reason: access.ReasonProtocol, Code: stateInvalidParameter, Message: tc.text, Hint: tc.text})
			want := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: stateInvalidParameter, Message: tc.message, Hint: tc.hint, Detail: got.Detail}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestReportsDrawNothing: checklist 48, nor does what a target says draw, and the message stays
// one of the protocol; what is malformed is left to its reader.
func TestReportsDrawNothing(t *testing.T) {
	said := func(text string) []byte {
		return encode(nil, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "P0001", Message: text, Detail: text, Line: 3, UnknownFields: map[byte]string{'z': text}})
	}
	malformed := append(said("a\x1bb"), 'M', 'x')
	for name, tc := range map[string]struct {
		reason    string
		raw, want []byte
	}{
		"Plain":     {"nothing draws", said("a \n\tb"), said("a \n\tb")},
		"Legible":   {"names of people stay", said("Żaneta 王"), said("Żaneta 王")},
		"Escape":    {"a terminal obeys it", said("a\x1b[2Kb"), said(`a\u{1b}[2Kb`)},
		"Bidi":      {"what follows is shown backwards", said("a\u202eb"), said(`a\u{202e}b`)},
		"Malformed": {"a field has no end", malformed, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, visible(tc.raw)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
