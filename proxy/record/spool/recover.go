// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// findings are what Open found in a directory.
type findings struct {
	segments []*segment
	next     int64
	ledger   ledger
	growth   growth
	// tail is the hash of the last record, uncovered says that there may be
	// records that no checkpoint covers.
	tail      record.Hash
	uncovered bool
	// rotations are those of the segments that were read.
	rotations []rotation
	torn      bool
	// cut is the number of bytes after the last whole record, up to the last
	// that is not zero; at is where they begin in the last segment.
	cut, at int64
}

// examine reads the segments from the last on that has the list of what was
// under way where it begins, checking every frame.
func examine(dir, logID string) (findings, error) {
	firsts, err := listSegments(dir)
	if err != nil {
		return findings{}, err
	}
	if len(firsts) == 0 {
		return findings{}, fmt.Errorf("%w: key without segments: restore the directory from a copy, or move it away to begin a new log", ErrCorrupt)
	}
	f := findings{}
	for _, first := range firsts {
		path := segmentPath(dir, first)
		info, err := os.Stat(path)
		if err != nil {
			return findings{}, err
		}
		f.segments = append(f.segments, &segment{path: path, first: first, size: info.Size()})
	}
	base, err := f.base(dir)
	if err != nil {
		return findings{}, err
	}
	if err := f.plant(dir, logID, base); err != nil {
		return findings{}, err
	}
	for i := base; i < len(f.segments); i++ {
		if err := f.read(dir, logID, i, i > base); err != nil {
			return findings{}, err
		}
	}
	if err := f.growth.settle(); err != nil {
		return findings{}, err
	}
	f.growth.covered.Reset(f.next)
	if err := f.findTail(logID, base); err != nil {
		return findings{}, err
	}
	return f, nil
}

// plant finds the tree of the records before segment base. Logs that had no
// checkpoints did not keep it; there it is made of the records themselves.
func (f *findings) plant(dir, logID string, base int) error {
	from, whole := base, tree.NewRange(0)
	for ; f.segments[from].first > 0; from-- {
		o, err := readOpening(openPath(dir, f.segments[from].first))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && o.Tree != nil {
			whole = *o.Tree
			break
		}
		if from == 0 {
			return fmt.Errorf("%w: the records before %d, and the tree of them, are not there to make checkpoints that go on from them: once all sinks have its records, move the directory away to begin a new log and keep it as evidence",
				ErrCorrupt, f.segments[0].first)
		}
	}
	for _, s := range f.segments[from:base] {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return err
		}
		if _, err := walk(s.path, data, s.first, logID, func(r record.Record) error {
			whole.Append(record.LeafHash(r.JSON))
			return nil
		}); err != nil {
			return err
		}
	}
	first := f.segments[base].first
	if whole.End() != first {
		return fmt.Errorf("%w: segment %q begins with record %d, the tree before it ends with %d: restore the directory from a copy",
			ErrCorrupt, f.segments[base].path, first, whole.End()-1)
	}
	f.growth = growth{whole: whole, since: tree.NewRange(first), segment: tree.NewRange(first), covered: tree.NewRange(first)}
	return nil
}

// findTail finds the hash of the last record, which may be in the segment
// before those that were read.
func (f *findings) findTail(logID string, base int) error {
	if base == 0 || f.next > f.segments[base].first {
		return nil
	}
	before := f.segments[base-1]
	data, err := os.ReadFile(before.path)
	if err != nil {
		return err
	}
	_, err = walk(before.path, data, before.first, logID, func(r record.Record) error {
		f.tail = record.LeafHash(r.JSON)
		return f.cover(r)
	})
	return err
}

// cover finds whether a checkpoint covers all records.
func (f *findings) cover(r record.Record) error {
	f.uncovered = true
	if hasType(r.JSON, record.Checkpoint) {
		d, err := record.Decode(r.JSON)
		if err != nil {
			return err
		}
		f.uncovered = d.Checkpoint == nil || d.Checkpoint.Size < d.Index
	}
	return nil
}

