// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command record measures the write-ahead log of records: appends per second
// and latency with several numbers of writers, beside what the disk itself
// does, an fdatasync after each write of the same size, and beside what other
// libraries do, in the same run. All kinds of run take turns, so that what else
// the machine does meets them alike.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/bench/profile"
	"github.com/doorward/doorward/test/bench/record/load"
)

// settings are those of the command line.
type settings struct {
	dir      string
	writers  []int
	duration time.Duration
	pause    time.Duration
	rounds   int
	peers    string
	// only is what the names of the kinds of run that are made begin with.
	only string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var s settings
	var writers, profilePath string
	flag.StringVar(&s.dir, "dir", "", "directory on the disk to measure; a temporary one where empty")
	flag.DurationVar(&s.duration, "duration", 2*time.Second, "length of one run")
	flag.IntVar(&s.rounds, "rounds", 3, "turns of each kind of run")
	flag.StringVar(&writers, "writers", "1,16,256", "numbers of concurrent writers")
	flag.DurationVar(&s.pause, "pause", 10*time.Millisecond, "what each writer of the paced run waits between records, as for its target's answer; no such run where 0")
	flag.StringVar(&s.peers, "peers", "", "program that runs other libraries, built of test/bench/record/peers; none where empty")
	flag.StringVar(&s.only, "only", "", "only the kinds of run whose name begins so, such as operations, and the disk")
	flag.StringVar(&profilePath, "cpuprofile", "", "file for a CPU profile")
	flag.Parse()
	var err error
	if s.writers, err = numbers(writers); err == nil {
		err = profile.CPU(profilePath, func() error { return bench(ctx, s) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func numbers(list string) ([]int, error) {
	var all []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("number of writers not usable: %q", field)
		}
		all = append(all, n)
	}
	return all, nil
}

func bench(ctx context.Context, s settings) (err error) {
	root, err := os.MkdirTemp(s.dir, "doorward-bench-")
	if err != nil {
		return fmt.Errorf("cannot make a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	size := recordSize()
	rows := kinds(ctx, s, root, size)
	rows = slices.DeleteFunc(rows, func(r *row) bool { return r.disk != nil && !strings.HasPrefix(r.name, s.only) })
	before := load1()
	for round := range s.rounds {
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			result, err := r.run()
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			r.result.Add(result)
		}
		fmt.Fprintf(os.Stderr, "turn %d of %d\n", round+1, s.rounds)
	}
	fmt.Printf("%d processors, load average %s before and %s after; records of %d bytes; %d turns of %s; paced writers wait %s between records\n\n",
		runtime.GOMAXPROCS(0), before, load1(), size, s.rounds, s.duration, s.pause)
	report(rows)
	return nil
}

// kinds are all kinds of run, in the order of the table. A disk that is asked
// now and then takes longer than one that is kept busy, so paced appends have a
// paced disk beside them.
func kinds(ctx context.Context, s settings, root string, size int) []*row {
	busy := load.Settings{Writers: 1, Duration: s.duration}
	plain := &row{name: "write + fdatasync", run: func() (load.Result, error) { return disk(root, size, busy) }}
	rows := []*row{plain}
	for _, n := range s.writers {
		rows = append(rows, &row{name: fmt.Sprintf("append, %d", n), disk: plain, run: func() (load.Result, error) {
			return appends(ctx, root, load.Settings{Writers: n, Duration: s.duration})
		}})
	}
	for _, n := range s.writers {
		rows = append(rows, &row{name: fmt.Sprintf("operations, %d", n), disk: plain, run: func() (load.Result, error) {
			return operations(ctx, root, load.Settings{Writers: n, Duration: s.duration})
		}})
	}
	if s.pause > 0 {
		calm := load.Settings{Writers: 1, Duration: s.duration, Pause: s.pause}
		paced := &row{name: "write + fdatasync, paced", run: func() (load.Result, error) { return disk(root, size, calm) }}
		rows = append(rows, paced)
		for _, n := range slices.Compact([]int{slices.Min(s.writers), slices.Max(s.writers)}) {
			rows = append(rows, &row{name: fmt.Sprintf("append, %d, paced", n), disk: paced, run: func() (load.Result, error) {
				return appends(ctx, root, load.Settings{Writers: n, Duration: s.duration, Pause: s.pause})
			}})
		}
	}
	if s.peers == "" {
		return rows
	}
	for _, library := range libraries {
		for _, n := range s.writers {
			rows = append(rows, &row{name: fmt.Sprintf("%s, %d", library, n), disk: plain, run: func() (load.Result, error) {
				return peer(ctx, s.peers, library, root, size, load.Settings{Writers: n, Duration: s.duration})
			}})
		}
	}
	return rows
}

// appends measures our log, all that it does included: encoding, hash chain and
// tree, checkpoints once a second.
func appends(ctx context.Context, root string, s load.Settings) (load.Result, error) {
	dir := filepath.Join(root, "log")
	disk := &countingDisk{Disk: spool.OSDisk()}
	log, err := spool.Open(ctx, spool.Options{Dir: dir, MaxBytes: 8 << 30, SegmentBytes: spool.DefaultSegmentBytes, Disk: disk})
	if err != nil {
		return load.Result{}, err
	}
	free, err := freeSessions(ctx, log, s.Writers)
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	result, err := load.Run(s, func() error {
		session := <-free
		_, err := log.Append(ctx, session.refusal())
		free <- session
		return err
	}, disk.count)
	return result, errors.Join(err, log.Close(), os.RemoveAll(dir))
}
