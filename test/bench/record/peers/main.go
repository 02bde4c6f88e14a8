// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command peers measures what the write-ahead log of records is compared
// with: tidwall/wal and hashicorp/raft-wal, with the same payloads, on the same
// disk, in turns with the log itself. Neither library gathers the records of
// many writers, so that is added here in the log's own way.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/tidwall/wal"
)

func main() {
	ours := flag.String("ours", "", "the program built from test/bench/record")
	dir := flag.String("dir", "", "directory on the disk to measure; a temporary one where empty")
	period := flag.Duration("duration", 2*time.Second, "how long each measurement takes")
	rounds := flag.Int("rounds", 3, "how often all measurements are repeated, interleaved")
	writers := flag.String("writers", "1,16,256", "numbers of concurrent writers")
	flag.Parse()
	if err := run(*ours, *dir, *writers, *period, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ours, dir, writers string, period time.Duration, rounds int) error {
	if ours == "" {
		return errors.New("no program to compare with: build ./test/bench/record and name it with -ours")
	}
	payload, err := exec.Command(ours, "-sample").Output()
	if err != nil {
		return fmt.Errorf("no sample record from %q: %w", ours, err)
	}
	root, err := os.MkdirTemp(dir, "doorward-bench-")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%d processors, records of %d bytes\n\n", runtime.GOMAXPROCS(0), len(payload))
	fmt.Fprintf(os.Stdout, "%-22s %12s %10s %10s %10s %14s\n", "", "per second", "p50 ms", "p99 ms", "max ms", "records/sync")
	for range rounds {
		if err = round(ours, root, writers, payload, period); err != nil {
			break
		}
	}
	return errors.Join(err, os.RemoveAll(root))
}

func round(ours, root, writers string, payload []byte, period time.Duration) error {
	for i, field := range strings.Split(writers, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return fmt.Errorf("number of writers not usable: %q", field)
		}
		output, err := exec.Command(ours, "-dir", root, "-writers", field, "-duration", period.String()).Output()
		if err != nil {
			return fmt.Errorf("%q: %w", ours, err)
		}
		for line := range strings.Lines(string(output)) {
			if strings.HasPrefix(line, "append") || i == 0 && strings.HasPrefix(line, "write") {
				fmt.Fprint(os.Stdout, line)
			}
		}
		for _, name := range []string{"tidwall", "raft-wal"} {
			if err := measure(name, filepath.Join(root, name), n, payload, period); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// library is a write-ahead log that has all it is given on disk when store
// returns.
type library interface {
	store(payloads [][]byte) error
	Close() error
}

func openLibrary(name, dir string) (library, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if name == "tidwall" {
		l, err := wal.Open(dir, &wal.Options{SegmentSize: 16 << 20, NoCopy: true})
		return &tidwall{Log: l}, err
	}
	l, err := raftwal.Open(dir, raftwal.WithSegmentSize(16<<20), raftwal.WithLogger(hclog.NewNullLogger()))
	return &raftWAL{WAL: l}, err
}

type tidwall struct {
	*wal.Log
	batch wal.Batch
	last  uint64
}

func (t *tidwall) store(payloads [][]byte) error {
	for _, p := range payloads {
		t.last++
		t.batch.Write(t.last, p)
	}
	return t.WriteBatch(&t.batch)
}

type raftWAL struct {
	*raftwal.WAL
	last uint64
}

func (r *raftWAL) store(payloads [][]byte) error {
	logs := make([]raft.Log, len(payloads))
	pointers := make([]*raft.Log, len(payloads))
	for i, p := range payloads {
		r.last++
		logs[i] = raft.Log{Index: r.last, Data: p}
		pointers[i] = &logs[i]
	}
	return r.StoreLogs(pointers)
}

// group gathers what many writers append while the library syncs.
type group struct {
	library library

	mu      sync.Mutex
	queue   []*waiting
	closed  bool
	changed *sync.Cond
	syncs   int
}

type waiting struct {
	payload []byte
	done    chan error
}

func (g *group) append(w *waiting) error {
	g.mu.Lock()
	g.queue = append(g.queue, w)
	g.mu.Unlock()
	g.changed.Signal()
	return <-w.done
}

func (g *group) run() {
	var payloads [][]byte
	for {
		// As the log does: those whom the last group woke may share the next.
		for woken := len(payloads); woken > 1; woken-- {
			before := g.length()
			runtime.Gosched()
			if g.length() == before {
				break
			}
		}
		g.mu.Lock()
		for len(g.queue) == 0 && !g.closed {
			g.changed.Wait()
		}
		batch := g.queue
		g.queue = nil
		g.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		payloads = payloads[:0]
		for _, w := range batch {
			payloads = append(payloads, w.payload)
		}
		err := g.library.store(payloads)
		g.syncs++
		for _, w := range batch {
			w.done <- err
		}
	}
}

func (g *group) length() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}

func measure(name, dir string, writers int, payload []byte, period time.Duration) error {
	l, err := openLibrary(name, dir)
	if err != nil {
		return err
	}
	g := &group{library: l}
	g.changed = sync.NewCond(&g.mu)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.run()
	}()
	all := make([][]time.Duration, writers)
	errs := make([]error, writers)
	var running sync.WaitGroup
	began := time.Now()
	for i := range writers {
		running.Go(func() {
			w := &waiting{payload: payload, done: make(chan error, 1)}
			for time.Since(began) < period {
				start := time.Now()
				if errs[i] = g.append(w); errs[i] != nil {
					return
				}
				all[i] = append(all[i], time.Since(start))
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.changed.Signal()
	<-ended
	if err := errors.Join(append(errs, l.Close(), os.RemoveAll(dir))...); err != nil {
		return err
	}
	times := slices.Concat(all...)
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))].Microseconds()) / 1000
	}
	fmt.Fprintf(os.Stdout, "%-22s %12.0f %10.3f %10.3f %10.3f %14.1f\n", fmt.Sprintf("%s, %d writers", name, writers),
		float64(len(times))/took.Seconds(), at(0.5), at(0.99), at(1), float64(len(times))/float64(g.syncs))
	return nil
}
