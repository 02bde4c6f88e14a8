// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

// Source says which records to decide again.
type Source struct {
	// Paths are files and directories.
	Paths []string
	// Session and Connection, where set, are the only ones; Connection is
	// namespace/name.
	Session, Connection string
	// Workers is how many decide at once; as many as there are processors, where zero.
	Workers int
	// Progress, where not nil, is told how much of the files was read, in bytes.
	Progress func(done, total int64)
}

// What waits for one worker at most: batches of so many records, or of so many bytes.
const (
	batchRecords = 256
	batchBytes   = 1 << 20
	batchesAhead = 2
)

// Run decides the records again. What could not be read is returned as problems.
//
// All records of a session are decided by one worker, in their order. Memory does not
// grow with the number of records, but with that of differences.
func Run(ctx context.Context, source Source, policies Policies, newEngine policy.NewEngine) (report *Report, problems []verify.Finding, err error) {
	if source.Workers == 0 {
		source.Workers = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	shared := newCandidates(policies, newEngine)
	workers := make([]*worker, source.Workers)
	for i := range workers {
		w := newWorker(shared)
		workers[i] = w
		group.Go(func() error { return w.run(ctx) })
	}
	group.Go(func() (err error) {
		d := newDealer(workers)
		problems, err = verify.Read(ctx, source.Paths, verify.ReadOptions{Match: source.match, Workers: source.Workers, Progress: source.Progress}, func(r record.Record) error {
			return d.deal(ctx, r)
		})
		if err == nil {
			err = d.flush(ctx)
		}
		for _, w := range workers {
			close(w.batches)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	sum := newTally()
	for _, w := range workers {
		if err := sum.add(w.tally); err != nil {
			return nil, nil, err
		}
	}
	report, err = sum.report()
	return report, problems, err
}

// wanted are the types that say what was decided, and what is needed for that.
var wanted = [...][]byte{
	[]byte(`,"type":"` + record.OperationDecided + `"`), []byte(`,"type":"` + record.OperationHeld + `"`), []byte(`,"type":"` + record.OperationResult + `"`),
	[]byte(`,"type":"` + record.SessionStart + `"`), []byte(`,"type":"` + record.SessionRefused + `"`), []byte(`,"type":"` + record.SessionEnd + `"`),
}

// isResult says whether a record is of an operation's result.
func isResult(line []byte) bool { return bytes.Contains(line[:min(len(line), headBytes)], wanted[2]) }

// headBytes is more than what stands before a record's type.
const headBytes = 512

// match chooses records, from several goroutines; what it lets through by mistake is
// seen when it is decoded.
func (s *Source) match(line []byte) bool {
	head, of := line[:min(len(line), headBytes)], false
	for _, t := range wanted {
		of = of || bytes.Contains(head, t)
	}
	if !of {
		return false
	}
	if s.Session != "" {
		quoted, err := json.Marshal(s.Session)
		if err != nil || !bytes.Contains(line, quoted) {
			return false
		}
	}
	if s.Session == "" && s.Connection == "" {
		return true
	}
	d, err := record.Decode(line)
	return err != nil || // which is for the worker to say
		(s.Session == "" || d.Session == s.Session) &&
			(s.Connection == "" || d.Connection != nil && d.Connection.Namespace+"/"+d.Connection.Name == s.Connection)
}

// dealer gives each session's records to one worker.
type dealer struct {
	workers []*worker
	seed    maphash.Seed
	batches [][]record.Record
	bytes   []int
}

func newDealer(workers []*worker) *dealer {
	return &dealer{workers: workers, seed: maphash.MakeSeed(), batches: make([][]record.Record, len(workers)), bytes: make([]int, len(workers))}
}

func (d *dealer) deal(ctx context.Context, r record.Record) error {
	to := int(maphash.Bytes(d.seed, session(r.JSON)) % uint64(len(d.workers))) //nolint:gosec // fewer than there are workers
	d.batches[to] = append(d.batches[to], r)
	d.bytes[to] += len(r.JSON)
	if len(d.batches[to]) < batchRecords && d.bytes[to] < batchBytes {
		return nil
	}
	return d.send(ctx, to)
}

func (d *dealer) send(ctx context.Context, to int) error {
	batch := d.batches[to]
	d.batches[to], d.bytes[to] = nil, 0
	if len(batch) == 0 {
		return nil
	}
	select {
	case d.workers[to].batches <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *dealer) flush(ctx context.Context) error {
	for to := range d.workers {
		if err := d.send(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

// session is the session's name as it stands in a record, nothing where it has none.
func session(line []byte) []byte {
	const member = `,"session":"`
	head := line[:min(len(line), headBytes)]
	at := bytes.Index(head, []byte(member))
	if at < 0 {
		return nil
	}
	name, _, found := bytes.Cut(line[at+len(member):], []byte{'"'})
	if !found {
		return nil
	}
	return name
}

// run decides what it is given.
func (w *worker) run(ctx context.Context) error {
	for batch := range w.batches {
		for i := range batch {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := w.record(ctx, batch[i].JSON); err != nil {
				return fmt.Errorf("cannot decide record %s again: %w", batch[i].Position.ID(), err)
			}
		}
	}
	return w.end()
}
