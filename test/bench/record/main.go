// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command record measures the write-ahead log of records: appends per second
// and latency with several numbers of writers, beside what the disk itself
// does, an fdatasync after each write of the same size, in the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

func main() {
	dir := flag.String("dir", "", "directory on the disk to measure; a temporary one where empty")
	period := flag.Duration("duration", 2*time.Second, "how long each measurement takes")
	rounds := flag.Int("rounds", 1, "how often all measurements are repeated, interleaved")
	writers := flag.String("writers", "1,16,256", "numbers of concurrent writers")
	pause := flag.Duration("pause", 0, "what each writer waits between records, as for its target's answer")
	profile := flag.String("cpuprofile", "", "file for a CPU profile")
	flag.Parse()
	err := profiled(*profile, func() error { return run(*dir, *writers, *period, *pause, *rounds) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

// profiled calls work and writes its CPU profile where a path is given.
func profiled(path string, work func() error) error {
	if path == "" {
		return work()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = work()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func run(dir, writers string, period, pause time.Duration, rounds int) error {
	root, err := os.MkdirTemp(dir, "doorward-bench-")
	if err != nil {
		return err
	}
	err = measureAll(root, writers, period, pause, rounds)
	return errors.Join(err, os.RemoveAll(root))
}

func measureAll(root, writers string, period, pause time.Duration, rounds int) error {
	size := len(record.AppendJSON(nil, record.Position{LogID: strings.Repeat("0", 32)}, record.Hash{}, event()))
	fmt.Fprintf(os.Stdout, "%d processors, records of %d bytes\n\n", runtime.GOMAXPROCS(0), size)
	fmt.Fprintf(os.Stdout, "%-22s %12s %10s %10s %10s %14s\n", "", "per second", "p50 ms", "p99 ms", "max ms", "records/sync")
	for round := range rounds {
		name := filepath.Join(root, "disk")
		if err := disk(name, size, period); err != nil {
			return err
		}
		for field := range strings.SplitSeq(writers, ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 {
				return fmt.Errorf("number of writers not usable: %q", field)
			}
			if err := appends(filepath.Join(root, fmt.Sprintf("log-%d-%d", round, n)), n, period, pause); err != nil {
				return err
			}
		}
	}
	return nil
}

// disk measures write and fdatasync of one record in a preallocated file.
func disk(path string, size int, period time.Duration) error {
	const room = 16 << 20
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Write(make([]byte, room)); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	var times []time.Duration
	data := []byte(strings.Repeat("x", size))
	began := time.Now()
	for at := int64(0); time.Since(began) < period; at = (at + int64(size)) % (room - int64(size)) {
		start := time.Now()
		if _, err := file.WriteAt(data, at); err != nil {
			return err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return err
		}
		times = append(times, time.Since(start))
	}
	report("write + fdatasync", times, time.Since(began), 1)
	return nil
}

// countingDisk counts syncs of segments.
type countingDisk struct {
	spool.Disk
	syncs int
}

type countingSegment struct {
	spool.Segment
	disk *countingDisk
}

func (d *countingDisk) Create(path string, size int64) (spool.Segment, error) {
	s, err := d.Disk.Create(path, size)
	return countingSegment{s, d}, err
}

func (d *countingDisk) Open(path string) (spool.Segment, error) {
	s, err := d.Disk.Open(path)
	return countingSegment{s, d}, err
}

// Datasync is called by the log's one writer only.
func (s countingSegment) Datasync() error {
	s.disk.syncs++
	return s.Segment.Datasync()
}

func appends(dir string, writers int, period, pause time.Duration) error {
	ctx := context.Background()
	counting := &countingDisk{Disk: spool.OSDisk()}
	log, err := spool.Open(ctx, spool.Options{Dir: dir, MaxBytes: 8 << 30, SegmentBytes: spool.DefaultSegmentBytes, Disk: counting})
	if err != nil {
		return err
	}
	all := make([][]time.Duration, writers)
	errs := make([]error, writers)
	var group sync.WaitGroup
	began := time.Now()
	for w := range writers {
		group.Go(func() {
			for time.Since(began) < period {
				start := time.Now()
				if _, errs[w] = log.Append(ctx, *event()); errs[w] != nil {
					return
				}
				all[w] = append(all[w], time.Since(start))
				if pause > 0 {
					<-time.After(pause)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	if err := errors.Join(append(errs, log.Close(), os.RemoveAll(dir))...); err != nil {
		return err
	}
	times := slices.Concat(all...)
	report(fmt.Sprintf("append, %d writers", writers), times, took, float64(len(times))/float64(counting.syncs))
	return nil
}

func report(name string, times []time.Duration, took time.Duration, perSync float64) {
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))].Microseconds()) / 1000
	}
	fmt.Fprintf(os.Stdout, "%-22s %12.0f %10.3f %10.3f %10.3f %14.1f\n",
		name, float64(len(times))/took.Seconds(), at(0.5), at(0.99), at(1), perSync)
}

var actor = &identity.Principal{
	Provider: "corp", Issuer: "https://idp.example.com", Subject: "00u1", UserName: "alice@example.com",
	Groups: []string{"analysts", "staff"}, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Unix(1800000000, 0),
}

// event is a decision of ordinary size.
func event() *record.Event {
	return &record.Event{
		Type: record.OperationDecided, Session: "s-0123456789abcdef", Revision: 12, OperationID: 7, Actor: actor,
		Connection:    record.Connection{Namespace: "payments", Name: "orders", UID: "0d3c1e52-7a8b-4c1d-9e2f-001122334455"},
		ClientAddress: "192.0.2.7:50123",
		Operation: &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
			Digest:   "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			Accesses: []policy.Access{{Action: "select", Resource: "public.pgbench_accounts"}}, Parameters: 1,
		},
		Decision: &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "select"}}},
	}
}
