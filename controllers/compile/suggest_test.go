// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import "testing"

// TestDidYouMean: what is near is suggested, what is not is not; of two that are as near the
// first is, so that the message is the same each time.
func TestDidYouMean(t *testing.T) {
	words := []string{"call", "delete", "insert", "select", "update"}
	for name, tc := range map[string]struct {
		reason, written, want string
		names                 []string
	}{
		"Swapped":   {"two letters", "updaet", ` (did you mean "update"?)`, words},
		"Missing":   {"a letter less", "delte", ` (did you mean "delete"?)`, words},
		"More":      {"a letter more", "selectt", ` (did you mean "select"?)`, words},
		"Case":      {"only the case", "SELECT", ` (did you mean "select"?)`, words},
		"Far":       {"nothing is near", "truncate-everything", "", words},
		"Short":     {"half of it is another word", "xy", "", words},
		"NoNames":   {"there is nothing", "select", "", nil},
		"Nothing":   {"nothing was written", "", "", words},
		"FirstOf":   {"both are one letter away", "cat", ` (did you mean "bat"?)`, []string{"bat", "hat"}},
		"Multibyte": {"bytes are compared, and that is enough", "straße", ` (did you mean "strasse"?)`, []string{"strasse"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := didYouMean(tc.written, tc.names); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
