// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package servers builds real servers that tests talk to. Each is a folder below test: a
// module of its own, which either pins the server as its one tool or has a main
// package, so that what it needs never reaches the product's go.mod.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build returns the path of the executable of a server, such as sinks/s3server: in bin
// of the work tree. It is built where it is missing or older than its module, which
// `make test` does beforehand.
func Build(ctx context.Context, name string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "test", filepath.FromSlash(name))
	what := "tool"
	if _, err := os.Stat(filepath.Join(folder, "main.go")); err == nil {
		what = "."
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot look for server %q: %w", name, err)
	}
	target := filepath.Join(root, "bin", filepath.FromSlash(name))
	// The same flags as the Makefile's, so that what that built is not built again.
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", target, what)
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build server %q: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return target, nil
}

// moduleRoot is the folder of the go.mod that holds for the caller's test.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module: %w", err)
	}
	path := strings.TrimSpace(string(out))
	if path == "" || path == os.DevNull {
		return "", errors.New("cannot find the module: run the tests in the work tree")
	}
	return filepath.Dir(path), nil
}
