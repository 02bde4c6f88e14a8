// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// compare runs a suite at both places and prints what came of it.
func compare(ctx context.Context, s *suite, verbose bool) error {
	direct, err := runAt(ctx, s, false)
	if err != nil {
		return err
	}
	proxied, err := runAt(ctx, s, true)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s %s\n\n| | passed | failed | skipped |\n|---|---:|---:|---:|\n", s.name, s.version)
	for _, side := range []struct {
		name string
		outcomes
	}{{"direct", direct}, {"through the proxy", proxied}} {
		fmt.Printf("| %s | %d | %d | %d |\n", side.name, side.count(passed), side.count(failed), side.count(skipped))
	}
	differ := differing(direct, proxied)
	if len(differ) == 0 {
		fmt.Println("\nNo test differs.")
		return nil
	}
	fmt.Printf("\n| test | direct | through the proxy |\n|---|---|---|\n")
	for _, name := range differ {
		fmt.Printf("| %s | %s | %s |\n", name, resultOf(direct, name), resultOf(proxied, name))
	}
	if verbose {
		for _, name := range differ {
			if one := proxied[name]; one.result != passed {
				fmt.Printf("\n--- %s\n%s\n", name, indented(one.output))
			}
		}
	}
	return nil
}

// runAt runs a suite on one way.
func runAt(ctx context.Context, s *suite, proxied bool) (outcomes, error) {
	way, run := "direct", s.run
	if proxied {
		way = "through the proxy"
	}
	if run == nil {
		run = s.onDatabase
	}
	fmt.Fprintf(os.Stderr, "%s %s: %s\n", s.name, s.version, way)
	got, err := run(ctx, proxied)
	if err == nil && len(got) == 0 {
		err = errors.New("no test was run")
	}
	return got, err
}

// onDatabase runs a driver's suite at one place of a fresh site.
func (s *suite) onDatabase(ctx context.Context, proxied bool) (_ outcomes, err error) {
	opened, err := openSite(ctx, s.database, s.statements, s.settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, opened.close()) }()
	if proxied {
		return s.tests(ctx, opened.proxied)
	}
	return s.tests(ctx, opened.direct)
}

// differing names the tests that did not end alike, sorted.
func differing(direct, proxied outcomes) []string {
	all := map[string]bool{}
	for name := range direct {
		all[name] = true
	}
	for name := range proxied {
		all[name] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool {
		return direct[name].result == proxied[name].result
	})
}

func resultOf(o outcomes, name string) string {
	if one, ran := o[name]; ran {
		return one.result
	}
	return "not run"
}

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
