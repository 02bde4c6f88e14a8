// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// readRanges makes the trees of the records before size, and of those from
// there to end, all of which are on disk, from what is kept: records, and the
// trees in the list files, so that few segments are read whole. known is a
// tree that need not be made. The error wraps ErrGone where too much was deleted.
func (l *Log) readRanges(size, end int64, known *tree.Range) (old, since tree.Range, err error) {
	var firsts []int64
	l.mu.Lock()
	for _, s := range l.segments {
		firsts = append(firsts, s.first)
	}
	l.mu.Unlock()
	at := 0
	for at+1 < len(firsts) && firsts[at+1] <= size {
		at++
	}
	if firsts[at] > size {
		return old, since, fmt.Errorf("%w: record %d: the oldest kept is %d", ErrGone, size, firsts[at])
	}
	switch first := firsts[at]; {
	case known.End() == size:
		old = known.Clone()
	case first == 0:
	default:
		o, err := l.opening(first)
		if err != nil {
			return old, since, err
		}
		if o.Tree == nil {
			return old, since, fmt.Errorf("%w: record %d: the tree of the records before %d was not kept", ErrGone, size, first)
		}
		old = o.Tree.Clone()
	}
	if err := l.readLeaves(&old, size); err != nil {
		return old, since, err
	}
	since = tree.NewRange(size)
	for ; at < len(firsts) && since.End() < end; at++ {
		to := end
		if at+1 < len(firsts) && firsts[at+1] <= end {
			to = firsts[at+1]
			o, err := l.opening(to)
			if err == nil && o.Leaves != nil && o.Leaves.Begin() == since.End() && o.Leaves.End() == to {
				if err := since.Merge(o.Leaves); err != nil {
					return old, since, err
				}
				continue
			}
		}
		if err := l.readLeaves(&since, to); err != nil {
			return old, since, err
		}
	}
	return old, since, nil
}

// opening is what is kept of the records before a segment. The keeper writes it to the
// disk only after the segment is in use, and retention takes both: the error wraps ErrGone.
func (l *Log) opening(first int64) (opening, error) {
	l.mu.Lock()
	i := slices.IndexFunc(l.sealed, func(s sealing) bool { return s.first == first })
	if i >= 0 {
		s := l.sealed[i]
		l.mu.Unlock()
		return newOpening(s.old, s.open, &s.branch), nil
	}
	l.mu.Unlock()
	o, err := readOpening(openPath(l.options.Dir, first))
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("%w: the tree of the records before %d", ErrGone, first)
	}
	return o, err
}

// readLeaves adds the records up to end to a range.
func (l *Log) readLeaves(r *tree.Range, end int64) error {
	if r.End() == end {
		return nil
	}
	reader, err := l.NewReader(r.End())
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	for r.End() < end {
		records, err := reader.Next(context.Background(), int(min(end-r.End(), 1024)), 1<<20)
		if err != nil {
			return err
		}
		for i := range records {
			r.Append(record.LeafHash(records[i].JSON))
		}
	}
	return nil
}
