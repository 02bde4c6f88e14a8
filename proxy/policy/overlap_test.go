// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// words are all up to a length over two letters.
func words(most int) []string {
	all, last := []string{""}, []string{""}
	for range most {
		var next []string
		for _, word := range last {
			next = append(next, word+"a", word+"b")
		}
		all, last = append(all, next...), next
	}
	return all
}

// TestOverlap: two globs overlap where one name matches both. Of two short ones, a
// short name does.
func TestOverlap(t *testing.T) {
	names := words(6)
	var globs []string
	for _, word := range words(3) {
		globs = append(globs, word)
		for i := 0; i <= len(word); i++ {
			globs = append(globs, word[:i]+"*"+word[i:])
			for j := i; j <= len(word); j++ {
				globs = append(globs, word[:i]+"*"+word[i:j]+"*"+word[j:])
			}
		}
	}
	for _, a := range globs {
		for _, b := range globs {
			want := false
			for _, name := range names {
				if policy.Match(a, name) && policy.Match(b, name) {
					want = true
					break
				}
			}
			if got := policy.Overlap(a, b); got != want {
				t.Fatalf("Overlap(%q, %q) = %t, want %t", a, b, got, want)
			}
		}
	}
}

func TestMaskTouches(t *testing.T) {
	email := policy.Mask{Fields: []string{"public.*.email"}}
	cases := map[string]struct {
		reason string
		mask   policy.Mask
		fields []string
		want   bool
	}{
		"Field":   {reason: "the very field", mask: email, fields: []string{"public.a.id", "public.a.email"}, want: true},
		"Other":   {reason: "other fields", mask: email, fields: []string{"public.a.id", "private.a.email"}},
		"All":     {reason: "all columns of a relation", mask: email, fields: []string{"public.a.*"}, want: true},
		"AllOf":   {reason: "of another schema", mask: email, fields: []string{"private.a.*"}},
		"None":    {reason: "an answer that shows nothing", mask: email, fields: []string{}},
		"Unknown": {reason: "nobody knows what it shows", mask: email, fields: nil, want: true},
		"Content": {reason: "any text may hold it", mask: policy.Mask{Detect: []string{"Email"}}, fields: []string{}, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.mask.Touches(tc.fields); got != tc.want {
				t.Errorf("%s: %v, %s: got %t", tc.reason, tc.mask.Fields, strings.Join(tc.fields, " "), got)
			}
		})
	}
}
