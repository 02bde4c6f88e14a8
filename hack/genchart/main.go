// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command genchart writes the parts of the Helm charts that config/ is the source of: the
// definitions, the admission policies and the roles; and the version wherever it is repeated.
// `make generate` runs it; test/charts holds what Helm renders against config/, object by object.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A part is a folder of config/ and the folder of templates that is made of it.
type part struct {
	from, to string
	// leaveOut names files that the chart has templates of its own for.
	leaveOut []string
	rewrite  func(name, text string) (string, error)
}

var parts = []part{
	{from: "config/crd/bases", to: "charts/doorward-crds/templates/crds", rewrite: definition},
	{from: "config/admission", to: "charts/doorward/templates/admission", leaveOut: []string{"kustomization.yaml"}, rewrite: policy},
	{from: "config/rbac", to: "charts/doorward/templates/rbac", leaveOut: []string{"kustomization.yaml", "service_account.yaml"}, rewrite: role},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "genchart:", err)
		os.Exit(1)
	}
}

func run() error {
	for _, p := range parts {
		if err := p.write(); err != nil {
			return err
		}
	}
	return copyVersion()
}

// write empties the folder of templates and fills it anew.
func (p part) write() error {
	sources, err := filepath.Glob(filepath.Join(p.from, "*.yaml"))
	if err != nil {
		return fmt.Errorf("cannot list sources: %q: %w", p.from, err)
	}
	if len(sources) == 0 {
		return fmt.Errorf("no sources: %q: run in the top folder of the work tree", p.from)
	}
	if err := errors.Join(os.RemoveAll(p.to), os.MkdirAll(p.to, 0o750)); err != nil {
		return fmt.Errorf("cannot empty folder of templates: %w", err)
	}
	for _, source := range sources {
		name := filepath.Base(source)
		if slices.Contains(p.leaveOut, name) {
			continue
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return fmt.Errorf("cannot read source: %w", err)
		}
		template, err := p.rewrite(name, string(text))
		if err != nil {
			return fmt.Errorf("cannot make template: %q: %w", source, err)
		}
		template = "{{- /* Made of " + source + " by hack/genchart. DO NOT EDIT. */ -}}\n" + template
		if err := os.WriteFile(filepath.Join(p.to, name), []byte(template), 0o644); err != nil {
			return fmt.Errorf("cannot write template: %w", err)
		}
	}
	return nil
}
