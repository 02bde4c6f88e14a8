// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/proxy/record/tree"
)

// At returns the record of an index, which must be durable. The error wraps ErrGone
// where it was deleted.
func (l *Log) At(ctx context.Context, index int64) (record.Record, error) {
	if durable := l.Durable(); index < 0 || index >= durable {
		return record.Record{}, fmt.Errorf("no record %d: there are %d", index, durable)
	}
	l.mu.Lock()
	oldest := l.segments[0].first
	l.mu.Unlock()
	if index < oldest { // it may be in memory still
		return record.Record{}, fmt.Errorf("%w: record %d: the oldest kept is %d", ErrGone, index, oldest)
	}
	reader, err := l.NewReader(index)
	if err != nil {
		return record.Record{}, err
	}
	defer func() { _ = reader.Close() }()
	records, err := reader.Next(ctx, 1, 1)
	if err != nil {
		return record.Record{}, err
	}
	return records[0], nil
}

// Extract writes the records of a session from its first on, as far as they are before
// the record through, in the form of package extract. It waits for the checkpoint that
// covers through. Where records are deleted meanwhile, the error wraps ErrGone and what
// was written proves nothing.
func (l *Log) Extract(ctx context.Context, out io.Writer, session string, first, through int64) error {
	w, err := extract.NewWriter(out, session, l.Keys())
	if err != nil {
		return err
	}
	whole, _, err := l.readRanges(first, first, &tree.Range{})
	if err != nil {
		return err
	}
	if err := w.Pass(&whole); err != nil {
		return err
	}
	if err := l.extractOwn(ctx, w, &whole, session, through); err != nil {
		return err
	}
	checkpoint, size, err := l.checkpointOf(ctx, through)
	if err != nil {
		return err
	}
	_, rest, err := l.readRanges(w.Next(), size, &whole)
	if err != nil {
		return err
	}
	if err := w.Pass(&rest); err != nil {
		return err
	}
	return w.Close(checkpoint)
}

// extractOwn writes the session's records up to its end, or to before through. whole
// follows.
func (l *Log) extractOwn(ctx context.Context, w *extract.Writer, whole *tree.Range, session string, through int64) error {
	name, err := json.Marshal(session)
	if err != nil {
		return err
	}
	member := append([]byte(`"session":`), name...)
	reader, err := l.NewReader(w.Next())
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	for w.Next() < through {
		records, err := reader.Next(ctx, int(min(through-w.Next(), 1024)), 1<<20)
		if err != nil {
			return err
		}
		for i := range records {
			leaf := record.LeafHash(records[i].JSON)
			whole.Append(leaf)
			own, last, err := ofSession(records[i].JSON, member, session)
			if err != nil {
				return err
			}
			if !own {
				w.PassOne(leaf)
				continue
			}
			if err := w.Record(records[i].JSON); err != nil {
				return err
			}
			if last {
				return nil
			}
		}
	}
	return nil
}

// ofSession says whether a record is the session's, and its last.
func ofSession(data, member []byte, session string) (own, last bool, err error) {
	if !bytes.Contains(data, member) {
		return false, false, nil
	}
	d, err := record.Decode(data)
	if err != nil {
		return false, false, err
	}
	own = d.Session == session
	return own, own && d.Type == record.SessionEnd, nil
}

// checkpointOf waits for the first checkpoint that covers a record, and returns its
// record and how many records it covers.
func (l *Log) checkpointOf(ctx context.Context, index int64) ([]byte, int64, error) {
	reader, err := l.NewReader(index + 1)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = reader.Close() }()
	for {
		records, err := reader.Next(ctx, 1024, 1<<20)
		if err != nil {
			return nil, 0, fmt.Errorf("no checkpoint covers record %d: %w", index, err)
		}
		for i := range records {
			if !hasType(records[i].JSON, record.Checkpoint) {
				continue
			}
			d, err := record.Decode(records[i].JSON)
			if err != nil {
				return nil, 0, err
			}
			if d.Checkpoint != nil && d.Checkpoint.Size > index {
				return records[i].JSON, d.Checkpoint.Size, nil
			}
		}
	}
}
