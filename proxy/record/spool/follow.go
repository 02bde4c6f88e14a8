// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/record/tree"
)

// Follow writes the records of a session from its first on, and those that come, each up to
// the checkpoint that covers it, in the form of package extract. It returns at the session's
// end, or when it is time, with all that was written covered. The error wraps ErrGone where
// records are deleted meanwhile.
func (l *Log) Follow(ctx context.Context, out io.Writer, what *extract.Live) error {
	w, err := extract.NewWriter(out, what.Session, l.Keys())
	if err != nil {
		return err
	}
	before, _, err := l.readRanges(what.First, what.First, &tree.Range{})
	if err != nil {
		return err
	}
	if err := w.Pass(&before); err != nil {
		return err
	}
	name, err := json.Marshal(what.Session)
	if err != nil {
		return err
	}
	reader, err := l.NewReader(w.Next())
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	f := &following{Live: what, out: w, member: append([]byte(`"session":`), name...)}
	for {
		records, err := f.next(ctx, reader)
		if err != nil || f.isOver {
			return err
		}
		for i := range records {
			if err := f.take(records[i].JSON); err != nil || f.isOver {
				return err
			}
		}
	}
}

// following is a session that is followed.
type following struct {
	*extract.Live
	out    *extract.Writer
	member []byte
	// ahead are the records that no checkpoint covers which was read yet.
	ahead []upcoming
	// isShown says that records were written since the last checkpoint that was, isBegun that
	// there was one, isLast that the session's end was written.
	isShown, isBegun, isLast bool
	// isOver says that there is nothing more to write.
	isOver bool
}

// upcoming is one of the session's records, or only the hash of another.
type upcoming struct {
	leaf tree.Hash
	own  []byte
	last bool
}

// next waits for the records that follow.
func (f *following) next(ctx context.Context, reader *Reader) ([]record.Record, error) {
	patience := f.Beat
	if f.isBegun {
		left := time.Until(f.Until)
		if left <= 0 {
			f.isOver = true
			return nil, nil
		}
		patience = min(patience, left)
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	records, err := reader.Next(wait, 1024, 1<<20)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, errors.Join(f.out.Beat(), f.Pushed())
	}
	return records, err
}

// take takes the next record of the log.
func (f *following) take(data []byte) error {
	next := upcoming{leaf: record.LeafHash(data)}
	own, last, err := ofSession(data, f.member, f.Session)
	if err != nil {
		return err
	}
	if own {
		next.own, next.last = data, last
	}
	f.ahead = append(f.ahead, next)
	if !hasType(data, record.Checkpoint) {
		return nil
	}
	d, err := record.Decode(data)
	if err != nil || d.Checkpoint == nil {
		return err
	}
	return f.checkpoint(data, d.Checkpoint.Size)
}

// checkpoint writes what a checkpoint covers, and the checkpoint itself where it proves
// anything new.
func (f *following) checkpoint(data []byte, size int64) error {
	covered := 0
	for f.out.Next() < size && covered < len(f.ahead) {
		next := &f.ahead[covered]
		covered++
		if next.own == nil {
			f.out.PassOne(next.leaf)
			continue
		}
		if err := f.out.Record(next.own); err != nil {
			return err
		}
		f.isShown, f.isLast = true, f.isLast || next.last
	}
	f.ahead = append(f.ahead[:0], f.ahead[covered:]...)
	if !f.isShown || size <= f.Through {
		return nil
	}
	f.isShown, f.isBegun, f.isOver = false, true, f.isLast
	return errors.Join(f.out.Checkpoint(data), f.Pushed())
}
