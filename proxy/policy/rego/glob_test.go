// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"github.com/doorward/doorward/proxy/policy"
)

// matcher asks the library's own rules whether a glob matches a name.
func matcher(tb testing.TB) func(tb testing.TB, glob, name string) bool {
	tb.Helper()
	query, err := oparego.New(
		oparego.Query("data.doorward.matches(input.globs, input.name)"),
		oparego.Module("library.rego", library),
		oparego.Capabilities(capabilities()),
		oparego.StrictBuiltinErrors(true),
	).PrepareForEval(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return func(tb testing.TB, glob, name string) bool {
		tb.Helper()
		input := ast.NewObject(ast.Item(ast.StringTerm("globs"), globsTerm([]string{glob})), ast.Item(ast.StringTerm("name"), ast.StringTerm(name)))
		results, err := query.Eval(tb.Context(), oparego.EvalParsedInput(input))
		if err != nil {
			tb.Fatalf("glob %q, name %q: %v", glob, name, err)
		}
		return results.Allowed()
	}
}

// FuzzGlob: the library and policy.Match agree on every glob the engine takes.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""},
		{"*", ""},
		{"a*", "a"},
		{"a*a", "a"},
		{"a*a", "aa"},
		{"*.orders", "public.orders"},
		{"a**b", "ab"},
		{"public.*.x", "public.a\nb.x"},
		{"[a-z]*", "[a-z]"},
		{"a.c*d", "abcd"},
		{`\Q*\E`, `\Qx\E`},
		{"é*é", "é\xffé"},
		{"*x*", "\xff\xfe"},
		{"a*b*c", "a-b-b-c"},
		{"*ab*ab", "abab"},
		{"*ab*ab", "ab"},
		{"**", "x"},
		{"(?i)A*", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	matches := matcher(f)
	f.Fuzz(func(t *testing.T, glob, name string) {
		if policy.CheckGlob(glob) != nil {
			return
		}
		if got, want := matches(t, glob, name), policy.Match(glob, name); got != want {
			t.Errorf("glob %q, name %q: library says %t, policy.Match %t", glob, name, got, want)
		}
	})
}

// TestGlobEquivalence tries short globs over few letters, where near misses
// are common, beside those that the fuzzer finds.
func TestGlobEquivalence(t *testing.T) {
	matches := matcher(t)
	random := rand.New(rand.NewPCG(1, 2))
	word := func(letters string, length int) string {
		var b strings.Builder
		for range random.IntN(length + 1) {
			b.WriteByte(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	agreed := map[bool]int{}
	for range 8000 {
		// The two bytes of one letter, apart and together, beside plain ones.
		glob, name := word("ab.**\xc3\xa9", 6), word("ab.\n\xc3\xa9", 7)
		if policy.CheckGlob(glob) != nil {
			continue
		}
		got, want := matches(t, glob, name), policy.Match(glob, name)
		if got != want {
			t.Fatalf("glob %q, name %q: library says %t, policy.Match %t", glob, name, got, want)
		}
		agreed[want]++
	}
	if agreed[true] < 200 || agreed[false] < 200 {
		t.Errorf("the sample is one-sided: %v", agreed)
	}
}

func TestCheckGlob(t *testing.T) {
	for _, glob := range []string{"\xff", "a\uFFFD*", strings.Repeat("a", policy.MaxGlob+1)} {
		if policy.CheckGlob(glob) == nil {
			t.Errorf("policy.CheckGlob(%.20q) = nil, want an error", glob)
		}
	}
}
