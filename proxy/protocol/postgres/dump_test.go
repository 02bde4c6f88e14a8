// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPgDump: a dump through the proxy is the one past it.
func TestPgDump(t *testing.T) {
	r, s := road(t)
	dump := func(from string) string {
		command := exec.CommandContext(deadline(t), filepath.Join(server.BinDir, "pg_dump"), "-T", "public.secrets", "-d", from)
		command.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("pg_dump: %v\n%s", err, out)
		}
		var lines []string
		for line := range strings.Lines(string(out)) {
			// These name a word that is made anew for each dump.
			if !strings.HasPrefix(line, `\restrict `) && !strings.HasPrefix(line, `\unrestrict `) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	if diff := cmp.Diff(dump(server.DSN(service, canary, "shop")), dump(dsn(t, r, s))); diff != "" {
		t.Errorf("dumps differ (-past +through the proxy):\n%s", diff)
	}
}
