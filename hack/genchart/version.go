// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
)

// versionSource is where the version of everything is written.
const versionSource = "charts/doorward/Chart.yaml"

// A versionCopy is a place that repeats the version, between the two groups of its pattern.
type versionCopy struct {
	path    string
	pattern *regexp.Regexp
}

var versionCopies = []versionCopy{
	{versionSource, regexp.MustCompile(`(?m)^(appVersion: *")[^"]*(")$`)},
	{"charts/doorward-crds/Chart.yaml", regexp.MustCompile(`(?m)^(version: *)\S+()$`)},
	{"charts/doorward-crds/Chart.yaml", regexp.MustCompile(`(?m)^(appVersion: *")[^"]*(")$`)},
	{"charts/doorward/Chart.yaml", regexp.MustCompile(`(?m)^( *image: ghcr\.io/doorward/doorward:)\S+()$`)},
	{"config/default/kustomization.yaml", regexp.MustCompile(`(?m)^( *newTag: *)\S+()$`)},
}

// copyVersion writes the version wherever it is repeated.
func copyVersion() error {
	chart, err := os.ReadFile(versionSource)
	if err != nil {
		return fmt.Errorf("cannot read version: %w", err)
	}
	found := regexp.MustCompile(`(?m)^version: *([0-9A-Za-z.-]+)$`).FindSubmatch(chart)
	if found == nil {
		return fmt.Errorf("no version: %q", versionSource)
	}
	for _, c := range versionCopies {
		text, err := os.ReadFile(c.path)
		if err != nil {
			return fmt.Errorf("cannot read file with a version: %w", err)
		}
		if !c.pattern.Match(text) {
			return fmt.Errorf("no place for the version: %q: %s", c.path, c.pattern)
		}
		text = c.pattern.ReplaceAll(text, []byte("${1}"+string(found[1])+"${2}"))
		if err := os.WriteFile(c.path, text, 0o644); err != nil {
			return fmt.Errorf("cannot write version: %w", err)
		}
	}
	return nil
}
