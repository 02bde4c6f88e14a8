// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recordtest has a record.Log in memory for the tests of those who
// write records.
package recordtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// LogID is the id of every Log of this package.
const LogID = "recordtest"

// ErrClosed is returned by a closed Log.
var ErrClosed = errors.New("record log closed")

// Log keeps events in memory. It implements record.Log. Use NewLog.
type Log struct {
	mu      sync.Mutex
	events  []record.Event
	failure error
	hold    chan struct{}
	changed chan struct{}
}

var _ record.Log = (*Log)(nil)

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Append keeps the event. It fails with what Fail was given, and waits while
// the log is held.
func (l *Log) Append(ctx context.Context, event record.Event) (record.Position, error) {
	if err := ctx.Err(); err != nil {
		return record.Position{}, context.Cause(ctx)
	}
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return record.Position{}, context.Cause(ctx)
		}
	}
	return l.add(event)
}

// Begin keeps the event at once; Wait returns what Append would.
func (l *Log) Begin(ctx context.Context, event record.Event) (record.Pending, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	hold := l.hold
	l.mu.Unlock()
	position, err := l.add(event)
	return &pending{log: l, hold: hold, position: position}, err
}

type pending struct {
	log      *Log
	hold     chan struct{}
	position record.Position
}

// Wait waits while the log is held. It fails with what Fail was given meanwhile.
func (p *pending) Wait(ctx context.Context) (record.Position, error) {
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return record.Position{}, context.Cause(ctx)
		}
	}
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.position, p.log.failure
}

// AppendLater keeps the event at once. It fails with what Fail was given.
func (l *Log) AppendLater(event record.Event) error {
	_, err := l.add(event)
	return err
}

func (l *Log) add(event record.Event) (record.Position, error) {
	size := len(record.AppendJSON(nil, record.Position{LogID: LogID}, record.Hash{}, &event))
	if err := record.Check(size); err != nil {
		return record.Position{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return record.Position{}, l.failure
	}
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	l.events = append(l.events, event)
	close(l.changed)
	l.changed = make(chan struct{})
	return record.Position{LogID: LogID, Index: int64(len(l.events) - 1)}, nil
}

// Fail makes the log refuse everything with an error; nil makes it accept again.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
}

// Close makes the log refuse everything with ErrClosed.
func (l *Log) Close() error {
	l.Fail(ErrClosed)
	return nil
}

// Hold makes Append wait, as on a slow disk, until release is called.
func (l *Log) Hold() (release func()) {
	hold := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = hold
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hold = nil
		close(hold)
	})
}

// Events returns all events so far, in order.
func (l *Log) Events() []record.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// Documents returns all records so far as their readers see them.
func (l *Log) Documents(tb testing.TB) []record.Document {
	tb.Helper()
	var documents []record.Document
	for i, e := range l.Events() {
		d, err := record.Decode(record.AppendJSON(nil, record.Position{LogID: LogID, Index: int64(i)}, record.Hash{}, &e))
		if err != nil {
			tb.Fatalf("record %d: %v", i, err)
		}
		documents = append(documents, d)
	}
	return documents
}

// OfType returns the events of a type so far.
func (l *Log) OfType(kind record.Type) []record.Event {
	var found []record.Event
	for _, e := range l.Events() {
		if e.Type == kind {
			found = append(found, e)
		}
	}
	return found
}

// Await returns the first event that matches, waiting for it until ctx ends;
// then the test fails with what there is.
func (l *Log) Await(ctx context.Context, tb testing.TB, what string, match func(record.Event) bool) record.Event {
	tb.Helper()
	for from := 0; ; {
		l.mu.Lock()
		events, changed := l.events, l.changed
		l.mu.Unlock()
		for ; from < len(events); from++ {
			if match(events[from]) {
				return events[from]
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			var types []record.Type
			for _, e := range events {
				types = append(types, e.Type)
			}
			tb.Fatalf("no record of %s: %v: there are %v", what, context.Cause(ctx), types)
		}
	}
}

// Type matches the events of a type.
func Type(kind record.Type) func(record.Event) bool {
	return func(e record.Event) bool { return e.Type == kind }
}
