// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// urgentRetry bounds the pause after a failure while somebody waits for the
// sink, and the destination has not asked for a longer one.
const urgentRetry = time.Second

// worker feeds one sink.
type worker struct {
	Target
	shipper *Shipper
	options *Options
	// urgent ends the gathering, retry the pause after a failure.
	urgent, retry chan struct{}
	started       bool // guarded by the Shipper's lock
	// removed ends when the sink is removed.
	removed context.Context //nolint:containedctx // the worker's own end
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex // guards status
	status Status
}

func newWorker(t Target, s *Shipper) *worker {
	w := &worker{
		Target: t, shipper: s, options: &s.options, done: make(chan struct{}),
		urgent: make(chan struct{}, 1), retry: make(chan struct{}, 1),
	}
	w.removed, w.stop = context.WithCancel(context.Background())
	return w
}

func (w *worker) report() Status {
	w.mu.Lock()
	status := w.status
	w.mu.Unlock()
	status.Name, status.Remote, status.Missed = w.Name, w.Remote, w.Feed.Missed()
	status.Reachable = status.LastError == nil
	status.Acknowledged = w.Feed.Acknowledged()
	status.Lag = max(w.Feed.Durable()-status.Acknowledged, 0)
	return status
}

// run delivers until the sink is removed, ctx ends or the log is closed.
func (w *worker) run(ctx context.Context) error {
	defer w.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.removed, cancel)()
	// Deliveries under way when ctx ends may still succeed.
	drain, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(w.removed, end)()
	defer context.AfterFunc(ctx, func() {
		time.AfterFunc(w.options.DrainTimeout, end)
	})()
	err := w.ship(ctx, drain)
	if w.removed.Err() != nil {
		return nil
	}
	return err
}

func (w *worker) ship(ctx, drain context.Context) error {
	retry := w.options.RetryMin
	for {
		batch, err := w.next(ctx, drain)
		switch {
		case errors.Is(err, io.EOF):
			w.shipper.closing.Do(func() { close(w.shipper.closed) })
			return nil
		case err != nil:
			// What cannot be read now is not given up.
			w.failed(fmt.Errorf("cannot read the log: %w", err))
			w.hold(ctx, retry, err)
			if ctx.Err() != nil {
				return fmt.Errorf("sink %q: %w", w.Name, err)
			}
			retry = min(2*retry, w.options.RetryMax)
			continue
		case len(batch) == 0:
			return nil // ctx has ended and nothing is left
		}
		retry = w.options.RetryMin
		if err := w.deliver(drain, batch); err != nil {
			return fmt.Errorf("sink %q: %d records not delivered: %w", w.Name, w.Feed.Durable()-w.Feed.Acknowledged(), err)
		}
		if drain.Err() != nil {
			if lag := w.Feed.Durable() - w.Feed.Acknowledged(); lag > 0 {
				return fmt.Errorf("sink %q: %d records not delivered in time", w.Name, lag)
			}
		}
		if w.Feed.Durable()-w.Feed.Acknowledged() < int64(w.options.BatchRecords) {
			w.gather(ctx)
		}
	}
}

// next returns the next batch; none where ctx has ended and nothing is left.
func (w *worker) next(ctx, drain context.Context) ([]record.Record, error) {
	batch, err := w.Feed.Next(ctx, w.options.BatchRecords, w.options.BatchBytes)
	if err == nil || ctx.Err() == nil {
		return batch, err
	}
	if w.removed.Err() != nil || w.Feed.Durable() <= w.Feed.Acknowledged() {
		return nil, nil //nolint:nilerr // the end was asked for
	}
	return w.Feed.Next(drain, w.options.BatchRecords, w.options.BatchBytes)
}

// deliver tries until the sink has the batch, or ctx ends.
func (w *worker) deliver(ctx context.Context, batch []record.Record) error {
	retry := w.options.RetryMin
	for {
		err := w.write(ctx, batch)
		if err == nil {
			err = w.Feed.Acknowledge(batch[len(batch)-1].Position.Index + 1)
		}
		if err == nil {
			w.succeeded()
			return nil
		}
		w.failed(err)
		if w.hold(ctx, retry, err) {
			retry = w.options.RetryMin
		} else {
			retry = min(2*retry, w.options.RetryMax)
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

func (w *worker) write(ctx context.Context, batch []record.Record) error {
	ctx, cancel := context.WithTimeout(ctx, w.options.WriteTimeout)
	defer cancel()
	return w.Sink.Write(ctx, batch)
}

func (w *worker) succeeded() {
	w.mu.Lock()
	w.status.LastSuccess, w.status.LastError, w.status.Failures = time.Now(), nil, 0
	w.mu.Unlock()
	if w.Remote {
		w.shipper.mu.Lock()
		w.shipper.announce()
		w.shipper.mu.Unlock()
	}
}

func (w *worker) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.LastError = err
	w.status.Failures++
	w.status.FailuresTotal++
}

// asked is the pause that the destination asked for with its error, bounded;
// zero where it asked for none.
func asked(err error) time.Duration {
	var failure interface{ RetryAfter() time.Duration }
	if !errors.As(err, &failure) {
		return 0
	}
	return min(failure.RetryAfter(), MaxRetryAfter)
}

// hold waits after a failure. It returns true where it was told to try at once.
func (w *worker) hold(ctx context.Context, retry time.Duration, err error) bool {
	// Up to half of the pause is random, so that proxies do not come back to a
	// sink all at once.
	pause, wanted := retry/2+rand.N(retry/2+1), asked(err) //nolint:gosec // no secret
	if wanted > pause {
		return wait(ctx, wanted, w.retry, nil)
	}
	if pause <= urgentRetry {
		return wait(ctx, pause, w.retry, nil)
	}
	if wait(ctx, urgentRetry, w.retry, nil) {
		return true
	}
	if ctx.Err() != nil || w.waitedFor() {
		return false
	}
	return wait(ctx, pause-urgentRetry, w.retry, w.urgent)
}

func (w *worker) waitedFor() bool { return w.Remote && w.shipper.waiting.Load() > 0 }

// gather lets records gather, unless somebody waits for them.
func (w *worker) gather(ctx context.Context) {
	pause := w.options.Gather
	if g, ok := w.Sink.(Gatherer); ok && w.options.Gather > 0 {
		if wanted := g.Gather(); wanted != 0 {
			pause = wanted
		}
	}
	if pause > 0 && !w.waitedFor() {
		wait(ctx, pause, nil, w.urgent)
	}
}

// wait waits for a time, the end of ctx or either signal. It returns true where
// the first one came.
func wait(ctx context.Context, d time.Duration, first, second <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-first:
		return true
	case <-second:
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
