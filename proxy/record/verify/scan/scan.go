// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/doorward/doorward/proxy/record"
)

// Record is a record where it was found.
type Record struct {
	Position record.Position
	// JSON is good until the visitor returns.
	JSON []byte
	// Broken says that it begins as a record does and does not end as one, or
	// that its frame's checksum does not match.
	Broken bool
	// File is its number in Sources.Files, Offset that of its line or frame in
	// the file, decompressed, and Part its number in the line.
	File   int
	Offset int64
	Part   int
}

// Problem is something that could not be read.
type Problem struct {
	File   int
	Offset int64
	// Index is that of the record expected there, -1 where that is not known.
	Index int64
	What  string
}

// Options change how sources are read.
type Options struct {
	// Workers is the number of goroutines that visit; 1 where zero. One visits
	// in the order of the paths, the names in directories and the lines.
	Workers int
	// Progress, where not nil, is told how many bytes of how many are read; it
	// may be called from several goroutines.
	Progress func(done, total int64)
}

// job is a chunk of lines, or a whole segment.
type job struct {
	file    int
	segment bool
	offset  int64 // of data in the file, decompressed
	data    []byte
	buffer  []byte
}

type scanner struct {
	options Options
	sources *Sources
	work    chan job
	free    chan []byte
	done    atomic.Int64
	mu      sync.Mutex // guards sources.Problems and counts
}

type worker struct {
	scanner *scanner
	number  int
	visit   func(worker int, r *Record) error
	found   []found
	window  []byte
}

// Scan calls visit for every record in the sources, from as many goroutines as
// there are workers. What cannot be read is a Problem of the sources, not an
// error; errors are those of visit and of the context.
func Scan(ctx context.Context, sources *Sources, options Options, visit func(worker int, r *Record) error) error {
	options.Workers = max(options.Workers, 1)
	s := &scanner{options: options, sources: sources, work: make(chan job), free: make(chan []byte, 2*options.Workers+1)}
	for range cap(s.free) {
		s.free <- nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(s.work)
		return s.feed(ctx)
	})
	for number := range options.Workers {
		w := &worker{scanner: s, number: number, visit: visit}
		group.Go(func() error { return w.run(ctx) })
	}
	return group.Wait()
}

func (s *scanner) feed(ctx context.Context) error {
	for number := range s.sources.Files {
		var err error
		switch file := &s.sources.Files[number]; {
		case file.Irregular:
		case file.IsSegment:
			err = s.send(ctx, job{file: number, segment: true})
		default:
			err = s.feedLines(ctx, number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) send(ctx context.Context, j job) error {
	select {
	case s.work <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// buffer returns a free buffer of at least the given size.
func (s *scanner) buffer(ctx context.Context, size int) ([]byte, error) {
	select {
	case b := <-s.free:
		if len(b) < size {
			b = make([]byte, size)
		}
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (w *worker) run(ctx context.Context) error {
	for j := range w.scanner.work {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		visit := w.lines
		if j.segment {
			visit = w.segment
		}
		if err := visit(j); err != nil {
			return err
		}
		if j.buffer != nil {
			if len(j.buffer) > chunkSize {
				j.buffer = nil // the memory of an unusual line
			}
			w.scanner.free <- j.buffer
		}
	}
	return nil
}

func (w *worker) count(file, records int) {
	if records > 0 {
		atomic.AddInt64(&w.scanner.sources.Files[file].Records, int64(records))
	}
}

func (s *scanner) progressed(n int) {
	done := s.done.Add(int64(n))
	if s.options.Progress != nil && n > 0 {
		s.options.Progress(min(done, s.sources.Bytes), s.sources.Bytes)
	}
}

// maxProblems bounds how much is said of unreadable sources.
const maxProblems = 100

func (s *scanner) trouble(p Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sources.Problems) < maxProblems {
		s.sources.Problems = append(s.sources.Problems, p)
	} else {
		s.sources.MoreProblems++
	}
}

// torn is an end of a segment that cannot be read: that of the last one was
// never acknowledged, as records are only once their whole group is on disk.
func (s *scanner) torn(file int, offset, next int64) {
	if s.sources.Files[file].Last {
		s.mu.Lock()
		s.sources.Files[file].TornAt = offset
		s.mu.Unlock()
		return
	}
	s.trouble(Problem{File: file, Offset: offset, Index: next, What: unreadable(next)})
}

// ErrNothing says that there is nothing to read.
var ErrNothing = errors.New("nothing to read")