// base finds the segment to read from, and the ledger there. It also checks by
// their list files that no segment before it is missing or cut.
func (f *findings) base(dir string) (int, error) {
	base := -1
	for i := len(f.segments) - 1; i >= 0; i-- {
		first := f.segments[i].first
		o, err := readOpening(openPath(dir, first))
		switch {
		case err == nil && i > 0:
			if before := f.segments[i-1]; before.first != o.Previous || before.size < o.PreviousBytes {
				return 0, fmt.Errorf("%w: %q is missing or cut: restore the directory from a copy, or move it away to begin a new log and keep it as evidence",
					ErrCorrupt, segmentPath(dir, o.Previous))
			}
		case err == nil:
		case !errors.Is(err, fs.ErrNotExist):
			return 0, err
		case base >= 0 || first == 0:
		case i == 0:
			return 0, fmt.Errorf("%w: %q is missing: restore the directory from a copy", ErrCorrupt, openPath(dir, first))
		default:
			continue
		}
		if base < 0 {
			base, f.ledger = i, o.ledger()
		}
	}
	return base, nil
}

func (f *findings) read(dir, logID string, i int, keep bool) error {
	s := f.segments[i]
	if keep {
		// The crash came before the list was written.
		b, err := f.growth.turn()
		if err != nil {
			return err
		}
		if err := writeOpening(openPath(dir, s.first), newOpening(f.segments[i-1], f.ledger.list(), &b)); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	w, err := walk(s.path, data, s.first, logID, f.visit)
	if err != nil {
		return err
	}
	s.used, f.next = int64(w.end), w.next
	if i < len(f.segments)-1 {
		if next := f.segments[i+1].first; w.torn || w.next != next {
			return corrupt(s.path, int64(w.end), fmt.Sprintf("ends before record %d, the next segment begins with %d", w.next, next))
		}
		return nil
	}
	if w.torn {
		f.torn, f.at = true, s.used
		f.cut = int64(len(bytes.TrimRight(data[w.end:], "\x00")))
	}
	return nil
}

func (f *findings) visit(r record.Record) error {
	f.tail = record.LeafHash(r.JSON)
	f.growth.since.Append(f.tail)
	if err := f.cover(r); err != nil {
		return err
	}
	if hasType(r.JSON, record.KeyRotated) {
		one, err := readRotation(r)
		f.rotations = append(f.rotations, one)
		return err
	}
	// Only these types change the ledger; decoding the rest would take time.
	for _, kind := range []record.Type{record.SessionStart, record.SessionEnd, record.OperationDecided, record.OperationResult} {
		if hasType(r.JSON, kind) {
			d, err := record.Decode(r.JSON)
			if err != nil {
				return err
			}
			f.ledger.apply(markOfDocument(&d))
			return nil
		}
	}
	return nil
}

// hasType looks where the type is, which is behind the head.
func hasType(json []byte, kind record.Type) bool {
	return bytes.Contains(json[:min(len(json), 300)], []byte(`"type":"`+kind+`"`))
}

// Outcome of an operation that was forwarded and has no result on record.
const outcomeUnknown = "Unknown"

// recordFindings writes to the log what was found when it was opened.
func (l *Log) recordFindings(ctx context.Context, f findings) error {
	open := f.ledger.list()
	if !f.torn && len(open) == 0 {
		return nil
	}
	sessions, operations := 0, 0
	for _, u := range open {
		operations += len(u.Operations)
		if u.Started {
			sessions++
		}
	}
	reason := "the log was not closed in order"
	if f.torn {
		reason += "; an incomplete group at its end, never acknowledged, was cut"
	}
	attributes := []record.Attribute{
		{Name: "sessionsWithoutEnd", Value: strconv.Itoa(sessions)},
		{Name: "operationsWithUnknownOutcome", Value: strconv.Itoa(operations)},
		{Name: "firstFreeIndex", Value: itoa(f.next)},
	}
	if f.torn {
		attributes = append(attributes,
			record.Attribute{Name: "cutBytes", Value: itoa(f.cut)},
			record.Attribute{Name: "cutOffset", Value: itoa(f.at)})
	}
	events := []record.Event{{Type: record.Recovery, Reason: reason, Attributes: attributes}}
	for _, u := range open {
		for _, operation := range u.Operations {
			events = append(events, record.Event{
				Type: record.OperationResult, Session: u.Session, Connection: u.Connection, Actor: u.principal(), OperationID: operation,
				Result: &record.Result{Outcome: outcomeUnknown},
				Reason: "the proxy ended before the result was recorded",
			})
		}
		if u.Started {
			events = append(events, record.Event{
				Type: record.SessionEnd, Session: u.Session, Connection: u.Connection, Actor: u.principal(),
				Reason: "the proxy ended before the session's end was recorded",
			})
		}
	}
	var last *entry
	for i := range events {
		e, err := l.enqueue(ctx, &events[i], manner{waited: i == len(events)-1})
		if err != nil {
			return err
		}
		last = e
	}
	p := pending{log: l, entry: last}
	_, err := p.Wait(ctx)
	return err
}
