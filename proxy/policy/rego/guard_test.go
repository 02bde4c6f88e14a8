// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	oparego "github.com/open-policy-agent/opa/v1/rego"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// bodies are conditions in every form that modules have, each of a module of its own with
// a few rules beside it. %s is the condition.
const bodiesModule = `package doorward.policy

deny contains "x" if {
	%s
}

deny contains "used" if {
	names
	owners
	size(1)
	kind
	default_one == 2
}

names contains access.resource if some access in input.operation.accesses

owners[access.resource] := [access.action, input.caller.user] if some access in input.operation.accesses

size(x) := count(x) if is_array(x)

size(x) := x if is_number(x)

kind := "person" if {
	input.caller.kind == "Human"
} else := ["machine", input.caller.kind] if {
	input.caller.kind == "Workload"
} else := {"kind": input.caller.kind}

default default_one := {"a": [1, 2]}

default_one := 2 if "root" in input.caller.groups
`

func bodies() []string {
	return []string{
		`input.caller.user == "alice"`,
		`not input.caller.user == "alice"`,
		`not input.caller.claims.team`,
		`not input.caller.claims.team[0]`,
		`not startswith(input.caller.claims.team[0], "x")`,
		`not [input.caller.claims.team[0], 1] == ["x", 1]`,
		`not "x" in {input.caller.claims.team[0], "y"}`,
		`not "x" in {input.caller.claims.missing[0], "y"}`,
		`not count([1 | input.caller.claims.team[0] == "x"]) > 0`,
		`not concat("", [input.caller.user, "x"]) == "alicex"`,
		`not upper(concat("", [input.caller.claims.missing[0], "x"])) == "X"`,
		`{input.caller.user, "b"} == {"b", "alice"}`,
		`{input.caller.user: [input.client]} == {"alice": ["10.1.2.3"]}`,
		`[user, _] := [input.caller.user, 1]; user == "alice"`,
		`{"user": user, "groups": groups} := {"user": input.caller.user, "groups": input.caller.groups}; count(groups) == 2; user != ""`,
		`some group in input.caller.groups; group == "root"`,
		`some i, group in input.caller.groups; i == 1; group != ""`,
		`some "root" in input.caller.groups`,
		`some [name, 2] in [[input.caller.user, 2], ["b", 3]]; name == "alice"`,
		`some name, [action, _] in owners; action == "select"; name != ""`,
		`every group in input.caller.groups { group != "x" }`,
		`every i, group in input.caller.groups { i < 5; group in {"root", "dba", input.caller.user} }`,
		`every x in [y | some y in input.caller.groups; y != "root"] { x == "dba" }`,
		`count({x | some x in input.caller.groups}) == 2`,
		`{x: y | some x, y in input.caller.groups} == {0: "dba", 1: "root"}`,
		`[[a, b] | some a in input.caller.groups; some b in input.caller.groups; a != b][0][1] == "root"`,
		`sum([size(x) | some x in [[1, 2], 3]]) == 5`,
		`size([input.client, input.client]) == 2`,
		`size(input.caller.claims.missing) == 2`,
		`not size(input.caller.claims.missing) == 2`,
		`kind == ["machine", "Workload"]`,
		`kind == {"kind": "Agent"}`,
		`default_one.a[1] == 2`,
		`"public.orders" in names`,
		`names["public.orders"]`,
		`owners["public.orders"][1] == input.caller.user`,
		`owners[input.operation.accesses[_].resource][0] == "select"`,
		`object.get(input.caller.claims, ["team", 0], "none") == "red"`,
		`object.get(owners, concat(".", ["public", "orders"]), [])[0] == "select"`,
		`x := {"a": {"b": input.client}}; x.a.b == "10.1.2.3"`,
		`x := [1, 2, 3]; x[_] > 2`,
		`x := (input.time.ns % 7) + 1; x * 2 > 4`,
		`regex.match("^pub[a-z]*[.]", input.operation.accesses[0].resource)`,
		`net.cidr_contains("10.0.0.0/8", input.client)`,
		`[hour, _, _] := time.clock([input.time.ns, "Europe/Berlin"]); hour >= 9; hour < 18`,
		`time.weekday(input.time.ns) in {"Saturday", "Sunday"}`,
		`split(input.client, ".")[0] == "10"`,
		`sprintf("%s:%d", [input.caller.user, count(input.caller.groups)]) == "alice:2"`,
		`numbers.range(1, 3)[_] == 2`,
		`({"a"} | {input.caller.user}) & {"alice", "b"} == {"alice"}`,
		`{1, 2} - {count(input.caller.groups)} == {1}`,
		`union({{1}, {count(input.caller.groups)}}) == {1, 2}`,
		`input.operation.properties == []`,
		`input.caller.delegation[0].subject == "agent"`,
		`x = input.caller.user; x == "alice"`,
		`set()  == names`,
		`false in [true, input.operation.accesses[0].indirect]`,
		`names == {access.resource | some access in input.operation.accesses}`,
		`{[access.action, access.resource] | some access in input.operation.accesses}[["select", "public.orders"]]`,
		`data.doorward.policy.names["public.orders"]`,
		`sort([g | g := input.caller.groups[_]])[0] == "dba"`,
		`min({1, count(names)}) == 1; max([1, 2, count(names)]) == 2`,
		`time.parse_rfc3339_ns(input.time.rfc3339) == input.time.ns`,
	}
}

