// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sortBytes is how much a sorter holds in memory before it writes a run.
const sortBytes = 8 << 20

// sorter sorts entries of one size by their bytes, on disk: memory does not
// grow with their number. Each goroutine that adds has a lane of its own.
type sorter struct {
	dir   string
	size  int
	lanes []lane
}

type lane struct {
	sorter *sorter
	data   []byte
	runs   []string
}

func newSorter(dir string, size, lanes int) *sorter {
	s := &sorter{dir: dir, size: size, lanes: make([]lane, lanes)}
	for i := range s.lanes {
		s.lanes[i].sorter = s
	}
	return s
}

// add returns room for one entry, to be filled before the next call.
func (l *lane) add() ([]byte, error) {
	size := l.sorter.size
	if len(l.data)+size > sortBytes {
		if err := l.spill(); err != nil {
			return nil, err
		}
	}
	l.data = slices.Grow(l.data, size)
	n := len(l.data)
	l.data = l.data[:n+size]
	return l.data[n:], nil
}

// spill writes what is in memory as a sorted run.
func (l *lane) spill() error {
	file, err := os.CreateTemp(l.sorter.dir, "run-")
	if err != nil {
		return fmt.Errorf("cannot sort: %w", err)
	}
	writer := bufio.NewWriterSize(file, 256<<10)
	for _, at := range l.order() {
		if _, err = writer.Write(l.data[at:][:l.sorter.size]); err != nil {
			break
		}
	}
	if err == nil {
		err = writer.Flush()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot sort: %w: free space in %q, or set TMPDIR", err, l.sorter.dir)
	}
	l.runs = append(l.runs, file.Name())
	l.data = l.data[:0]
	return nil
}

// order is the places of the entries in memory, sorted.
func (l *lane) order() []int32 {
	size := l.sorter.size
	places := make([]int32, 0, len(l.data)/size)
	for at := 0; at < len(l.data); at += size {
		places = append(places, int32(at))
	}
	slices.SortFunc(places, func(a, b int32) int {
		return bytes.Compare(l.data[a:][:size], l.data[b:][:size])
	})
	return places
}

// merged gives all entries in order. It is for one goroutine.
type merged struct {
	sorter *sorter
	runs   runs
	files  []*os.File
}

// merge ends the adding.
func (s *sorter) merge() (*merged, error) {
	m := &merged{sorter: s}
	for i := range s.lanes {
		l := &s.lanes[i]
		// A run of what is in memory costs a write, and frees the memory.
		if len(l.data) > 0 {
			if err := l.spill(); err != nil {
				return nil, errors.Join(err, m.close())
			}
		}
		l.data = nil
		for _, name := range l.runs {
			file, err := os.Open(name)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("cannot sort: %w", err), m.close())
			}
			m.files = append(m.files, file)
			r := &run{reader: bufio.NewReaderSize(file, 64<<10), entry: make([]byte, s.size)}
			if err := r.next(); err != nil {
				return nil, errors.Join(fmt.Errorf("cannot sort: %w", err), m.close())
			}
			m.runs = append(m.runs, r)
		}
	}
	heap.Init(&m.runs)
	return m, nil
}

// next copies the next entry; io.EOF after the last.
func (m *merged) next(entry []byte) error {
	if len(m.runs) == 0 {
		return io.EOF
	}
	least := m.runs[0]
	copy(entry, least.entry)
	err := least.next()
	switch {
	case err == nil:
		heap.Fix(&m.runs, 0)
	case errors.Is(err, io.EOF):
		heap.Pop(&m.runs)
	default:
		return fmt.Errorf("cannot sort: %w", err)
	}
	return nil
}

func (m *merged) close() error {
	var errs []error
	for _, file := range m.files {
		errs = append(errs, file.Close(), os.Remove(file.Name()))
	}
	m.files = nil
	return errors.Join(errs...)
}

// run is one sorted run, with its first entry that was not taken.
type run struct {
	reader *bufio.Reader
	entry  []byte
}

func (r *run) next() error {
	_, err := io.ReadFull(r.reader, r.entry)
	return err
}

type runs []*run

func (r runs) Len() int           { return len(r) }
func (r runs) Less(i, j int) bool { return bytes.Compare(r[i].entry, r[j].entry) < 0 }
func (r runs) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// Push is part of heap.Interface; runs only become fewer.
func (r *runs) Push(any) {}

// Pop implements heap.Interface.
func (r *runs) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}
