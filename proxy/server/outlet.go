// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// errChanged ends a Write with settings that do not hold any more.
var errChanged = errors.New("the sink's settings changed")

// outlet is a LogSink as the Shipper sees it: a Sink that is opened by its
// settings at present. Where it cannot be opened, it takes nothing and says why.
type outlet struct {
	mu   sync.Mutex // guards what follows
	open func() (sink.Sink, error)
	sink sink.Sink
	err  error // why there is no sink
	// cancel ends the Write under way; nil where there is none.
	cancel context.CancelCauseFunc
	// stale says that the sink is to be opened anew when that Write has ended.
	stale bool
}

var (
	_ sink.Sink     = (*outlet)(nil)
	_ sink.Gatherer = (*outlet)(nil)
)

// use opens the sink anew, in a way that holds from now on.
func (o *outlet) use(open func() (sink.Sink, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = open
	if o.cancel != nil {
		o.stale = true
		o.cancel(errChanged)
		return
	}
	o.reopen()
}

// reopen closes the sink and opens it anew. No Write is under way, and the lock
// is held.
func (o *outlet) reopen() {
	o.close()
	o.stale = false
	o.sink, o.err = o.open()
	if o.err != nil {
		o.sink = nil
	}
}

// close closes the sink. What Close says changes nothing: only what Write has
// returned nil for counts. The lock is held.
func (o *outlet) close() {
	if closer, ok := o.sink.(io.Closer); ok {
		_ = closer.Close()
	}
	o.sink = nil
}

// Close closes the sink, after the last Write.
func (o *outlet) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.close()
}

// Write implements sink.Sink.
func (o *outlet) Write(ctx context.Context, batch []record.Record) error {
	o.mu.Lock()
	if o.sink == nil {
		o.reopen()
	}
	if o.err != nil {
		defer o.mu.Unlock()
		return o.err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	o.cancel = cancel
	s := o.sink
	o.mu.Unlock()

	err := s.Write(ctx, batch)

	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancel = nil
	cancel(nil)
	if o.stale {
		o.reopen()
	}
	return err
}

// Gather implements sink.Gatherer.
func (o *outlet) Gather() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g, ok := o.sink.(sink.Gatherer); ok {
		return g.Gather()
	}
	return 0
}

// Err is why the sink cannot be opened, or nil.
func (o *outlet) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
