// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/doorward/doorward/proxy/record"
)

// Feed is a log as one sink gets it: the records it has not acknowledged yet.
// It is for one goroutine.
type Feed struct {
	reader *Reader
	cursor *cursor
}

// NewFeed continues where the sink last acknowledged. The sink must be one of
// Options.Sinks, or added. A sink that is new, or was left out for a while,
// gets what is still kept. The caller closes it.
func (l *Log) NewFeed(sink string) (*Feed, error) {
	l.places.Lock()
	c := l.cursors[sink]
	l.places.Unlock()
	if c == nil {
		return nil, fmt.Errorf("sink unknown to the record log: %q: name it in Options.Sinks, or add it", sink)
	}
	r, err := l.NewReader(c.acknowledged())
	if err != nil {
		return nil, err
	}
	return &Feed{reader: r, cursor: c}, nil
}

// Next is Reader.Next.
func (f *Feed) Next(ctx context.Context, count, size int) ([]record.Record, error) {
	return f.reader.Next(ctx, count, size)
}

// Acknowledge says that the sink has all records before next.
func (f *Feed) Acknowledge(next int64) error {
	l := f.reader.log
	if durable := l.Durable(); next > durable {
		return fmt.Errorf("acknowledged too much: %d of %d records", next, durable)
	}
	err := f.cursor.advance(next, l.options.Now())
	signal(l.keep)
	return err
}

// Acknowledged is the index of the first record not acknowledged.
func (f *Feed) Acknowledged() int64 { return f.cursor.acknowledged() }

// Durable is the number of records on disk.
func (f *Feed) Durable() int64 { return f.reader.log.Durable() }

// Missed is the number of records that the sink was not fed because they had
// been deleted before it came, or came back.
func (f *Feed) Missed() int64 { return f.cursor.missing() }

// Close keeps on disk how far the sink is.
func (f *Feed) Close() error { return errors.Join(f.cursor.persist(), f.reader.Close()) }
