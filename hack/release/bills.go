// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/doorward/doorward/hack/gobuild"
	"github.com/doorward/doorward/hack/image/product"
)

// bills writes a CycloneDX bill of materials for each binary, from the list of
// modules that the linker has put into it.
func (r *release) bills(ctx context.Context) error {
	for _, target := range r.servers {
		for _, command := range product.Commands() {
			if err := r.bill(ctx, target, command); err != nil {
				return err
			}
		}
	}
	for _, target := range r.users {
		if err := r.bill(ctx, target, pluginCommand); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) bill(ctx context.Context, target gobuild.Target, command string) error {
	list := exec.CommandContext(ctx, filepath.Join(r.tools, "cyclonedx-gomod"), "bin", "-json", "-std", "-noserial", "-notimestamp",
		"-version", r.source.Version, filepath.Join(r.folder(target), target.Executable(command)))
	var problem strings.Builder
	list.Stderr = &problem
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("cannot list what %q is made of: %w: %s", command, err, strings.TrimSpace(problem.String()))
	}
	bill, err := settle(out, r.source.Time)
	if err != nil {
		return fmt.Errorf("cannot list what %q is made of: %w", command, err)
	}
	return os.WriteFile(r.file(command, target, ".cdx.json"), bill, 0o644)
}

// settle gives the bill the commit's time, and takes the checksums of the tool
// away, which differ between the machines that a release is made on.
func settle(bill []byte, when time.Time) ([]byte, error) {
	var document map[string]any
	if err := json.Unmarshal(bill, &document); err != nil {
		return nil, err
	}
	metadata, isObject := document["metadata"].(map[string]any)
	if !isObject {
		return nil, fmt.Errorf("not a bill of materials in CycloneDX: %.100q", bill)
	}
	metadata["timestamp"] = when.UTC().Format(time.RFC3339)
	tools, _ := metadata["tools"].([]any)
	for _, each := range tools {
		if tool, isObject := each.(map[string]any); isObject {
			delete(tool, "hashes")
		}
	}
	settled, err := json.MarshalIndent(document, "", " ")
	return append(settled, '\n'), err
}
