// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/doorward/doorward/proxy/policy"
)

var update = flag.Bool("update", false, "write the published files anew")

// examples is where modules for admins to begin with are published, with their tests.
const examples = "../../../docs/policy/examples"

func regoFiles(t *testing.T, folders ...string) []string {
	t.Helper()
	var files []string
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, "*.rego"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no Rego in %s: %v", folder, err)
		}
		files = append(files, found...)
	}
	return files
}

// TestRegoIsFormatted: what is published is as `opa fmt` writes it.
func TestRegoIsFormatted(t *testing.T) {
	for _, name := range regoFiles(t, ".", examples) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		if string(formatted) != string(text) {
			t.Errorf("%s is not as opa fmt writes it; with -update it is written so", name)
			if *update {
				if err := os.WriteFile(name, formatted, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestExamples: each example is a module that the engine takes, and its tests pass as
// `opa test` runs them, with what modules may call and with types from the schema.
func TestExamples(t *testing.T) {
	for _, name := range regoFiles(t, examples) {
		if strings.HasSuffix(name, "_test.rego") {
			continue
		}
		tests := strings.TrimSuffix(name, ".rego") + "_test.rego"
		modules := map[string]*ast.Module{}
		for _, file := range []string{name, tests} {
			parsed, err := ast.ParseModule(file, mustRead(t, file))
			if err != nil {
				t.Fatal(err)
			}
			modules[file] = parsed
		}
		if _, err := CheckModule(t.Context(), mustRead(t, name)); err != nil {
			t.Errorf("%s:%v", name, err)
		}
		store := inmem.New()
		txn, err := store.NewTransaction(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		compiler := ast.NewCompiler().WithCapabilities(moduleCapabilities()).WithSchemas(parsedInputSchema()).WithStrict(true)
		results, err := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).RaiseBuiltinErrors(true).RunTests(t.Context(), txn)
		if err != nil {
			t.Fatal(err)
		}
		ran := 0
		for result := range results {
			ran++
			if !result.Pass() {
				t.Errorf("%s: %s", result.Name, result)
			}
		}
		store.Abort(t.Context(), txn)
		if want := strings.Count(mustRead(t, tests), "\ntest_"); ran != want || want == 0 {
			t.Errorf("%s: %d tests ran, want %d", tests, ran, want)
		}
	}
}

// TestExampleDecides: the documented example at work.
func TestExampleDecides(t *testing.T) {
	text := mustRead(t, filepath.Join(examples, "working_hours.rego"))
	made, err := New(t.Context(), policy.Set{Policies: []policy.Policy{withRego("m", text)}}, policy.About{Name: "shop-db"})
	if err != nil {
		t.Fatal(err)
	}
	who := caller("alice")
	who.Kind = "Human"
	s, err := made.Standing(t.Context(), who, policy.Circumstances{Time: noon, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]policy.Effect{
		"select public.orders": policy.Allow, "select public.events": policy.Deny, "update public.orders": policy.Allow,
		"delete public.orders": policy.RequireApproval, "truncate public.orders": policy.Deny,
	} {
		if got, err := s.Decide(t.Context(), op(text), noon); err != nil || got.Effect != want || got.Cause != "" {
			t.Errorf("%s: got %+v, %v, want %s", text, got, err, want)
		}
	}
}

// TestPublishedCapabilities: what `opa check --capabilities` takes is what modules get.
func TestPublishedCapabilities(t *testing.T) {
	const file = "schema/capabilities.json"
	want, err := json.MarshalIndent(moduleCapabilities(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if mustRead(t, file) != string(want) {
		t.Errorf("%s is not what modules get; with -update it is written anew", file)
	}
}

// TestModuleCapabilities: what modules may call is pure, exists, is documented, and is
// nothing besides.
func TestModuleCapabilities(t *testing.T) {
	restricted := moduleCapabilities()
	if restricted.AllowNet == nil || len(restricted.AllowNet) != 0 {
		t.Errorf("AllowNet = %v, want an empty list: nil allows every host", restricted.AllowNet)
	}
	if want := len(plainBuiltins) + len(boundedBuiltins); len(restricted.Builtins) != want {
		t.Errorf("%d built-in functions, want %d: one does not exist", len(restricted.Builtins), want)
	}
	page := mustRead(t, "../../../docs/policy/rego.md")
	for _, builtin := range restricted.Builtins {
		if builtin.Nondeterministic || builtin.Relation {
			t.Errorf("%s is no pure function", builtin.Name)
		}
		if builtin.Infix == "" && !strings.HasPrefix(builtin.Name, "internal.") && !strings.Contains(page, "`"+builtin.Name+"`") {
			t.Errorf("%s is not in docs/policy/rego.md", builtin.Name)
		}
	}
	allowed := map[string]bool{}
	for _, builtin := range restricted.Builtins {
		allowed[builtin.Name] = true
	}
	for _, builtin := range ast.Builtins {
		if allowed[builtin.Name] {
			continue
		}
		arguments := slices.Repeat([]string{"input.client"}, builtin.Decl.Arity())
		_, err := CheckModule(t.Context(), "package doorward.policy\n\ndeny contains \"x\" if "+builtin.Name+"("+strings.Join(arguments, ", ")+")\n")
		if err == nil {
			t.Errorf("%s can be called", builtin.Name)
		}
	}
	for _, call := range []string{"http.send({})", "opa.runtime()", "time.now_ns()", `io.jwt.decode("")`, `uuid.rfc4122("")`, `rand.intn("", 1)`, `net.lookup_ip_addr("")`, `trace("")`, `print("")`, "walk([])", `doorward_guard.weigh(1)`, `doorward_guard.concat("", [])`} {
		_, err := CheckModule(t.Context(), "package doorward.policy\n\ndeny contains \"x\" if "+call+"\n")
		if err == nil {
			t.Errorf("%s can be called", call)
		}
	}
}

// TestGuardsNeedABudget: a guarded function outside of a module's evaluation refuses.
func TestGuardsNeedABudget(t *testing.T) {
	for i := range guards {
		if _, err := guards[i].run(oparego.BuiltinContext{}, []*ast.Term{ast.StringTerm("x"), ast.StringTerm("y"), ast.StringTerm("z")}); err == nil {
			t.Errorf("%s ran", guards[i].declaration.Name)
		}
	}
}
