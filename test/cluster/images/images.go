// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package images assembles the images that pods of tests run: PostgreSQL and its clients, from
// the programs that this machine has installed, without a container engine or a registry.
package images

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/doorward/doorward/hack/image/oci"
	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/pgtest"
)

// Names of the images.
const (
	// PostgreSQLName is a server and psql, for user 999. The first start makes a database
	// cluster below /var/lib/postgresql, where a volume belongs; see pgserver for its settings.
	PostgreSQLName = "doorward.test/postgresql:latest"
	// ClientName has psql, pgbench and pg_isready, for user 65532. Its entrypoint runs its
	// arguments with variables read from files, or waits until it is told to end.
	ClientName = "doorward.test/psql:latest"
)

// PostgreSQLManifest is a Service, a StatefulSet and a ConfigMap "postgres" with the password in
// a Secret, for `kubectl apply`: a server that holds the restricted Pod Security Standard.
//
//go:embed postgresql.yaml
var PostgreSQLManifest string

// ClientManifest is a pod "psql" that waits for `kubectl exec`.
//
//go:embed client.yaml
var ClientManifest string

// All writes every image into the folder and returns the archives' paths.
func All(ctx context.Context, dir string) ([]string, error) {
	var archives []string
	for name, write := range map[string]func(context.Context, string) error{"postgresql.tar": PostgreSQL, "psql.tar": Client} {
		archive := filepath.Join(dir, name)
		if err := write(ctx, archive); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// PostgreSQL writes the archive of [PostgreSQLName].
func PostgreSQL(ctx context.Context, archive string) error {
	bin, err := pgtest.BinDir()
	if err != nil {
		return err
	}
	libraries, err := configured(ctx, bin, "--pkglibdir")
	if err != nil {
		return err
	}
	share, err := configured(ctx, bin, "--sharedir")
	if err != nil {
		return err
	}
	contents := bundle{}
	modules, err := filepath.Glob(filepath.Join(libraries, "*.so"))
	if err != nil {
		return fmt.Errorf("cannot look for PostgreSQL's modules: %w", err)
	}
	paths := []string{"/bin/sh"} // initdb runs the server by it
	for _, name := range []string{"postgres", "initdb", "psql", "pg_isready"} {
		paths = append(paths, filepath.Join(bin, name))
	}
	for _, module := range modules {
		// What compiles queries is ten times as large as the rest; sepgsql needs SELinux.
		if name := filepath.Base(module); name != "llvmjit.so" && name != "sepgsql.so" {
			paths = append(paths, module)
		}
	}
	if err := contents.programs(ctx, paths...); err != nil {
		return err
	}
	for _, folder := range []string{share, "/usr/share/zoneinfo", "/usr/lib/locale/C.utf8"} {
		if err := contents.folder(folder); err != nil {
			return err
		}
	}
	contents.content("/etc/passwd", "root:x:0:0:root:/:/sbin/nologin\npostgres:x:999:999:PostgreSQL:/var/lib/postgresql:/sbin/nologin\n")
	contents.content("/etc/group", "root:x:0:\npostgres:x:999:\n")
	return write(ctx, archive, PostgreSQLName, "pgserver", contents, oci.Config{
		User: "999:999", Entrypoint: []string{"/pgserver"},
		Env: []string{
			"PATH=" + bin, "PGHOST=/var/lib/postgresql", "PGUSER=postgres", "PGDATA=/var/lib/postgresql/data",
		},
		// Of PostgreSQL's ways to end this one does not wait for its clients.
		StopSignal: "SIGINT",
	})
}

// Client writes the archive of [ClientName].
func Client(ctx context.Context, archive string) error {
	bin, err := pgtest.BinDir()
	if err != nil {
		return err
	}
	contents := bundle{}
	if err := contents.programs(ctx, filepath.Join(bin, "psql"), filepath.Join(bin, "pgbench"), filepath.Join(bin, "pg_isready")); err != nil {
		return err
	}
	contents.content("/etc/passwd", "client:x:65532:65532:client:/tmp:/sbin/nologin\n")
	return write(ctx, archive, ClientName, "client", contents, oci.Config{
		User: "65532:65532", Entrypoint: []string{"/client"}, Env: []string{"PATH=" + bin, "HOME=/tmp"},
	})
}

// write builds the entrypoint, a package beside this one, and writes the image with it.
func write(ctx context.Context, archive, name, entrypoint string, contents bundle, config oci.Config) error {
	dir, err := os.MkdirTemp("", "doorward-image-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for image %q: %w", name, err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, entrypoint)
	if err := cluster.BuildStatic(ctx, binary, "./test/cluster/images/"+entrypoint); err != nil {
		return err
	}
	contents.add("/"+entrypoint, binary)
	return cluster.WriteImage(archive, name, config, contents.entries()...)
}

// configured asks pg_config for a folder.
func configured(ctx context.Context, bin, what string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "pg_config"), what).Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask pg_config for %s: %w", what, err)
	}
	return strings.TrimSpace(string(out)), nil
}
