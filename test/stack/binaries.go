// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/doorward/doorward/test/testenv"
)

// Binaries are the product's programs, as users run them.
type Binaries struct {
	Manager string
	Proxy   string
	// Plugin is kubectl-doorward.
	Plugin string
}

// Beside names the programs in the folder of another, where `make build` puts them.
func Beside(program string) Binaries {
	return in(filepath.Dir(program))
}

func in(dir string) Binaries {
	return Binaries{
		Manager: filepath.Join(dir, "manager"), Proxy: filepath.Join(dir, "proxy"), Plugin: filepath.Join(dir, "kubectl-doorward"),
	}
}

// Build compiles the product's programs into bin/, or bin/race/ with the race
// detector. The build cache makes repetition cheap.
func Build(ctx context.Context, race bool) (Binaries, error) {
	root := testenv.Root()
	dir := filepath.Join(root, "bin")
	args := []string{"build"}
	if race {
		dir = filepath.Join(dir, "race")
		args = append(args, "-race")
	}
	built := in(dir)
	args = append(args, "-o", dir+string(filepath.Separator), "./cmd/manager", "./cmd/proxy", "./cmd/kubectl-doorward")
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		return Binaries{}, errors.Join(fmt.Errorf("cannot build the programs: %s", output), err)
	}
	return built, nil
}
