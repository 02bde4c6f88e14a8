// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// series are times of one kind.
type series []time.Duration

// add adds how long after the request's return something happened. What happened before
// it returned took no time.
func (s *series) add(accepted time.Time, all ...time.Time) {
	for _, at := range all {
		*s = append(*s, max(0, at.Sub(accepted)))
	}
}

// percentile is the least time that the given part, of one, does not exceed.
func (s series) percentile(part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, min(len(sorted), int(math.Ceil(part*float64(len(sorted)))))-1)]
}

func (s series) String() string {
	if len(s) == 0 {
		return "- | - | - | - | -"
	}
	text := make([]string, 0, 5)
	text = append(text, fmt.Sprint(len(s)))
	for _, part := range []float64{0.5, 0.9, 0.99, 1} {
		text = append(text, fmt.Sprintf("%d", s.percentile(part).Milliseconds()))
	}
	return strings.Join(text, " | ")
}

// results are the rows of the table.
type results struct{ rows []string }

const tableHead = "| change | until | times | p50, ms | p90, ms | p99, ms | longest, ms |\n|---|---|---|---|---|---|---|\n"

// add adds a row.
func (r *results) add(t *testing.T, change, until string, s series) {
	t.Helper()
	row := fmt.Sprintf("| %s | %s | %s |", change, until, s)
	t.Log(row)
	r.rows = append(r.rows, row)
}

func (r *results) print() { fmt.Print(tableHead + strings.Join(r.rows, "\n") + "\n") }

// TestPercentile: the nearest rank, of which a few times make no less than they are.
func TestPercentile(t *testing.T) {
	var hundred series
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for name, tc := range map[string]struct {
		reason string
		of     series
		part   float64
		want   time.Duration
	}{
		"Median":  {reason: "the 50th of 100", of: hundred, part: 0.5, want: 50},
		"Late":    {reason: "the 99th of 100", of: hundred, part: 0.99, want: 99},
		"Longest": {reason: "the last", of: hundred, part: 1, want: 100},
		"Few":     {reason: "of three, 99 of 100 are all three", of: series{3, 1, 2}, part: 0.99, want: 3},
		"One":     {reason: "there is no other", of: series{7}, part: 0.5, want: 7},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.of.percentile(tc.part); got != tc.want {
				t.Errorf("%s: got %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
