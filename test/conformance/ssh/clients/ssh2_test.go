// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// installNode installs ssh2 as package-lock.json has it, unless it is there already.
func installNode(ctx context.Context) error {
	lock, err := os.Stat(script("node/package-lock.json"))
	if err != nil {
		return fmt.Errorf("cannot find what to install: %w", err)
	}
	// npm writes this file last.
	done, err := os.Stat(script("node/node_modules/.package-lock.json"))
	if err == nil && !done.ModTime().Before(lock.ModTime()) {
		return nil
	}
	command := exec.CommandContext(ctx, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts", "--omit=optional")
	command.Dir = filepath.Dir(script("node/package-lock.json"))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot install ssh2; `make install-deps` installs npm: %w: %s", err, out)
	}
	return nil
}

// TestSSH2: ssh2 for Node.js, which many tools stand on. It knows no certificates.
func TestSSH2(t *testing.T) {
	t.Parallel()
	if err := installNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	alike(t, func(t *testing.T, s side) string {
		t.Helper()
		return ended(t, output(t, s.command(t, program(t, "node"), script("node/client.mjs"))))
	}, byToken())
}

// TestLockFile: everything is pinned by its digest, and no registry is named.
func TestLockFile(t *testing.T) {
	content, err := os.ReadFile(script("node/package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Integrity, Resolved string }
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		t.Fatal(err)
	}
	for name, pinned := range lock.Packages {
		if name != "" && (pinned.Integrity == "" || pinned.Resolved != "") {
			t.Errorf("%s: want an integrity and no resolved address: %+v", name, pinned)
		}
	}
}
