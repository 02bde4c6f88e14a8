// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/doorward/doorward/test/bench/record/load"
)

// libraries are those that the program of the folder peers knows.
var libraries = []string{"raft-wal", "tidwall/wal"}

// peer runs another library, in a process of its own because what it needs is
// not in the product's go.mod.
func peer(ctx context.Context, program, library, root string, size int, s load.Settings) (result load.Result, err error) {
	dir := filepath.Join(root, "peer")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, "-library", library, "-dir", dir, "-size", strconv.Itoa(size),
		"-writers", strconv.Itoa(s.Writers), "-duration", s.Duration.String())
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return result, fmt.Errorf("cannot run %q: %w: %s", program, err, complaint.Bytes())
	}
	if err := json.Unmarshal(output, &result); err != nil {
		return result, fmt.Errorf("cannot read what %q measured: %w", program, err)
	}
	return result, nil
}
