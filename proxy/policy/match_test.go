// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

func TestMatch(t *testing.T) {
	cases := map[string]struct {
		reason     string
		glob, name string
		want       bool
	}{
		"Equal":       {reason: "without a star a glob is its name", glob: "select", name: "select", want: true},
		"Case":        {reason: "letters have a case", glob: "select", name: "SELECT"},
		"Part":        {reason: "a part of a name is not the name", glob: "public.orders", name: "public.orders2"},
		"Star":        {reason: "a star is any run", glob: "*", name: "a.b\nc", want: true},
		"StarEmpty":   {reason: "also the empty run", glob: "*", name: "", want: true},
		"Prefix":      {reason: "the rest is free", glob: "public.*", name: "public.orders", want: true},
		"PrefixOther": {reason: "the beginning is not", glob: "public.*", name: "publicity.orders"},
		"Suffix":      {reason: "a name may begin with anything", glob: "*.email", name: "public.customers.email", want: true},
		"Overlap":     {reason: "one letter is not both ends", glob: "a*a", name: "a"},
		"OverlapTwo":  {reason: "two letters are", glob: "a*a", name: "aa", want: true},
		"Middle":      {reason: "parts come in order", glob: "a*b*c", name: "a-c-b"},
		"Backtrack":   {reason: "the last part is at the end", glob: "*ab*ab", name: "ab-ab-ab", want: true},
		"NoRegexp":    {reason: "no other character is special", glob: "a.c?[x]", name: "abcd[x]"},
		"Literal":     {reason: "it stands for itself", glob: "a.c?[x]*", name: "a.c?[x]y", want: true},
		"EmptyGlob":   {reason: "an empty glob is the empty name", glob: "", name: "x"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := policy.Match(tc.glob, tc.name); got != tc.want {
				t.Errorf("%s: Match(%q, %q) = %t, want %t", tc.reason, tc.glob, tc.name, got, tc.want)
			}
		})
	}
}

// FuzzMatch compares Match with an anchored regular expression.
func FuzzMatch(f *testing.F) {
	f.Add("a*b", "a-b")
	f.Add("*ab*ab", "abab")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, glob, name string) {
		// A regular expression takes every byte that is not UTF-8 for U+FFFD.
		if strings.ToValidUTF8(glob, "") != glob || strings.ContainsRune(glob, '\uFFFD') || len(glob) > 1000 {
			return
		}
		parts := strings.Split(glob, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(name)
		if got := policy.Match(glob, name); got != want {
			t.Errorf("Match(%q, %q) = %t, want %t", glob, name, got, want)
		}
	})
}