// TestGuardsChangeNoAnswer: a guarded module answers what OPA answers of the text itself,
// which is what its author tests.
func TestGuardsChangeNoAnswer(t *testing.T) {
	inputs := map[string]*ast.Term{}
	for name, who := range map[string]identity.Principal{
		"person": {Provider: "corp", UserName: "alice", Groups: []string{"dba", "root"}, Kind: identity.Human, Claims: []identity.Claim{{Name: "team", Values: []string{"red", "x"}}}},
		"job":    {Provider: "corp", UserName: "deploy", Kind: identity.Workload, Claims: []identity.Claim{{Name: "team", Values: []string{"x"}}}},
		"agent":  {Provider: "corp", UserName: "alice", Groups: []string{"dba"}, Kind: identity.Agent, Delegation: []identity.Actor{{Issuer: "https://agents.example", Subject: "agent"}}},
	} {
		s := &standing{asker: newAsker(&who, client, policy.About{Namespace: "prod", Name: "shop"})}
		inputs[name] = s.inputTerm(op("select public.orders", "update public.stock"), noon)
		inputs[name+", else"] = s.inputTerm(with(op("drop x"), "p"), noon)
	}
	defined := 0
	for _, body := range bodies() {
		text := fmt.Sprintf(bodiesModule, body)
		m, err := newModule(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		plain, err := oparego.New(oparego.Query("x := {\"deny\": data.doorward.policy.deny}"), oparego.Module("x.rego", text), oparego.Capabilities(moduleCapabilities()), oparego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		for name, input := range inputs {
			got, gotErr := m.evaluate(t.Context(), input)
			results, wantErr := plain.Eval(t.Context(), oparego.EvalParsedInput(input.Value))
			if (gotErr != nil) != (wantErr != nil) {
				t.Errorf("%s, %s: got error %v, want %v", body, name, gotErr, wantErr)
				continue
			}
			if gotErr != nil {
				continue
			}
			value, err := ast.JSON(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(results[0].Bindings["x"], value); diff != "" {
				t.Errorf("%s, %s: -OPA +guarded\n%s", body, name, diff)
			}
			if got.Get(ast.StringTerm(wordDeny)).Value.(ast.Set).Contains(ast.StringTerm("x")) {
				defined++
			}
		}
	}
	if defined < len(bodies()) {
		t.Errorf("only %d of %d conditions held: the cases say little", defined, len(bodies())*len(inputs))
	}
}
