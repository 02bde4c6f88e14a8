// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"strings"
	"testing"
)

// TestModuleFaults: what a module may not hold is refused at its place, checklist 40.
func TestModuleFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"package":          {"package doorward.polices\n\ndeny contains \"x\"", "1:1: the package must be doorward.policy"},
		"misspelt rule":    {"package doorward.policy\n\nallow contains 1 if input.client\n\ndenny contains \"x\" if input.client", "5:1: rule denny is used by nothing"},
		"misspelt key":     {"package doorward.policy\n\ndeny contains \"x\" if input.caler.user == \"x\"", "3:22: undefined ref: input.caler.user"},
		"misspelt deep":    {"package doorward.policy\n\ndeny contains \"x\" if input.operation.accesses[_].acton == \"x\"", "have: \"acton\""},
		"unknown function": {"package doorward.policy\n\ndeny contains \"x\" if startwith(\"a\", \"b\")", "3:22: undefined function startwith"},
		"forbidden":        {"package doorward.policy\n\ndeny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"x\"})", "function http.send is not available"},
		"no set":           {"package doorward.policy\n\ndeny if input.client", "3:1: deny is a set"},
		"a value":          {"package doorward.policy\n\nallow := true", "3:1: allow is a set"},
		"a default":        {"package doorward.policy\n\ndefault allow := false", "3:1: allow is a set"},
		"an object":        {"package doorward.policy\n\ndeny[x] := 1 if x := input.client", "3:1: deny is a set"},
		"a function":       {"package doorward.policy\n\ndeny(x) if x == input.client", "3:1: deny is a set"},
		"a part":           {"package doorward.policy\n\ndeny.now contains \"x\" if input.client", "3:1: deny is a set"},
		"version 0":        {"package doorward.policy\n\ndeny[\"x\"] { input.client }", "3:"},
		"other data":       {"package doorward.policy\n\ndeny contains \"x\" if data.users.alice", "3:22: a module has no data but its own rules"},
		"all data":         {"package doorward.policy\n\ndeny contains \"x\" if data.doorward.policy", "3:22: a module has no data"},
		"library's data":   {"package doorward.policy\n\ndeny contains \"x\" if data.doorward.hits", "3:22: a module has no data"},
		"any rule":         {"package doorward.policy\n\ndeny contains \"x\" if data.doorward.policy[_]", "a rule is named in full"},
		"import":           {"package doorward.policy\n\nimport data.users\n\ndeny contains \"x\" if users.alice", "3:1: a module imports rego.v1 and parts of the input only"},
		"with":             {"package doorward.policy\n\ndeny contains \"x\" if ok with input.client as \"\"\n\nok if input.client == \"\"", "\"with\" belongs into tests"},
		"unification":      {"package doorward.policy\n\ndeny contains \"x\" if { [a, \"b\"] = [input.client, \"b\"]; a == \"x\" }", "cannot be unified"},
		"shadowed":         {"package doorward.policy\n\ndeny contains \"x\" if count\n\ncount if input.client", "5:1: a rule has the name of a built-in function"},
		"shadowed space":   {"package doorward.policy\n\ndeny contains \"x\" if time\n\ntime if input.client", "5:1: a rule has the name of a built-in function"},
		"unused":           {"package doorward.policy\n\ndeny contains \"x\" if { y := input.client }", "assigned var y unused"},
		"unsafe":           {"package doorward.policy\n\ndeny contains x if input.client", "var x is unsafe"},
		"composed key":     {"package doorward.policy\n\ndeny contains \"x\" if p\n\np[[input.client]] := 1", "a rule's keys are names"},
		"template":         {"package doorward.policy\n\ndeny contains $\"{input.client}\"", "template strings are not supported"},
		"recursion":        {"package doorward.policy\n\ndeny contains \"x\" if a\n\na if b\n\nb if a", "recursive"},
		"types":            {"package doorward.policy\n\ndeny contains \"x\" if startswith(input.time.ns, \"1\")", "3:22: startswith: invalid argument"},
	} {
		_, err := CheckModule(t.Context(), c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, text := range map[string]string{
		"import of the input": "package doorward.policy\n\nimport input.caller\n\ndeny contains \"x\" if caller.user == \"x\"",
		"import of version 1": "package doorward.policy\n\nimport rego.v1\n\ndeny contains \"x\" if input.client == \"\"",
		"rules by full name":  "package doorward.policy\n\ndeny contains \"x\" if data.doorward.policy.unknown\n\nunknown if input.client == \"\"",
	} {
		if _, err := CheckModule(t.Context(), text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
