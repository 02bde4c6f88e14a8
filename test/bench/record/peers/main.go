// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command peers runs, for the benchmark of the write-ahead log of records in the
// folder above, one of the libraries that the log is compared with: tidwall/wal
// or hashicorp/raft-wal. Neither gathers the records of many writers, so that is
// added here in the log's own way. It prints what it measured as JSON.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftwal "github.com/hashicorp/raft-wal"
	"github.com/tidwall/wal"
)

// result is load.Result of the product's module, which this one does not need
// otherwise.
type result struct {
	// Times are the durations of the appends, Syncs how many groups were
	// synced during each.
	Times []time.Duration
	Syncs []int
	Took  time.Duration
	Total int
}

func main() {
	library := flag.String("library", "", "tidwall/wal or raft-wal")
	dir := flag.String("dir", "", "directory of the library's files, which exists")
	size := flag.Int("size", 1000, "size of a record in bytes")
	writers := flag.Int("writers", 1, "number of concurrent writers")
	duration := flag.Duration("duration", 2*time.Second, "how long they append")
	flag.Parse()
	r, err := measure(*library, *dir, *writers, []byte(strings.Repeat("x", *size)), *duration)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// library is a write-ahead log that has all it is given on disk when store
// returns.
type library interface {
	store(payloads [][]byte) error
	Close() error
}

// segmentSize is that of the log.
const segmentSize = 16 << 20

func openLibrary(name, dir string) (library, error) {
	switch name {
	case "tidwall/wal":
		l, err := wal.Open(dir, &wal.Options{SegmentSize: segmentSize, NoCopy: true})
		return &tidwall{Log: l}, err
	case "raft-wal":
		l, err := raftwal.Open(dir, raftwal.WithSegmentSize(segmentSize), raftwal.WithLogger(hclog.NewNullLogger()))
		return &raftWAL{WAL: l}, err
	default:
		return nil, fmt.Errorf("library unknown: %q", name)
	}
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
	syncs   atomic.Int64
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
		g.syncs.Add(1)
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

func measure(name, dir string, writers int, payload []byte, period time.Duration) (result, error) {
	l, err := openLibrary(name, dir)
	if err != nil {
		return result{}, err
	}
	g := &group{library: l}
	g.changed = sync.NewCond(&g.mu)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.run()
	}()
	each := make([]result, writers)
	errs := make([]error, writers)
	var running sync.WaitGroup
	began := time.Now()
	for i := range writers {
		running.Go(func() {
			w := &waiting{payload: payload, done: make(chan error, 1)}
			for time.Since(began) < period {
				before, start := g.syncs.Load(), time.Now()
				if errs[i] = g.append(w); errs[i] != nil {
					return
				}
				each[i].Times = append(each[i].Times, time.Since(start))
				each[i].Syncs = append(each[i].Syncs, int(g.syncs.Load()-before))
			}
		})
	}
	running.Wait()
	all := result{Took: time.Since(began), Total: int(g.syncs.Load())}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.changed.Signal()
	<-ended
	for _, r := range each {
		all.Times = append(all.Times, r.Times...)
		all.Syncs = append(all.Syncs, r.Syncs...)
	}
	return all, errors.Join(append(errs, l.Close())...)
}
