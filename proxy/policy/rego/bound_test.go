// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// peak runs do and returns by how many bytes the heap grew meanwhile at most, as sampled
// without pause, and how long it took.
func peak(do func()) (uint64, time.Duration) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var stop atomic.Bool
	grown := make(chan uint64)
	go func() {
		var most uint64
		for !stop.Load() {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			if total := now.HeapAlloc + now.StackInuse; total > most {
				most = total
			}
			runtime.Gosched()
		}
		grown <- most
	}()
	start := time.Now()
	do()
	took := time.Since(start)
	stop.Store(true)
	if most := <-grown; most > before.HeapAlloc+before.StackInuse {
		return most - before.HeapAlloc - before.StackInuse, took
	}
	return 0, took
}

// doublings is a body in which each line makes a value of two of the one before.
func doublings(n int, line string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\t"+line+"\n", i+1, i)
	}
	return b.String()
}

// hostile are modules that would take all time or memory there is. Each is one policy's.
func hostile() map[string]string {
	return map[string]string{
		"nested loops":          `deny contains "x" if { some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b + c < 0 }`,
		"nested comprehensions": `deny contains "x" if { x := [[[[d | some d in numbers.range(1, 99)] | some c in numbers.range(1, 99)] | some b in numbers.range(1, 99)] | some a in numbers.range(1, 99)]; count(x) < 0 }`,
		"a huge range":          `deny contains "x" if count(numbers.range(1, 1000000000)) < 0`,
		"doubled lists":         "deny contains \"x\" if {\n\tx0 := [input.client]\n\ty0 := [input.client]\n" + doublings(40, "x%[1]d := [x%[2]d, x%[2]d]") + doublings(40, "y%[1]d := [y%[2]d, y%[2]d]") + "\tx40 == y40\n}",
		"doubled objects":       "deny contains \"x\" if {\n\tx0 := {\"a\": input.client}\n" + doublings(40, `x%[1]d := {"a": x%[2]d, "b": x%[2]d}`) + "\tcount(x40) < 0\n}",
		"doubled texts":         "deny contains \"x\" if {\n\tx0 := \"0123456789\"\n" + doublings(40, `x%[1]d := concat("", [x%[2]d, x%[2]d])`) + "\tx40 == \"\"\n}",
		"formatted texts":       "deny contains \"x\" if {\n\tx0 := \"0123456789\"\n" + doublings(40, `x%[1]d := sprintf("%%s%%s", [x%[2]d, x%[2]d])`) + "\tx40 == \"\"\n}",
		"replaced texts":        "deny contains \"x\" if {\n\tx0 := \"aaaaaaaaaaaaaaaa\"\n" + doublings(40, `x%[1]d := replace(x%[2]d, "a", x%[2]d)`) + "\tx40 == \"\"\n}",
		"wide formats":          `deny contains "x" if sprintf("%999999999d", [1]) == ""`,
		"long formats":          "deny contains \"x\" if { x := concat(\"\", [y | some _ in numbers.range(1, 9000); y := \"0123456789\"]); sprintf(\"" + strings.Repeat("%[1]s", 2000) + "\", [x]) == \"\" }",
		"squared numbers":       "deny contains \"x\" if {\n\tx0 := 999999999\n" + doublings(40, "x%[1]d := x%[2]d * x%[2]d") + "\tx40 < 0\n}",
		"rules of rules":        "deny contains \"x\" if r40 == s40\nr0 := [input.client]\ns0 := [input.client]\n" + rulesOfRules("r") + rulesOfRules("s"),
		"functions of functions": "deny contains \"x\" if f40(1) == 7\nf0(x) := [x, x]\n" + func() string {
			var b strings.Builder
			for i := range 40 {
				fmt.Fprintf(&b, "f%d(x) := [f%d([x, 1]), f%d([x, 2])]\n", i+1, i, i)
			}
			return b.String()
		}(),
		"sets of sets":        "deny contains \"x\" if s1 == s2\ns1 contains [i, big] if some i in numbers.range(1, 9000)\ns2 contains [i, big] if some i in numbers.range(1, 9000)\nbig := [x | some x in numbers.range(1, 9000)]",
		"objects of the same": "deny contains \"x\" if o2 == o1\no1[i] := big if some i in numbers.range(1, 9000)\no2[i] := big if some i in numbers.range(1, 9000)\nbig := [x | some x in numbers.range(1, 9000)]",
		"keys of the same":    "deny contains \"x\" if count(o) < 0\no[k] := 1 if { some i in numbers.range(1, 9000); k := array.concat(big, [i]) }\nbig := [x | some x in numbers.range(1, 9000)]",
		"unions":              "deny contains \"x\" if { x := {i: {j: i | some j in numbers.range(1, 500)} | some i in numbers.range(1, 100)}; some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); count(object.union(x, {a: b})) < 0 }",
		"a deep expression":   `deny contains "x" if { t := concat("", [y | some _ in numbers.range(1, 9000); y := "aaaaaaaaaa"]); some i in numbers.range(1, 9000); regex.match("((((a{0,9}){0,9}){0,9}){0,9}){0,9}b", concat("", [t, format_int(i, 10)])) }`,
		"many expressions":    `deny contains "x" if { some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); regex.match(sprintf("[a-z]{900}%d-%d", [i, j]), "aaaa") }`,
		"sorted again":        `deny contains "x" if { x := numbers.range(1, 9000); some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); sort(array.concat(x, [i, j])) == [] }`,
		"split again":         `deny contains "x" if { t := concat("", [y | some _ in numbers.range(1, 9000); y := "a,b,c,"]); some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); split(sprintf("%s%d%d", [t, i, j]), ",") == [] }`,
		"every of every":      `deny contains "x" if every a in numbers.range(1, 9000) { every b in numbers.range(1, 9000) { every c in numbers.range(1, 9000) { a + b + c > 0 } } }`,
		"time zones":          `deny contains "x" if { some i in numbers.range(1, 9000); some j in numbers.range(1, 9000); time.clock([(i * 9000) + j, "America/New_York"])[0] < 0 }`,
		"networks":            `deny contains "x" if { some i in numbers.range(0, 250); some j in numbers.range(0, 250); some k in numbers.range(0, 250); net.cidr_contains("192.168.0.0/16", sprintf("10.%d.%d.%d", [i, j, k])) }`,
		"a text in a text":    `deny contains "x" if { w := concat("", ["é" | some _ in numbers.range(1, 9000)]); b := concat("", [w | some _ in numbers.range(1, 24)]); indexof(b, concat("", [w, w, w, w, w, w, w, w, w, w, w, w, "x"])) > 0 }`,
		"a list in a list":    `deny contains "x" if { w := [1 | some _ in numbers.range(1, 9000)]; x := array.concat(w, w); object.subset({"a": array.concat(x, x)}, {"a": array.concat(x, [2])}) }`,
		"trimmed again":       `deny contains "x" if { w := concat("", ["aaaaaaaaaa" | some _ in numbers.range(1, 9000)]); x := concat("", ["éééééééééé" | some _ in numbers.range(1, 9000)]); trim_left(x, concat("", [w, w, w, w, "é"])) == "x" }`,
		"a long expression":   `deny contains "x" if regex.is_valid(concat("|", [p | some i in numbers.range(1, 9000); p := sprintf("\\pL%d[^a]{20}\\pL", [i])]))`,
		"a wide expression":   `deny contains "x" if regex.is_valid(concat("", ["(a{999}){1}" | some _ in numbers.range(1, 180)]))`,
		"many answers":        `deny contains sprintf("%d", [i]) if some i in numbers.range(1, 9000)`,
		"a conflict":          "deny contains \"x\" if c == 1\nc := 1 if input.client\nc := 2 if input.caller.user",
		"an error":            `deny contains "x" if to_number(input.client) == 1`,
		"no division":         `deny contains "x" if 1 / count(input.client) > 1`,
	}
}

