// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package load puts a log under load and measures it: what the benchmark of
// our log and those of other libraries have in common.
package load

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Settings say how a log is loaded.
type Settings struct {
	// Writers is the number of goroutines, each of which appends one record
	// after the other.
	Writers int
	// Duration is how long they do so.
	Duration time.Duration
	// Pause is what each waits between two records, as for its target's answer.
	Pause time.Duration
}

// Result is what was measured. Results of several runs may be added up.
type Result struct {
	// Times are the durations of the appends, Syncs how many syncs of the disk
	// ended during each.
	Times []time.Duration
	Syncs []int
	// Took is the time of the whole run, CPU what the process used of the
	// processors, Total the syncs in it.
	Took  time.Duration
	CPU   time.Duration
	Total int
}

// Add adds another run.
func (r *Result) Add(other Result) {
	r.Times = append(r.Times, other.Times...)
	r.Syncs = append(r.Syncs, other.Syncs...)
	r.Took += other.Took
	r.CPU += other.CPU
	r.Total += other.Total
}

// Run appends for a while. Syncs is the number of syncs up to now; both
// functions are called by many goroutines at once.
func Run(s Settings, appendOne func() error, syncs func() int) (Result, error) {
	each := make([]Result, s.Writers)
	errs := make([]error, s.Writers)
	var group sync.WaitGroup
	began, used, before := time.Now(), cpuTime(), syncs()
	for w := range s.Writers {
		group.Go(func() {
			r := &each[w]
			for time.Since(began) < s.Duration {
				at, start := syncs(), time.Now()
				if errs[w] = appendOne(); errs[w] != nil {
					return
				}
				r.Times = append(r.Times, time.Since(start))
				r.Syncs = append(r.Syncs, syncs()-at)
				if s.Pause > 0 {
					<-time.After(s.Pause)
				}
			}
		})
	}
	group.Wait()
	all := Result{Took: time.Since(began), CPU: cpuTime() - used, Total: syncs() - before}
	for _, r := range each {
		all.Times = append(all.Times, r.Times...)
		all.Syncs = append(all.Syncs, r.Syncs...)
	}
	if len(all.Times) == 0 {
		errs = append(errs, errors.New("nothing was appended"))
	}
	return all, errors.Join(errs...)
}

// Rate is the number of appends a second.
func (r *Result) Rate() float64 { return float64(len(r.Times)) / r.Took.Seconds() }

// Cost is the CPU time of one append, what drives the load included.
func (r *Result) Cost() time.Duration { return r.CPU / time.Duration(max(len(r.Times), 1)) }

// cpuTime is the user and system time of this process so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// PerSync is the number of records that shared a sync.
func (r *Result) PerSync() float64 { return float64(len(r.Times)) / float64(max(r.Total, 1)) }

// Time is a quantile of the durations, q from 0 to 1.
func (r *Result) Time(q float64) time.Duration { return quantile(r.Times, q) }

// Waited is a quantile of the syncs that ended during an append.
func (r *Result) Waited(q float64) int { return quantile(r.Syncs, q) }

func quantile[T int | time.Duration](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
