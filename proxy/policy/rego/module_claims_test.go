// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestModuleClaims: a module's claims are those that its text names, wherever it does.
func TestModuleClaims(t *testing.T) {
	rule := func(body string) string {
		return "package doorward.policy\n\ndeny contains \"x\" if { " + body + " }\n"
	}
	cases := map[string]struct {
		reason, text string
		want         []string
	}{
		"None":       {"a module need not read any", rule(`input.caller.user == "x"`), nil},
		"Dotted":     {"by a name", rule(`input.caller.claims.team == ["a"]`), []string{"team"}},
		"Quoted":     {"by a text, which may be a name with dots and slashes", rule(`"a" in input["caller"]["claims"]["https://shop.example/roles"]`), []string{"https://shop.example/roles"}},
		"Get":        {"with something else for one that is absent", rule(`object.get(input.caller.claims, "team", []) == []`), []string{"team"}},
		"GetDeep":    {"also deeper", rule(`x := object.get(input.caller.claims, ["team", 0], "none"); x == "a"`), []string{"team"}},
		"GetDefault": {"a default may be another claim", rule(`object.get(input.caller.claims, "team", input.caller.claims.group) == []`), []string{"group", "team"}},
		"Not":        {"that it is absent is read, too", rule(`not input.caller.claims.team`), []string{"team"}},
		"Some":       {"each of its values", rule(`some value in input.caller.claims.team; value == "x"`), []string{"team"}},
		"Every":      {"or all of them", rule(`every value in input.caller.claims.team { value == input.caller.claims.lead[0] }`), []string{"lead", "team"}},
		"Nested":     {"within comprehensions and calls", rule(`count({x | some x in split(concat(",", input.caller.claims.team), ","); x == input.caller.claims.lead[_]}) > 0`), []string{"lead", "team"}},
		"Key":        {"as the key of something else", rule(`{"a": 1}[input.caller.claims.team[0]] == 1`), []string{"team"}},
		"Message":    {"in a rule's head", "package doorward.policy\n\ndeny contains sprintf(\"%v\", [input.caller.claims.team])\n", []string{"team"}},
		"Function":   {"in a function's", "package doorward.policy\n\ndeny contains f(1)\n\nf(x) := concat(\",\", input.caller.claims.team) if x == 1 else := input.caller.claims.lead[0]\n", []string{"lead", "team"}},
		"Import":     {"by an import of the claims", "package doorward.policy\n\nimport input.caller.claims\n\ndeny contains \"x\" if \"a\" in claims.team\n", []string{"team"}},
		"ImportAs":   {"by another name", "package doorward.policy\n\nimport input.caller as who\n\ndeny contains who.user if object.get(who.claims, \"team\", []) == []\n", []string{"team"}},
		"ImportOne":  {"of one", "package doorward.policy\n\nimport input.caller.claims.team\n\ndeny contains \"x\" if \"a\" in team\n", []string{"team"}},
		"ImportGet":  {"an import of the claims is one reference", "package doorward.policy\n\nimport input.caller.claims\n\ndeny contains \"x\" if object.get(claims, \"team\", []) == []\n", []string{"team"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := CheckModule(t.Context(), tc.text)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
	many := make([]string, 0, maxModuleClaims+1)
	for i := range maxModuleClaims + 1 {
		many = append(many, fmt.Sprintf("input.caller.claims.c%d", i))
	}
	faults := map[string]struct{ reason, text, want string }{
		"All":      {"which claims there are is not known", rule(`count(input.caller.claims) > 1`), "3:30: claims are read as a whole"},
		"Names":    {"nor what they are called", rule(`some name, _ in input.caller.claims; name == "x"`), "claims are read as a whole"},
		"Keys":     {"by no function", rule(`"x" in object.keys(input.caller.claims)`), "claims are read as a whole"},
		"Variable": {"by no variable", rule(`some name in ["a", "b"]; input.caller.claims[name]`), "a claim is read by a variable"},
		"Blank":    {"nor any of them", rule(`input.caller.claims[_] == "x"`), "a claim is read by a variable"},
		"GetBy":    {"by no variable in a call", rule(`some name in ["a", "b"]; object.get(input.caller.claims, name, "") == "x"`), "a claim is read by a variable"},
		"Assigned": {"by no other name", rule(`claims := input.caller.claims; claims.team == "x"`), "claims are read as a whole"},
		"Caller":   {"nor with the whole caller", rule(`who := input.caller; who.claims.team == "x"`), "input.caller is read as a whole"},
		"Argument": {"nor as an argument", "package doorward.policy\n\ndeny contains \"x\" if f(input.caller)\n\nf(who) if who.claims.team\n", "3:24: input.caller is read as a whole"},
		"Part":     {"nor by a part of a variable name", rule(`some part in ["claims"]; input.caller[part]`), "a part of the input is read by a variable"},
		"Input":    {"nor with all", rule(`i := input; i.caller.claims.team`), "the input is read as a whole"},
		"InputBy":  {"nor by any part", rule(`input[_].claims.team`), "a part of the input is read by a variable"},
		"Import":   {"nor by an import", "package doorward.policy\n\nimport input.caller.claims\n\ndeny contains \"x\" if count(claims) > 1\n", "claims are read as a whole"},
		"ImportIn": {"of more", "package doorward.policy\n\nimport input.caller as who\n\ndeny contains \"x\" if who == {}\n", "input.caller is read as a whole"},
		"Name":     {"a name that no token's claim may have here", rule(`input.caller.claims["a b"]`), "no claim has such a name"},
		"Empty":    {"nor none", rule(`input.caller.claims[""]`), "no claim has such a name"},
		"Many":     {"as many as a session can keep", rule(strings.Join(many, "; ")), "too many claims: 17"},
	}
	for name, tc := range faults {
		t.Run(name, func(t *testing.T) {
			if _, err := CheckModule(t.Context(), tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
