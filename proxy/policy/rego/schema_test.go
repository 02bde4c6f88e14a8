// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("schema/" + name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// jsonOf is a value as schemas are held against it.
func jsonOf(t *testing.T, value ast.Value) any {
	t.Helper()
	plain, err := ast.JSON(value)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestInputSchema: what modules are asked is what schema/input.json says, key by key,
// whoever asks.
func TestInputSchema(t *testing.T) {
	schema := schemaOf(t, "input.json")
	full := identity.Principal{
		Provider: "corp", Issuer: "https://id.example", Subject: "42", UserName: "alice", KubernetesUser: "corp:alice", Groups: []string{"dba", "root"},
		Kind: identity.Agent, Claims: []identity.Claim{{Name: "team", Values: []string{"red"}}, {Name: "none"}}, Delegation: []identity.Actor{{Issuer: "https://agents.example", Subject: "agent"}, {Subject: "other"}},
	}
	for name, who := range map[string]identity.Principal{"full": full, "nobody": {}} {
		for _, about := range []policy.About{{}, {Namespace: "prod", Name: "shop", Labels: map[string]string{"tier": "gold"}}} {
			s := &standing{asker: newAsker(&who, client, about)}
			for _, o := range []policy.Operation{{}, op("show"), with(op("select a", "update b"), "unboundedWrite"), {Accesses: []policy.Access{{Action: "select", Resource: "a", Indirect: true}}}} {
				if err := schema.Validate(jsonOf(t, s.inputTerm(o, noon).Value)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	s := &standing{asker: newAsker(&full, client, policy.About{Namespace: "prod", Name: "shop", Labels: map[string]string{"tier": "gold"}})}
	want := `{
		"caller": {
			"user": "alice", "groups": ["dba", "root"], "provider": "corp", "issuer": "https://id.example", "subject": "42", "kind": "Agent",
			"claims": {"team": ["red"], "none": []},
			"delegation": [{"issuer": "https://agents.example", "subject": "agent"}, {"issuer": "", "subject": "other"}]
		},
		"client": "10.1.2.3",
		"time": {"rfc3339": "2026-07-15T12:00:00Z", "ns": 1784116800000000000},
		"connection": {"namespace": "prod", "name": "shop", "labels": {"tier": "gold"}},
		"operation": {"accesses": [{"action": "select", "resource": "a", "indirect": false}], "properties": ["p"]}
	}`
	wanted, err := jsonschema.UnmarshalJSON(strings.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, jsonOf(t, s.inputTerm(with(op("select a"), "p"), noon).Value)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// answers are some of modules, and whether they are what one may say.
func answers() map[string]bool {
	approval := `{"approvers": [{"kind": "User", "name": "x"}], "minimum": 1, "timeoutSeconds": 300`
	return map[string]bool{
		`{}`:                     true,
		`{"deny": set()}`:        true,
		`{"deny": {"no"}}`:       true,
		`{"deny": {"no\u007f"}}`: false,
		`{"deny": {"a\nb"}}`:     false,
		`{"deny": {""}}`:         false,
		`{"deny": {1}}`:          false,
		`{"deny": "no"}`:         false,
		`{"allow": {access}}`:    true,
		`{"allow": {object.union(access, {"x": 1})}}`:                                                                   false,
		`{"allow": {"select"}}`:                                                                                         false,
		`{"require_approval": {` + approval + `}}}`:                                                                     true,
		`{"require_approval": {` + approval + `, "message": "m", "access": access}}}`:                                   true,
		`{"require_approval": {` + approval + `, "message": ""}}}`:                                                      false,
		`{"require_approval": {` + approval + `, "access": 1}}}`:                                                        false,
		`{"require_approval": {` + approval + `, "acess": access}}}`:                                                    false,
		`{"require_approval": {{"approvers": [], "minimum": 1, "timeoutSeconds": 300}}}`:                                false,
		`{"require_approval": {{"approvers": [{"kind": "Agent", "name": "x"}], "minimum": 1, "timeoutSeconds": 300}}}`:  false,
		`{"require_approval": {{"approvers": [{"kind": "User", "name": ""}], "minimum": 1, "timeoutSeconds": 300}}}`:    false,
		`{"require_approval": {{"approvers": [{"kind": "User", "name": "x"}], "minimum": 11, "timeoutSeconds": 300}}}`:  false,
		`{"require_approval": {{"approvers": [{"kind": "User", "name": "x"}], "minimum": 1, "timeoutSeconds": 86401}}}`: false,
	}
}

// TestOutputSchema: schema/output.json and the engine agree about what an answer is.
func TestOutputSchema(t *testing.T) {
	schema := schemaOf(t, "output.json")
	access := accessTerm(policy.Access{Action: "select", Resource: "a"})
	for text, want := range answers() {
		term, err := ast.ParseTerm(strings.ReplaceAll(strings.ReplaceAll(text, `object.union(access, {"x": 1})`, `{"action": "select", "resource": "a", "indirect": false, "x": 1}`), ": access", ": "+access.String()))
		if strings.Contains(text, "{access}") {
			term, err = ast.ParseTerm(strings.ReplaceAll(text, "{access}", "{"+access.String()+"}"))
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		object, ok := term.Value.(ast.Object)
		if !ok {
			t.Fatalf("%s: no object", text)
		}
		_, readErr := readAnswer(&policy.Policy{Name: "m"}, object, ast.NewArray(access))
		if (readErr == nil) != want {
			t.Errorf("%s: the engine says %v", text, readErr)
		}
		if schemaErr := schema.Validate(jsonOf(t, object)); (schemaErr == nil) != want {
			t.Errorf("%s: the schema says %v", text, schemaErr)
		}
	}
}

// FuzzModuleAnswer: whatever a module answers, reading it ends, and yields only what the
// operation has and the language admits.
func FuzzModuleAnswer(f *testing.F) {
	for text := range answers() {
		f.Add(strings.ReplaceAll(text, "access}", `{"action": "select", "resource": "a", "indirect": false}}`))
	}
	accesses := ast.NewArray(accessTerm(policy.Access{Action: "select", Resource: "a"}), accessTerm(policy.Access{Action: policy.ActionUnknown}))
	f.Fuzz(func(t *testing.T, text string) {
		term, err := ast.ParseTerm(text)
		if err != nil {
			return
		}
		object, ok := term.Value.(ast.Object)
		if !ok || !term.IsGround() {
			return
		}
		said, err := readAnswer(&policy.Policy{Name: "m"}, object, accesses)
		if err != nil {
			return
		}
		for _, answer := range said {
			if answer.position < 0 || answer.position >= accesses.Len() || answer.rule.ref.Policy != "m" {
				t.Errorf("%s: an answer about nothing: %+v", text, answer)
			}
			if answer.position == 1 && (answer.covers || answer.effect == policy.Allow) {
				t.Errorf("%s: what could not be read is let through: %+v", text, answer)
			}
			switch answer.effect {
			case policy.Allow, policy.Deny:
			case policy.RequireApproval:
				if terms := answer.rule.terms; terms == nil || len(terms.Approvers) == 0 || terms.Minimum < 1 || terms.TimeoutSeconds < 10 {
					t.Errorf("%s: an approval without terms: %+v", text, answer)
				}
			default:
				t.Errorf("%s: no such effect: %+v", text, answer)
			}
		}
	})
}

// FuzzModule: whatever the text of a module is, judging it ends, and one that is accepted
// answers within its bounds.
func FuzzModule(f *testing.F) {
	for _, text := range []string{allowReads, allowAll, denyOnCall, askForUpdates, askForAll} {
		f.Add(text)
	}
	for _, text := range hostile() {
		f.Add("package doorward.policy\n\n" + text)
	}
	who := identity.Principal{UserName: "alice", Groups: []string{"dba"}}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := newModule(t.Context(), text)
		if err != nil {
			return
		}
		s := &standing{asker: newAsker(&who, client, policy.About{})}
		answer, err := m.evaluate(t.Context(), s.inputTerm(op("select a"), noon))
		if err == nil && sizeOfTerm(ast.NewTerm(answer), 64<<20) > 64<<20 {
			t.Errorf("an answer beyond all bounds")
		}
	})
}
