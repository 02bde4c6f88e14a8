// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgpod

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/doorward/doorward/hack/image/oci"
	"github.com/doorward/doorward/test/cluster"
	"github.com/doorward/doorward/test/pgtest"
)

// Name of the image.
const Name = "doorward.test/postgres:1"

// user is whom the server runs as; initdb wants a name for it.
const (
	user   = "65532"
	passwd = "postgres:x:" + user + ":" + user + "::/tmp:/bin/sh\n"
)

// programs are in the image besides PostgreSQL's own, by the path they have there.
var programs = map[string]string{"/bin/sh": "dash", "/bin/sleep": "sleep", "/bin/cat": "cat", "/bin/mkdir": "mkdir"}

// WriteImage writes the image as an archive that the node can load.
func WriteImage(ctx context.Context, archive string) error {
	bin, err := pgtest.BinDir()
	if err != nil {
		return err
	}
	files := map[string]string{}
	var entries []oci.Entry
	root := filepath.Dir(bin)
	for _, folder := range []string{root, filepath.Join("/usr/share/postgresql", filepath.Base(root))} {
		tree, err := oci.Tree(folder, folder)
		if err != nil {
			return fmt.Errorf("cannot read PostgreSQL's files: %w", err)
		}
		entries = append(entries, tree...)
	}
	executables := []string{filepath.Join(bin, "postgres"), filepath.Join(bin, "initdb"), filepath.Join(bin, "psql")}
	for path, program := range programs {
		source, err := exec.LookPath(program)
		if err != nil {
			return fmt.Errorf("cannot make the image of PostgreSQL: %w", err)
		}
		files[path] = source
		executables = append(executables, source)
	}
	for _, executable := range executables {
		libraries, err := needed(ctx, executable)
		if err != nil {
			return err
		}
		for _, library := range libraries {
			files[library] = library
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		source, err := filepath.EvalSymlinks(files[path])
		if err != nil {
			return fmt.Errorf("cannot make the image of PostgreSQL: %w", err)
		}
		entries = append(entries, oci.Entry{Path: path, Mode: 0o755, Source: source})
	}
	entries = append(entries, oci.Entry{Path: "/etc/passwd", Mode: 0o644, Content: []byte(passwd)})
	config := oci.Config{User: user + ":" + user, Env: []string{"PATH=" + bin + ":/bin"}, Entrypoint: []string{"/bin/sh"}}
	return cluster.WriteImage(archive, Name, config, entries...)
}

// library is a path in what ldd prints.
var library = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// needed are the shared libraries of an executable, and its loader.
func needed(ctx context.Context, executable string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", executable).Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list the libraries of %q: %w", executable, err)
	}
	var paths []string
	for _, match := range library.FindAllStringSubmatch(string(out), -1) {
		paths = append(paths, match[1])
	}
	return paths, nil
}
