// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// benchThroughput moves content on all paths.
func benchThroughput(ctx context.Context, s settings, p *place) error {
	paths, err := p.peers(ctx, s)
	if err != nil {
		return err
	}
	return p.compare(ctx, s, paths, func([]*master, []flow) error { return nil })
}

// compare logs in on paths, lets them take turns with each flow and prints tables; then
// calls after with the masters, while they are logged in.
func (p *place) compare(ctx context.Context, s settings, paths []path, after func([]*master, []flow) error) (err error) {
	flows, err := p.flows(s)
	if err != nil {
		return err
	}
	var masters []*master
	defer func() {
		for _, m := range masters {
			err = errors.Join(err, m.stop())
		}
	}()
	for _, to := range paths {
		m, err := p.login(ctx, to)
		if err != nil {
			return err
		}
		masters = append(masters, m)
	}
	for _, f := range flows {
		results := map[string][]sample{}
		for round := range s.rounds + 1 { // the first is dropped
			for _, m := range masters {
				got, err := f.move(ctx, m)
				if err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "sample\t%s\t%s\t%.0f\t%s\n", f.name, m.name, rate(f, got.took), got.cpu)
				if round > 0 {
					results[m.name] = append(results[m.name], got)
				}
			}
		}
		report(os.Stdout, f, paths, results)
	}
	return after(masters, flows)
}

// rate is in MB/s.
func rate(f flow, took time.Duration) float64 { return float64(f.size) / 1e6 / took.Seconds() }

// report prints a table in Markdown.
func report(out io.Writer, f flow, paths []path, results map[string][]sample) {
	fmt.Fprintf(out, "| %s | MB/s | of %s | least, most | CPU s/GB |\n|---|---:|---:|---:|---:|\n", f.name, paths[0].name)
	took := func(s sample) float64 { return s.took.Seconds() }
	first := median(results[paths[0].name], took)
	for _, to := range paths {
		middle := median(results[to.name], took)
		least, most := spread(results[paths[0].name], results[to.name])
		cpu := ""
		if to.pid != 0 {
			cpu = fmt.Sprintf("%.2f", median(results[to.name], func(s sample) float64 { return s.cpu.Seconds() })/float64(f.size)*1e9)
		}
		fmt.Fprintf(out, "| %s | %.0f | %.2f | %.2f, %.2f | %s |\n", to.name, float64(f.size)/1e6/middle, first/middle, least, most, cpu)
	}
	fmt.Fprintln(out)
}

// spread is the least and the most that a path reached of the first one's rate in the same turn.
func spread(first, own []sample) (least, most float64) {
	var ratios []float64
	for i := range own {
		ratios = append(ratios, first[i].took.Seconds()/own[i].took.Seconds())
	}
	return slices.Min(ratios), slices.Max(ratios)
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
