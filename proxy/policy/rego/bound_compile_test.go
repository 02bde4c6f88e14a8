// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func nested(n int, left, core, right string) string {
	return strings.Repeat(left, n) + core + strings.Repeat(right, n)
}

func repeated(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	return b.String()
}

// TestHostileTexts: no text of the size that the API admits takes long to judge, or much
// memory, whether it is accepted or refused.
func TestHostileTexts(t *testing.T) {
	const memory = 256 << 20
	const head = "package doorward.policy\n\n"
	cases := map[string]string{
		"open brackets":         head + nested(16000, "[", "", ""),
		"braces":                head + "deny contains \"x\" if " + nested(8000, "{", "1", "}"),
		"braces within bounds":  head + "deny contains \"x\" if " + nested(31, "{", "1", "}") + " == 1",
		"parentheses":           head + "deny contains \"x\" if " + nested(8000, "(", "1", ")"),
		"negations":             head + "deny contains \"x\" if " + nested(8000, "not ", "1", ""),
		"signs":                 head + "deny contains \"x\" if 1 == " + nested(8000, "- ", "1", ""),
		"sums":                  head + "deny contains \"x\" if 1 == 1" + nested(8000, " + 1", "", ""),
		"calls":                 head + "deny contains \"x\" if 1 == " + nested(1500, "abs(", "1", ")"),
		"else":                  head + "deny contains \"x\" if c\nc := 1 if { false }" + strings.Repeat(" else := 1 if { false }", 1300),
		"comprehensions":        head + "deny contains \"x\" if x == " + repeated(30, "[a%d | a%[1]d := ") + "1" + strings.Repeat("]", 30),
		"comprehensions, bound": head + "deny contains \"x\" if y == " + repeated(15, "[a%d | some a%[1]d in ") + "input.caller.groups" + strings.Repeat("]", 15),
		"every":                 head + "deny contains \"x\" if " + repeated(15, "every a%d in input.caller.groups { ") + "true" + strings.Repeat("}", 15),
		"a long reference":      head + "deny contains \"x\" if input" + strings.Repeat(".a", 15000),
		"a long list":           head + "deny contains \"x\" if count([" + strings.Repeat("input,", 5000) + "1]) == 1",
		"a long constant":       head + "deny contains \"x\" if count([" + strings.Repeat("1,", 16000) + "1]) == 1",
		"many rules":            head + strings.Repeat("deny contains \"x\"\n", 1800),
		"rules within bounds":   head + "deny contains \"x\" if r499\nr0 := 1\n" + repeated(499, "r%d := r0\n"),
		"chained rules":         head + "deny contains \"x\" if r400 == 1\nr0 := 1\n" + chained(400),
		"a long body":           head + "deny contains \"x\" if {\n" + strings.Repeat("input.client\n", 2400) + "}",
		"a body out of order":   head + "deny contains \"x\" if {\n" + backwards(120) + "\nx120 = 1\n}",
		"functions of all":      head + "deny contains \"x\" if f1(1)\n" + repeated(500, "f%d(x) if { x == 1 }\n"),
		"recursion":             head + "deny contains \"x\" if f(1)\nf(x) := g(x)\ng(x) := f(x)",
		"mutual rules":          head + "deny contains \"x\" if a\na if b\nb if a",
		"a long text":           head + "deny contains \"" + strings.Repeat("x", 32000) + "\"",
		"comments":              head + strings.Repeat("#\n", 16000) + "deny contains \"x\"",
		"metadata":              head + "# METADATA\n# schemas:\n#   - input: {$ref: \"https://example.com/x.json\"}\ndeny contains \"x\" if input.client",
		"a huge number":         head + "deny contains \"x\" if input.time.ns > 1e999999999",
		"a long number":         head + "deny contains \"x\" if input.time.ns > 1" + strings.Repeat("0", 32000),
		"no UTF-8":              head + "deny contains \"\xff\"",
		"zero bytes":            head + "deny contains \"x\"\x00",
		"an open text":          head + "deny contains \"" + strings.Repeat("\\\"", 15000),
		"an open raw text":      head + "deny contains `" + strings.Repeat("(", 15000),
		"many arguments":        head + "deny contains \"x\" if f(" + strings.Repeat("1,", 5000) + "1)",
		"unions of types":       head + "deny contains \"x\" if r[_] == input\n" + repeated(500, "r contains {\"a%d\": 1}\n"),
		"only the package":      head,
		"nothing":               "",
		"too long":              head + strings.Repeat(" ", 40000),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			if name != "too long" && len(text) > MaxModule {
				text = text[:MaxModule]
			}
			var err error
			grown, took := peak(func() { _, err = CheckModule(t.Context(), text) })
			t.Logf("%d bytes: %d MiB, %s: %.150v", len(text), grown>>20, took, err)
			if grown > memory {
				t.Errorf("took %d MiB", grown>>20)
			}
			if took > 30*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// chained are rules each of which rests on the one before, twice.
func chained(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "r%d := r%d if r%[2]d\n", i+1, i)
	}
	return b.String()
}

// backwards is a body whose lines can only be evaluated from the last to the first.
func backwards(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%d = x%d + 1\n", i, i+1)
	}
	return b.String()
}
