// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command policy measures what policies cost: decisions, from the cache and evaluated,
// with 10, 200 and 2,000 rules; modules of policies with Rego, and their bounds; how often
// the cache knows the answer; and the replay of recorded operations by the plugin. It
// prints the tables of docs/benchmarks.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"

	"github.com/doorward/doorward/test/bench/profile"
)

// settings are those of the command line.
type settings struct {
	turns int
	// mixed is how many operations the cache is measured with.
	mixed int
	// plugin is the program of which replay is measured.
	plugin     string
	operations int
	dir        string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var s settings
	parts := flag.String("parts", "decisions,modules,cache,replay", "what to measure")
	profilePath := flag.String("cpuprofile", "", "file for a CPU profile")
	flag.IntVar(&s.turns, "turns", 20000, "evaluated decisions of each kind that are measured")
	flag.IntVar(&s.mixed, "mixed", 200_000, "operations that the cache is measured with")
	flag.StringVar(&s.plugin, "plugin", "bin/kubectl-doorward", "program that replays")
	flag.IntVar(&s.operations, "operations", 100_000, "operations on record")
	flag.StringVar(&s.dir, "dir", "", "directory for the records; a temporary one where empty")
	flag.Parse()
	if err := profile.CPU(*profilePath, func() error { return bench(ctx, s, strings.Split(*parts, ",")) }); err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func bench(ctx context.Context, s settings, parts []string) error {
	known := map[string]func(context.Context, settings) error{"decisions": decisions, "modules": modules, "cache": caches, "replay": replays}
	for _, name := range parts {
		run := known[name]
		if run == nil {
			return fmt.Errorf("no such part: %q: want decisions, modules, cache or replay", name)
		}
		fmt.Printf("%d processors, load average %s before:\n\n", runtime.GOMAXPROCS(0), load1())
		if err := run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("\nLoad average %s after.\n\n", load1())
	}
	return nil
}

// load1 is the machine's load average over the last minute (proc(5), loadavg), or
// "unknown".
func load1() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(content), " ")
	return first
}
