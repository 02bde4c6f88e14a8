// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// alike runs a client on both sides. What it prints is all that it sees.
func alike(t *testing.T, path string, args ...string) {
	t.Helper()
	direct, proxied := sides()
	want := output(t, direct.command(t, path, args...))
	if strings.Count(want, "\n") < 20 || !strings.HasSuffix(want, "end\n") {
		t.Fatalf("the client did not do its work:\n%s", want)
	}
	same(t, want, output(t, proxied.command(t, path, args...)))
}

// debianPython is where Debian's drivers for Python are.
const debianPython = "/usr/bin/python3"

// TestPsycopg: psycopg 3 with text and binary results, pipelines and COPY, and
// psycopg2, which puts values into the text; as Debian ships them.
func TestPsycopg(t *testing.T) {
	for _, driver := range []string{"psycopg", "psycopg2"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			alike(t, debianPython, "-B", filepath.Join("clients", driver+"_client.py"))
		})
	}
}

// jdbc is where Debian puts the driver.
const jdbc = "/usr/share/java/postgresql.jar"

// TestJDBC: PostgreSQL's driver for Java, as Debian ships it: server-side
// prepared statements, batches, cursors with a fetch size, COPY, metadata.
func TestJDBC(t *testing.T) {
	t.Parallel()
	java, err := exec.LookPath("java")
	if err != nil {
		t.Fatal("java is missing: run `make install-deps`")
	}
	alike(t, java, "-XX:TieredStopAtLevel=1", "-cp", jdbc, filepath.Join("clients", "Client.java"))
}
