// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// benchLogin measures how long it takes to log in and run a command that does nothing.
func benchLogin(ctx context.Context, s settings, p *place) error {
	paths, err := p.peers(ctx, s)
	if err != nil {
		return err
	}
	results := map[string][]sample{}
	for round := range s.logins + 1 { // the first is dropped
		for _, to := range paths {
			got, err := p.logIn(ctx, to)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "sample\tlogin\t%s\t%s\t%s\n", to.name, got.took, got.cpu)
			if round > 0 {
				results[to.name] = append(results[to.name], got)
			}
		}
	}
	fmt.Printf("| login and `true` | ms | of %s | CPU ms |\n|---|---:|---:|---:|\n", direct)
	took := func(s sample) float64 { return s.took.Seconds() * 1e3 }
	first := median(results[direct], took)
	for _, to := range paths {
		middle := median(results[to.name], took)
		cpu := ""
		if to.pid != 0 {
			// The clock of CPU time is coarse: the mean of all turns.
			total := time.Duration(0)
			for _, s := range results[to.name] {
				total += s.cpu
			}
			cpu = fmt.Sprintf("%.1f", total.Seconds()*1e3/float64(len(results[to.name])))
		}
		fmt.Printf("| %s | %.0f | %.2f | %s |\n", to.name, middle, middle/first, cpu)
	}
	fmt.Println()
	return nil
}

// logIn logs in, runs a command and leaves.
func (p *place) logIn(ctx context.Context, to path) (sample, error) {
	before, err := to.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	if err := finish(p.client(ctx, "ssh", to, nil, "true"), to); err != nil {
		return sample{}, err
	}
	got := sample{took: time.Since(began)}
	after, err := to.cpu()
	got.cpu = after - before
	return got, err
}
