// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package all_test

import (
	"testing"

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
