// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestLibrary runs the Rego unit tests, as the opa command would.
func TestLibrary(t *testing.T) {
	files, err := filepath.Glob("*_test.rego")
	if err != nil || len(files) < 4 {
		t.Fatalf("got %q, %v, want the files of tests", files, err)
	}
	modules, written := map[string]*ast.Module{}, 0
	for _, name := range append(files, "library.rego") {
		text := mustRead(t, name)
		written += strings.Count(text, "\ntest_")
		if modules[name], err = ast.ParseModule(name, text); err != nil {
			t.Fatal(err)
		}
	}
	store := inmem.New()
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	coverage := cover.New()
	results, err := tester.NewRunner().SetStore(store).SetModules(modules).SetCoverageQueryTracer(coverage).
		RaiseBuiltinErrors(true).RunTests(t.Context(), txn)
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
	if ran != written {
		t.Errorf("%d Rego tests ran, want %d", ran, written)
	}
	for _, untested := range coverage.Report(modules).Files["library.rego"].NotCovered {
		t.Errorf("no test evaluates library.rego, lines %d to %d", untested.Start.Row, untested.End.Row)
	}
}

// TestLibraryIsFormatted: as opa fmt would write it.
func TestLibraryIsFormatted(t *testing.T) {
	files, err := filepath.Glob("*.rego")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text := mustRead(t, name)
		formatted, err := format.Source(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(formatted), text); diff != "" {
			t.Errorf("%s: -formatted +written:\n%s", name, diff)
		}
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCapabilities: Rego reaches neither network, clock, environment nor
// randomness, and what is allowed exists in the linked OPA.
func TestCapabilities(t *testing.T) {
	restricted := capabilities()
	if restricted.AllowNet == nil || len(restricted.AllowNet) != 0 {
		t.Errorf("AllowNet = %v, want an empty list: nil allows every host", restricted.AllowNet)
	}
	if len(restricted.Builtins) != len(allowedBuiltins) {
		t.Errorf("%d built-in functions, want %d: one on the list does not exist", len(restricted.Builtins), len(allowedBuiltins))
	}
	for _, builtin := range restricted.Builtins {
		if builtin.Nondeterministic {
			t.Errorf("%s is not deterministic", builtin.Name)
		}
	}
	for _, call := range []string{
		`http.send({"method": "get", "url": "https://example.com"})`, `net.lookup_ip_addr("example.com")`,
		`time.now_ns()`, `opa.runtime()`, `rand.intn("x", 9)`, `uuid.rfc4122("x")`, `io.jwt.decode("x")`,
	} {
		_, err := oparego.New(oparego.Query(call), oparego.Capabilities(restricted)).PrepareForEval(context.Background())
		if err == nil || !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("%s: got %v, want it refused as undefined", call, err)
		}
	}
}

// TestAllowedBuiltinsAreUsed keeps the list as short as the library needs.
func TestAllowedBuiltinsAreUsed(t *testing.T) {
	for _, name := range allowedBuiltins {
		restricted := capabilities()
		restricted.Builtins = slices.DeleteFunc(restricted.Builtins, func(b *ast.Builtin) bool { return b.Name == name })
		_, err := oparego.New(
			oparego.Query("data.doorward"), oparego.Module("library.rego", library), oparego.Capabilities(restricted),
		).PrepareForEval(t.Context())
		if err == nil {
			t.Errorf("built-in %q is allowed and not needed", name)
		}
	}
}
