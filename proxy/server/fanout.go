// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Fanout is the Sink of a proxy: it delivers to all sinks that the snapshots of
// its Connections name. A batch is accepted when every one of them has it. As
// long as no snapshot names a sink, nothing is accepted: the records stay in
// the log.
type Fanout struct {
	opener func(snapshot.Sink) (sink.Sink, error)

	mu     sync.Mutex        // guards what follows
	wanted map[string]wanted // by Connection
	change chan struct{}     // closed when wanted changes

	// What follows belongs to Write.
	open map[string]*outlet // by name
}

// wanted is what the snapshot of a Connection wants, and when that was made.
type wanted struct {
	connection string
	made       time.Time
	revision   int64
	sinks      []snapshot.Sink
}

// older orders by age. Each Connection counts revisions of its own, so that the
// manager's time comes first; the name makes the order total.
func older(a, b wanted) int {
	return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.revision, b.revision), strings.Compare(a.connection, b.connection))
}

// outlet is one sink that is open, and what it has.
type outlet struct {
	settings snapshot.Sink
	sink     sink.Sink
	next     int64
}

var _ sink.Sink = (*Fanout)(nil)

// NewFanout makes a Fanout whose sinks are opened by a function.
func NewFanout(opener func(snapshot.Sink) (sink.Sink, error)) *Fanout {
	return &Fanout{opener: opener, wanted: map[string]wanted{}, change: newSignal(), open: map[string]*outlet{}}
}

func newSignal() chan struct{} { return make(chan struct{}) }

// Want says which sinks the snapshot of a Connection names. Where snapshots of
// different age name the same sink, the newest one's settings hold.
func (f *Fanout) Want(connection string, s *snapshot.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[connection] = wanted{connection: connection, made: s.Time, revision: s.Revision, sinks: slices.Clone(s.Sinks)}
	close(f.change)
	f.change = newSignal()
}

// Write delivers a batch to every sink that does not have it yet.
func (f *Fanout) Write(ctx context.Context, batch []record.Record) error {
	if len(batch) == 0 {
		return nil
	}
	sinks, err := f.await(ctx)
	if err != nil {
		return err
	}
	errs := []error{f.close(sinks)}
	for _, name := range slices.Sorted(maps.Keys(sinks)) {
		errs = append(errs, f.write(ctx, sinks[name], batch))
	}
	return errors.Join(errs...)
}

// await returns the sinks that are wanted, as soon as there are any.
func (f *Fanout) await(ctx context.Context) (map[string]snapshot.Sink, error) {
	for {
		f.mu.Lock()
		sinks, change := map[string]snapshot.Sink{}, f.change
		for _, w := range slices.SortedFunc(maps.Values(f.wanted), older) {
			for _, s := range w.sinks {
				sinks[s.Name] = s
			}
		}
		f.mu.Unlock()
		if len(sinks) > 0 {
			return sinks, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, fmt.Errorf("no LogSink takes the records, they stay in the proxy's log: %w", context.Cause(ctx))
		}
	}
}

// write delivers what one sink does not have of a batch.
func (f *Fanout) write(ctx context.Context, settings snapshot.Sink, batch []record.Record) error {
	out := f.open[settings.Name]
	if out == nil {
		made, err := f.opener(settings)
		if err != nil {
			return fmt.Errorf("LogSink %q: %w", settings.Name, err)
		}
		out = &outlet{settings: settings, sink: made}
		f.open[settings.Name] = out
	}
	from := slices.IndexFunc(batch, func(r record.Record) bool { return r.Position.Index >= out.next })
	if from < 0 {
		return nil
	}
	if err := out.sink.Write(ctx, batch[from:]); err != nil {
		return fmt.Errorf("LogSink %q: %w", settings.Name, err)
	}
	out.next = batch[len(batch)-1].Position.Index + 1
	return nil
}

// close closes the sinks that are not wanted any more, or wanted otherwise.
func (f *Fanout) close(sinks map[string]snapshot.Sink) error {
	var errs []error
	for name, out := range f.open {
		if reflect.DeepEqual(sinks[name], out.settings) {
			continue
		}
		delete(f.open, name)
		if closer, ok := out.sink.(io.Closer); ok {
			errs = append(errs, closer.Close())
		}
	}
	return errors.Join(errs...)
}

// Close closes all sinks, after the last Write.
func (f *Fanout) Close() error { return f.close(nil) }
