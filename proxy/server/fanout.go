// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

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

	mu     sync.Mutex                 // guards what follows
	wanted map[string][]snapshot.Sink // by Connection
	change chan struct{}              // closed when wanted changes

	// What follows belongs to Write.
	open map[string]*outlet // by name
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
	return &Fanout{opener: opener, wanted: map[string][]snapshot.Sink{}, change: newSignal(), open: map[string]*outlet{}}
}

func newSignal() chan struct{} { return make(chan struct{}) }

// Want says which sinks the snapshot of a Connection names.
func (f *Fanout) Want(connection string, sinks []snapshot.Sink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(f.wanted[connection], sinks) {
		return
	}
	f.wanted[connection] = slices.Clone(sinks)
	close(f.change)
	f.change = newSignal()
}

// Write delivers a batch to every sink that does not have it yet.
func (f *Fanout) Write(ctx context.Context, batch []record.Record) error {
	if len(batch) == 0 {
		return nil
	}
	wanted, err := f.await(ctx)
	if err != nil {
		return err
	}
	errs := []error{f.close(wanted)}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		errs = append(errs, f.write(ctx, wanted[name], batch))
	}
	return errors.Join(errs...)
}

// await returns the sinks that are wanted, as soon as there are any.
func (f *Fanout) await(ctx context.Context) (map[string]snapshot.Sink, error) {
	for {
		f.mu.Lock()
		wanted, change := map[string]snapshot.Sink{}, f.change
		for _, sinks := range f.wanted {
			for _, s := range sinks {
				wanted[s.Name] = s
			}
		}
		f.mu.Unlock()
		if len(wanted) > 0 {
			return wanted, nil
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
func (f *Fanout) close(wanted map[string]snapshot.Sink) error {
	var errs []error
	for name, out := range f.open {
		if wanted[name] == out.settings {
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
