// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package all_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/protocol/all"
)

func TestProtocols(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range all.Protocols() {
		if seen[p.Name()] {
			t.Errorf("two protocols have the name %q", p.Name())
		}
		seen[p.Name()] = true
		found, ok := all.Lookup(p.Name())
		if !ok || found.Name() != p.Name() {
			t.Errorf("Lookup(%q) = %v, %v", p.Name(), found, ok)
		}
	}
	if !seen["postgres"] {
		t.Error("postgres is not listed")
	}
	if _, ok := all.Lookup("no-such"); ok {
		t.Error("a protocol that does not exist was found")
	}
}

func TestListIsGenerated(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "list.go")
	command := exec.CommandContext(t.Context(), "go", "run", "github.com/doorward/doorward/hack/gen-protocols", "..", fresh)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("gen-protocols: %v\n%s", err, out)
	}
	want, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("zz_generated.protocols.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run go generate ./proxy/protocol/all (-want +got):\n%s", diff)
	}
}
