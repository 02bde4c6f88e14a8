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

// MaxRetryAfter bounds the pause that a destination may ask for. An error of
// Write asks with a method RetryAfter() time.Duration, as Failure does.
const MaxRetryAfter = 5 * time.Minute

// Target is a sink with its name and its feed. The feed is closed by whoever
// opened it, after Run.
type Target struct {
	Name string
	Sink Sink
	Feed Feed
}

// Options tune a Shipper. Zero values stand for what the comments say.
type Options struct {
	// BatchRecords and BatchBytes bound one Write: 2048 records, 2 MiB.
	BatchRecords int
	BatchBytes   int
	// Gather is how long records gather after a delivery, so that a busy log
	// makes few large batches: 100 ms. A sink that syncs a file takes turns at
	// the disk with the log that operations wait for. Negative for none.
	Gather time.Duration
	// RetryMin and RetryMax bound the pause after a failure, which doubles:
	// 100 ms to 30 s.
	RetryMin, RetryMax time.Duration
	// WriteTimeout bounds one Write: 1 min.
	WriteTimeout time.Duration
	// DrainTimeout bounds the last deliveries after ctx of Run has ended: 5 s.
	DrainTimeout time.Duration
}

func (o *Options) complete() {
	set := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	if o.BatchRecords <= 0 {
		o.BatchRecords = 2048
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 2 << 20
	}
	set(&o.Gather, 100*time.Millisecond)
	set(&o.RetryMin, 100*time.Millisecond)
	set(&o.RetryMax, 30*time.Second)
	set(&o.WriteTimeout, time.Minute)
	set(&o.DrainTimeout, 5*time.Second)
}

// Status is how a sink is doing.
type Status struct {
	Name string
	// Acknowledged is the index of the first record not acknowledged; Lag is
	// how many there are.
	Acknowledged int64
	Lag          int64
	// Missed is the number of records deleted before the sink came, or came back.
	Missed int64
	// LastSuccess is when a batch was last accepted.
	LastSuccess time.Time
	// LastError is why the last Write failed; nil after a success.
	LastError error
	// Failures is the number of failed Writes since the last success.
	Failures int
}

// Shipper feeds sinks, each on its own, so that one that is down holds up no
// other. It gives up on no record: what a sink does not take stays in the log,
// until the log is full and refuses.
type Shipper struct {
	options Options
	workers []*worker
}

type worker struct {
	Target
	options *Options

	mu     sync.Mutex // guards status
	status Status
}

// NewShipper makes a Shipper. Names must differ.
func NewShipper(targets []Target, options Options) (*Shipper, error) {
	options.complete()
	s := &Shipper{options: options}
	seen := map[string]bool{}
	for _, t := range targets {
		if t.Name == "" || seen[t.Name] || t.Sink == nil || t.Feed == nil {
			return nil, fmt.Errorf("sink not usable: %q: each needs a name of its own, a sink and a feed", t.Name)
		}
		seen[t.Name] = true
		s.workers = append(s.workers, &worker{Target: t, options: &s.options})
	}
	return s, nil
}

// Run delivers until ctx ends or the log is closed, then what is left within
// DrainTimeout. An error says which sinks do not have all records, or that a
// feed could not be read.
func (s *Shipper) Run(ctx context.Context) error {
	errs := make([]error, len(s.workers))
	var group sync.WaitGroup
	for i, w := range s.workers {
		group.Go(func() {
			errs[i] = w.run(ctx)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// Status returns the status of each sink in the order given.
func (s *Shipper) Status() []Status {
	all := make([]Status, 0, len(s.workers))
	for _, w := range s.workers {
		w.mu.Lock()
		status := w.status
		w.mu.Unlock()
		status.Name, status.Missed = w.Name, w.Feed.Missed()
		status.Acknowledged = w.Feed.Acknowledged()
		status.Lag = max(w.Feed.Durable()-status.Acknowledged, 0)
		all = append(all, status)
	}
	return all
}

func (w *worker) run(ctx context.Context) error {
	// Deliveries under way when ctx ends may still succeed.
	drain, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(w.options.DrainTimeout, cancel)
	})
	defer stop()
	for {
		batch, err := w.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			w.failed(err)
			return fmt.Errorf("sink %q: %w", w.Name, err)
		}
		if len(batch) == 0 {
			return nil // ctx has ended and nothing is left
		}
		if err := w.deliver(drain, batch); err != nil {
			return fmt.Errorf("sink %q: %d records not delivered: %w", w.Name, w.Feed.Durable()-w.Feed.Acknowledged(), err)
		}
		if drain.Err() != nil {
			if lag := w.Feed.Durable() - w.Feed.Acknowledged(); lag > 0 {
				return fmt.Errorf("sink %q: %d records not delivered in time", w.Name, lag)
			}
		}
		if w.Feed.Durable()-w.Feed.Acknowledged() < int64(w.options.BatchRecords) {
			w.pause(ctx, w.options.Gather)
		}
	}
}

// next returns the next batch; none where ctx has ended and nothing is left.
func (w *worker) next(ctx context.Context) ([]record.Record, error) {
	batch, err := w.Feed.Next(ctx, w.options.BatchRecords, w.options.BatchBytes)
	if err == nil || ctx.Err() == nil {
		return batch, err
	}
	if w.Feed.Durable() <= w.Feed.Acknowledged() {
		return nil, nil
	}
	return w.Feed.Next(context.WithoutCancel(ctx), w.options.BatchRecords, w.options.BatchBytes)
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
			w.mu.Lock()
			w.status.LastSuccess, w.status.LastError, w.status.Failures = time.Now(), nil, 0
			w.mu.Unlock()
			return nil
		}
		w.failed(err)
		// Up to half of the pause is random, so that proxies do not come back
		// to a sink all at once.
		w.pause(ctx, max(retry/2+rand.N(retry/2+1), asked(err))) //nolint:gosec // no secret
		retry = min(2*retry, w.options.RetryMax)
		if ctx.Err() != nil {
			return err
		}
	}
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

func (w *worker) write(ctx context.Context, batch []record.Record) error {
	ctx, cancel := context.WithTimeout(ctx, w.options.WriteTimeout)
	defer cancel()
	return w.Sink.Write(ctx, batch)
}

func (w *worker) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.LastError = err
	w.status.Failures++
}

func (w *worker) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
