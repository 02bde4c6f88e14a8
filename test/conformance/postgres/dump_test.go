// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leftOut is what the proxy does not give: the connection strings of
// subscriptions, which pg_dump asks for where the stored credential is a
// superuser's, and large objects, which it reads by function calls of the wire
// protocol.
var leftOut = []string{"--no-subscriptions", "--no-blobs"}

//go:embed source.sql
var sourceSQL string

// restored names the databases that dumps are restored into.
func restored(n int) string { return fmt.Sprintf("restored_%d", n) }

// load makes the database that is dumped, through the proxy.
func load(t *testing.T, through side) {
	t.Helper()
	command := through.in(databaseSource).program(t, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1")
	command.Stdin = strings.NewReader(sourceSQL)
	output(t, command)
}

// TestDumpAndRestore: pg_dump makes the same dump through the proxy as on a
// direct connection, in each format and with parallel jobs; and what is restored
// through the proxy is what was dumped.
func TestDumpAndRestore(t *testing.T) {
	direct, proxied := sides()
	load(t, proxied)
	source := output(t, direct.in(databaseSource).program(t, "pg_dump", leftOut...))
	tests := []struct {
		name, reason string
		dump         []string
		// restore are pg_restore's arguments; psql restores where nil.
		restore []string
		psql    []string
	}{
		{name: "Text", reason: "a script, restored by psql in one transaction", dump: []string{"-Fp"}, psql: []string{"-1"}},
		{name: "Inserts", reason: "rows as INSERT", dump: []string{"-Fp", "--inserts", "--rows-per-insert=1000"}},
		{name: "Custom", reason: "one file", dump: []string{"-Fc"}, restore: []string{"--single-transaction"}},
		{name: "CustomJobs", reason: "one file, several connections at once", dump: []string{"-Fc", "-Z0"}, restore: []string{"-j", "3"}},
		{name: "Directory", reason: "a folder, several connections that share a snapshot", dump: []string{"-Fd", "-j", "3"}, restore: []string{"-j", "3"}},
	}
	for n, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := server.Exec(t.Context(), "CREATE DATABASE "+restored(n)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "dump")
			output(t, proxied.in(databaseSource).program(t, "pg_dump", append(slices.Concat(tc.dump, leftOut), "-f", file)...))
			into := proxied.in(restored(n))
			if tc.restore == nil {
				output(t, into.program(t, "psql", append(tc.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file)...))
			} else {
				output(t, into.program(t, "pg_restore", append(tc.restore, "--exit-on-error", "-d", restored(n), file)...))
			}
			got := output(t, direct.in(restored(n)).program(t, "pg_dump", leftOut...))
			if wash(got) != wash(source) {
				t.Errorf("%s: what was restored differs", tc.reason)
				same(t, source, got)
			}
		})
	}
}

// TestDumpAsDirect: the dump itself, schema and data, is the same to the letter.
func TestDumpAsDirect(t *testing.T) {
	direct, proxied := sides()
	for name, args := range map[string][]string{
		"All": nil, "Schema": {"--schema-only", "--create", "--clean", "--if-exists"}, "Data": {"--data-only", "--column-inserts", "--disable-triggers"},
		"Snapshot": {"--serializable-deferrable", "--load-via-partition-root"}, "Table": {"-t", "pg_catalog.pg_namespace", "--no-owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args = append(args, leftOut...)
			same(t, output(t, direct.program(t, "pg_dump", args...)), output(t, proxied.in(databaseDirect).program(t, "pg_dump", args...)))
		})
	}
}
