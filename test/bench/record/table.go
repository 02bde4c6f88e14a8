// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/doorward/doorward/test/bench/record/load"
)

// row is one line of the table: what one of several kinds of run measured.
type row struct {
	name   string
	result load.Result
	// run makes one more run.
	run func() (load.Result, error)
	// disk is the row that this one is held against; its own where nil.
	disk *row
}

// report prints the table in Markdown. A record that comes while a group is
// written waits for the rest of that sync and for its own: "syncs waited"
// counts those that ended meanwhile, whatever the machine does beside.
func report(rows []*row) {
	head := []string{"", "records/s", "p50 ms", "p99 ms", "max ms", "records/sync", "CPU µs", "p99: syncs waited", "p99: of the disk's p50", "p99: of the disk's p99"}
	fmt.Println("| " + strings.Join(head, " | ") + " |")
	fmt.Println("|---|" + strings.Repeat("---:|", len(head)-1))
	for _, r := range rows {
		p99, disk := r.result.Time(0.99), r.disk
		if disk == nil {
			disk = r
		}
		fmt.Printf("| %s | %.0f | %s | %s | %s | %.1f | %s | %d | %.1f | %.1f |\n", r.name, r.result.Rate(),
			milliseconds(r.result.Time(0.5)), milliseconds(p99), milliseconds(r.result.Time(1)), r.result.PerSync(),
			cost(r.result.Cost()), r.result.Waited(0.99),
			float64(p99)/float64(disk.result.Time(0.5)), float64(p99)/float64(disk.result.Time(0.99)))
	}
	fmt.Println()
}

// cost is empty where it was not measured.
func cost(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", d.Seconds()*1e6)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()*1000) }

// load1 is the machine's load average over the last minute (proc(5), loadavg),
// or "unknown".
func load1() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(content), " ")
	return first
}
