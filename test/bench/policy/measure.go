// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// measured is what one kind of work took, for each turn.
type measured struct {
	p50, p99 time.Duration
	// cpu is the processor time, the garbage collector's with it. Other than the time that
	// passes it depends little on what else the machine does.
	cpu    time.Duration
	allocs float64
	bytes  float64
}

// samples is how many times work is timed; where there are more turns, several at once.
const samples = 2000

// measure times turns of work, which gets their numbers.
func measure(turns int, work func(turn int) error) (measured, error) {
	each := max(turns/samples, 1)
	times := make([]time.Duration, 0, turns/each)
	for turn := range turns / 20 { // what is only made once
		if err := work(-1 - turn); err != nil {
			return measured{}, err
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	used := processorTime()
	for turn := 0; turn+each <= turns; {
		began := time.Now()
		for range each {
			if err := work(turn); err != nil {
				return measured{}, err
			}
			turn++
		}
		times = append(times, time.Since(began)/time.Duration(each))
	}
	used = processorTime() - used
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	n := float64(len(times) * each)
	return measured{
		p50: times[len(times)/2], p99: times[len(times)*99/100], cpu: time.Duration(float64(used) / n),
		allocs: float64(after.Mallocs-before.Mallocs) / n, bytes: float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// micros is a time in microseconds.
func micros(d time.Duration) string {
	if us := float64(d) / 1e3; us < 10 {
		return fmt.Sprintf("%.2f", us)
	}
	return fmt.Sprintf("%.0f", float64(d)/1e3)
}
