// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgquery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build returns the path of the process, bin/pgquery of the work tree. It is built
// where it is missing or older than its module, which `make test` does beforehand.
func build(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module: %w", err)
	}
	module, compiler, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if module == "" || module == os.DevNull {
		return "", errors.New("cannot find the module: run the tests in the work tree")
	}
	root := filepath.Dir(module)
	target := filepath.Join(root, "bin", "pgquery")
	// The same flags as the Makefile's, so that what that built is not built again.
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", target, ".")
	command.Dir = filepath.Join(root, "test", "pgquery", "server")
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	if said, err := command.CombinedOutput(); err != nil {
		if program := strings.Fields(compiler); len(program) > 0 {
			if _, missing := exec.LookPath(program[0]); missing != nil {
				return "", fmt.Errorf("cannot build PostgreSQL's parser: the C compiler is missing: %q: run hack/install-deps.sh build", program[0])
			}
		}
		return "", fmt.Errorf("cannot build PostgreSQL's parser: it needs cgo, a C compiler and the C library's headers (hack/install-deps.sh build): %w: %s",
			err, strings.TrimSpace(string(said)))
	}
	return target, nil
}
