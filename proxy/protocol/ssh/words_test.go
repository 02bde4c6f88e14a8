// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/access"
)

// TestSaid: a refusal draws nothing on a terminal (checklist 48), and its commands run as they
// stand there.
func TestSaid(t *testing.T) {
	long := strings.Repeat("a", 4*maxWords)
	for name, test := range map[string]struct {
		reason  string
		refusal access.Refusal
		want    string
	}{
		"Lines": {
			reason:  "what to do stands below what happened",
			refusal: access.Refusal{Message: "no", Hint: "run one\nor another"},
			want:    "Doorward: no\r\n  run one\r\n  or another\r\n",
		},
		"Drawing": {
			reason:  "a rule's message clears no screen, and begins no line",
			refusal: access.Refusal{Message: "a\x1b[2J\nb", Hint: "c\u202ed"},
			want:    "Doorward: a\\u{1b}[2J b\r\n  c\\u{202e}d\r\n",
		},
		"HereDocument": {
			reason:  "the line that ends a here-document has no margin",
			refusal: access.Refusal{Message: "no", Hint: "ask: cat <<'EOF'\n{}\nEOF\nor wait"},
			want:    "Doorward: no\r\n  ask: cat <<'EOF'\r\n{}\r\nEOF\r\n  or wait\r\n",
		},
		"Long": {
			reason:  "a command that was cut would be another one; a message that is long is cut",
			refusal: access.Refusal{Message: long, Hint: "run " + long},
			want:    "Doorward: " + long[:maxWords] + "...\r\n  run " + long + "\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := said(&test.refusal); got != test.want {
				t.Errorf("%s: said %q, want %q", test.reason, got, test.want)
			}
		})
	}
	pasted := strings.ReplaceAll(said(&access.Refusal{Hint: "cat <<'EOF'\n{}\nEOF\necho after"}), "\r\n", "\n")
	_, pasted, _ = strings.Cut(pasted, "\n")
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", pasted).CombinedOutput(); err != nil || string(out) != "{}\nafter\n" {
		t.Errorf("sh runs %q: %v: %q", pasted, err, out)
	}
}
