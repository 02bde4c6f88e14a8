// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// turns say how paths take turns.
type turns struct {
	rounds   int
	duration time.Duration
	// warmUp is the length of a first turn that is dropped; none where 0.
	warmUp time.Duration
}

// measure lets the paths take turns.
func measure(ctx context.Context, binDir string, paths []path, w workload, t turns) (map[string][]sample, error) {
	results := map[string][]sample{}
	for round := range t.rounds + 1 {
		length := t.duration
		if round == 0 {
			length = t.warmUp
		}
		if length == 0 {
			continue
		}
		for _, p := range paths {
			got, err := pgbench(ctx, binDir, p, w, length)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "sample\t%s\t%.0f\t%s\n", p.name, got.tps, got.cpu)
			if round > 0 {
				results[p.name] = append(results[p.name], got)
			}
		}
		fmt.Fprintf(os.Stderr, "%s, %s, %d clients: turn %d of %d\n", w.script, w.mode, w.clients, round, t.rounds)
	}
	return results, nil
}

// medians are the medians of one path's turns.
func medians(samples []sample) sample {
	return sample{
		tps:     median(samples, func(s sample) float64 { return s.tps }),
		latency: time.Duration(median(samples, func(s sample) float64 { return float64(s.latency) })),
		cpu:     time.Duration(median(samples, func(s sample) float64 { return float64(s.cpu) })),
	}
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// report prints a table in Markdown, with ratios to the peers that are among the paths.
func report(out io.Writer, paths []path, results map[string][]sample, w workload) {
	of := map[string]sample{}
	for _, p := range paths {
		of[p.name] = medians(results[p.name])
	}
	var peers []string
	for _, name := range []string{direct, pgbouncer, relayName} {
		if _, ok := of[name]; ok {
			peers = append(peers, name)
		}
	}
	fmt.Fprintf(out, "| %s, %s, %d client%s | tps | latency |", w.script, w.mode, w.clients, plural(w.clients))
	for _, name := range peers {
		fmt.Fprintf(out, " of %s |", name)
	}
	fmt.Fprintf(out, " CPU/transaction |\n|---|%s---:|\n", strings.Repeat("---:|", 2+len(peers)))
	for _, p := range paths {
		m := of[p.name]
		fmt.Fprintf(out, "| %s | %.0f | %s |", p.name, m.tps, m.latency.Round(time.Microsecond))
		for _, name := range peers {
			fmt.Fprintf(out, " %.2f |", m.tps/of[name].tps)
		}
		cpu := ""
		if p.pid != 0 {
			cpu = m.cpu.Round(100 * time.Nanosecond).String()
		}
		fmt.Fprintf(out, " %s |\n", cpu)
	}
	fmt.Fprintln(out)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// reportAudit prints a table in Markdown.
func reportAudit(out io.Writer, paths []path, results map[string][]sample, w workload) {
	of := map[string]sample{}
	for _, p := range paths {
		of[p.name] = medians(results[p.name])
	}
	fmt.Fprintf(out, "| %s, %d client%s | tps | latency | of %s | of %s | CPU/transaction |\n|---|---:|---:|---:|---:|---:|\n",
		w.script, w.clients, plural(w.clients), noRecord, local)
	for _, p := range paths {
		m, cpu := of[p.name], ""
		if p.pid != 0 {
			cpu = m.cpu.Round(100 * time.Nanosecond).String()
		}
		fmt.Fprintf(out, "| %s | %.0f | %s | %.2f | %.2f | %s |\n",
			p.name, m.tps, m.latency.Round(time.Microsecond), m.tps/of[noRecord].tps, m.tps/of[local].tps, cpu)
	}
	fmt.Fprintln(out)
}
