// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// ReadOptions say which records to read.
type ReadOptions struct {
	// Match chooses records; it is called from several goroutines and must not
	// keep its argument. Where nil, all are read.
	Match func(json []byte) bool
	// Workers, TempDir and Progress are as in Options; the temporary files have
	// the size of what matches.
	Workers  int
	TempDir  string
	Progress func(done, total int64)
}

// Read calls visit for the records in files and directories, log by log in
// the order of their indexes, each once; records of one index that differ are
// all given. Nothing is verified. What could not be read is returned.
func Read(ctx context.Context, paths []string, options ReadOptions, visit func(record.Record) error) (problems []Finding, err error) {
	sources, err := scan.Find(paths)
	if err != nil {
		return nil, err
	}
	if options.Workers == 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	dir, err := os.MkdirTemp(options.TempDir, "doorward-read-")
	if err != nil {
		return nil, fmt.Errorf("cannot read records: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &shelf{sorter: newSorter(dir, bookSize, options.Workers), match: options.Match}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(dir, options.Workers); err != nil {
		return nil, err
	}
	if err := scan.Scan(ctx, sources, scan.Options{Workers: options.Workers, Progress: options.Progress}, s.add); err != nil {
		return nil, err
	}
	if err := s.visit(ctx, visit); err != nil {
		return nil, err
	}
	v := &verification{sources: sources, report: &Report{}}
	v.unreadable()
	return v.report.Findings, nil
}

// shelf keeps records in temporary files, one for each worker.
type shelf struct {
	sorter *sorter
	match  func(json []byte) bool
	files  []*os.File
	writer []*bufio.Writer
	ends   []int64
}

// A book is where a record is kept, sorted by log, index and hash: the log's
// id (cut or filled to 32 bytes), index, hash, worker, offset and size.
const bookSize = 32 + 8 + 32 + 2 + 8 + 4

func (s *shelf) open(dir string, workers int) error {
	s.ends = make([]int64, workers)
	for range workers {
		file, err := os.CreateTemp(dir, "records-")
		if err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
		s.files = append(s.files, file)
		s.writer = append(s.writer, bufio.NewWriterSize(file, 256<<10))
	}
	return nil
}

func (s *shelf) close() error {
	var errs []error
	for _, file := range s.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

func (s *shelf) add(worker int, r *scan.Record) error {
	if r.Broken || s.match != nil && !s.match(r.JSON) {
		return nil
	}
	book, err := s.sorter.lanes[worker].add()
	if err != nil {
		return err
	}
	order, hash := binary.BigEndian, record.LeafHash(r.JSON)
	clear(book)
	copy(book[:32], r.Position.LogID)
	order.PutUint64(book[32:], uint64(r.Position.Index)) //nolint:gosec // not negative
	copy(book[40:], hash[:])
	order.PutUint16(book[72:], uint16(worker))         //nolint:gosec // few
	order.PutUint64(book[74:], uint64(s.ends[worker])) //nolint:gosec // not negative
	order.PutUint32(book[82:], uint32(len(r.JSON)))    //nolint:gosec // at most record.MaxSize
	s.ends[worker] += int64(len(r.JSON))
	if _, err := s.writer[worker].Write(r.JSON); err != nil {
		return fmt.Errorf("cannot keep records: %w", err)
	}
	return nil
}

func (s *shelf) visit(ctx context.Context, visit func(record.Record) error) (err error) {
	for _, w := range s.writer {
		if err := w.Flush(); err != nil {
			return fmt.Errorf("cannot keep records: %w", err)
		}
	}
	sorted, err := s.sorter.merge()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sorted.close()) }()
	book, last := make([]byte, bookSize), [72]byte{}
	for first := true; ; first = false {
		if err := sorted.next(book); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !first && [72]byte(book[:72]) == last {
			continue // delivered again
		}
		last = [72]byte(book[:72])
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		order := binary.BigEndian
		json := make([]byte, order.Uint32(book[82:]))
		if _, err := s.files[order.Uint16(book[72:])].ReadAt(json, int64(order.Uint64(book[74:]))); err != nil { //nolint:gosec // as it was
			return fmt.Errorf("cannot read records: %w", err)
		}
		position, err := record.Head(json)
		if err != nil {
			return err
		}
		if err := visit(record.Record{Position: position, JSON: json}); err != nil {
			return err
		}
	}
}