func rulesOfRules(name string) string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "%s%d := [%s%d, %s%d]\n", name, i+1, name, i, name, i)
	}
	return b.String()
}

// TestHostileModules: whatever a module does, it denies within bounds of memory and time,
// and whom its policy does not bind is none the worse.
func TestHostileModules(t *testing.T) {
	// What was measured is a few times less; see docs/policy/rego.md.
	const memory = 256 << 20
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			text = "package doorward.policy\n\n" + text + "\n"
			if _, err := CheckModule(t.Context(), text); err != nil {
				t.Fatalf("is to be refused when it runs: %v", err)
			}
			e := engine(t, policy.Set{Policies: []policy.Policy{
				{Name: "hostile", Subjects: []policy.Subject{{Kind: policy.User, Name: "alice"}}, Rego: text},
				{Name: "read", Subjects: []policy.Subject{{Kind: policy.Everyone}}, Rules: []policy.Rule{{Name: "r", Effect: policy.Allow, Actions: []string{"select"}}}},
			}})
			var decision policy.Decision
			var err error
			grown, took := peak(func() { decision, err = decide(t.Context(), e, caller("alice"), op("select public.orders")) })
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d MiB, %s: %s", grown>>20, took, decision.Cause)
			if decision.Effect != policy.Deny || decision.Cause == "" || len(decision.Rules) != 1 || decision.Rules[0].Policy != "hostile" {
				t.Errorf("got %+v, want a Deny by its policy", decision)
			}
			if want := `AccessPolicy "hostile" cannot decide it`; decision.Message != want {
				t.Errorf("the caller is told %q, want %q", decision.Message, want)
			}
			if grown > memory {
				t.Errorf("took %d MiB", grown>>20)
			}
			// Half a second, and one step that nothing stops.
			if took > 20*time.Second {
				t.Errorf("took %s", took)
			}
			other, err := decide(t.Context(), e, caller("bob"), op("select public.orders"))
			if err != nil || other.Effect != policy.Allow {
				t.Errorf("somebody else: got %+v, %v, want Allow", other, err)
			}
		})
	}
}
