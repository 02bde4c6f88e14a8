// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// FuzzOverlap compares overlap with trying all short names.
func FuzzOverlap(f *testing.F) {
	for _, seed := range [][2]string{{"a*", "*b"}, {"a", "a"}, {"*", ""}, {"ab*", "*ba"}, {"a*b", "b*a"}, {"**", "a*"}, {"", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 4 || len(b) > 4 || strings.Trim(a+b, "ab*") != "" {
			return
		}
		want := false
		var try func(name string)
		try = func(name string) {
			want = want || policy.Match(a, name) && policy.Match(b, name)
			if !want && len(name) < 8 {
				try(name + "a")
				try(name + "b")
			}
		}
		try("")
		if got := overlap(a, b); got != want {
			t.Errorf("overlap(%q, %q) = %t, want %t", a, b, got, want)
		}
	})
}
