// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MaxRetryAfter bounds the pause that a destination may ask for. An error of
// Write asks with a method RetryAfter() time.Duration, as Failure does.
const MaxRetryAfter = 5 * time.Minute

// Target is a sink with its name and its feed. The feed is closed by whoever
// opened it, after Run or Remove.
type Target struct {
	Name string
	Sink Sink
	Feed Feed
	// Remote says that the sink is off this machine, so that what it has
	// acknowledged outlives the machine: Await waits for those.
	Remote bool
}

// Gatherer is a Sink that wants another Options.Gather than the others, such as
// one that makes an object of each batch. Negative for none, zero for Options'.
type Gatherer interface {
	Gather() time.Duration
}

// Options tune a Shipper. Zero values stand for what the comments say.
type Options struct {
	// BatchRecords and BatchBytes bound one Write: 2048 records, 2 MiB.
	BatchRecords int
	BatchBytes   int
	// Gather is how long records gather after a delivery, so that a busy log
	// makes few large batches: 100 ms. A sink that syncs a file takes turns at
	// the disk with the log that operations wait for. Negative for none. A sink
	// that is waited for does not gather.
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
	// Remote is the Target's.
	Remote bool
	// Reachable says that the sink took the last batch, or was not tried yet.
	Reachable bool
	// Acknowledged is the index of the first record not acknowledged; Lag is
	// how many there are.
	Acknowledged int64
	Lag          int64
	// Missed is the number of records deleted before the sink came, or came back.
	Missed int64
	// LastSuccess is when the sink last acknowledged a batch; zero where it has not yet.
	LastSuccess time.Time
	// LastError is why the last Write failed; nil after a success.
	LastError error
	// Failures is the number of failed Writes since the last success,
	// FailuresTotal that since the sink was added.
	Failures      int
	FailuresTotal int64
}

// Shipper feeds sinks, each on its own, so that one that is down holds up no
// other. It gives up on no record: what a sink does not take stays in the log,
// until the log is full and refuses.
type Shipper struct {
	options Options
	// waiting is the number of Awaits under way.
	waiting atomic.Int64

	mu      sync.Mutex // guards what follows
	workers []*worker
	// life is that of Run; nil before it.
	life  context.Context //nolint:containedctx // workers added while Run runs end with it
	ended bool
	errs  []error
	// acknowledged is closed at the next acknowledgement of a remote sink, and
	// when sinks come or go; nil while nobody waits.
	acknowledged chan struct{}

	// closed is closed when the log has ended.
	closed  chan struct{}
	closing sync.Once
	group   sync.WaitGroup
}

// NewShipper makes a Shipper. Names must differ.
func NewShipper(targets []Target, options Options) (*Shipper, error) {
	options.complete()
	s := &Shipper{options: options, closed: make(chan struct{})}
	for _, t := range targets {
		if err := s.Add(t); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Add has a sink fed, from now on where Run runs.
func (s *Shipper) Add(t Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Name == "" || s.find(t.Name) >= 0 || t.Sink == nil || t.Feed == nil {
		return fmt.Errorf("sink not usable: %q: each needs a name of its own, a sink and a feed", t.Name)
	}
	if s.ended {
		return fmt.Errorf("sink not usable: %q: delivery has ended", t.Name)
	}
	w := newWorker(t, s)
	s.workers = append(s.workers, w)
	s.announce()
	if s.life != nil {
		s.start(w)
	}
	return nil
}

// Remove ends the feeding of a sink, and returns when no Write is under way.
// What it has not acknowledged stays in the log.
func (s *Shipper) Remove(name string) {
	s.mu.Lock()
	i := s.find(name)
	if i < 0 {
		s.mu.Unlock()
		return
	}
	w := s.workers[i]
	s.workers = slices.Delete(s.workers, i, i+1)
	s.announce()
	started := w.started
	s.mu.Unlock()
	w.stop()
	if started {
		<-w.done
	}
}

// Retry has a sink tried at once that waits after a failure.
func (s *Shipper) Retry(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(name); i >= 0 {
		nudge(s.workers[i].retry)
	}
}

// Run delivers until ctx ends or the log is closed, then what is left within
// DrainTimeout. An error says which sinks do not have all records, or that a
// feed could not be read. It is called once.
func (s *Shipper) Run(ctx context.Context) error {
	s.mu.Lock()
	s.life = ctx
	for _, w := range s.workers {
		s.start(w)
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-s.closed:
	}
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.group.Wait()
	return errors.Join(s.errs...)
}

// start has a worker run. The lock is held.
func (s *Shipper) start(w *worker) {
	w.started = true
	ctx := s.life
	s.group.Go(func() {
		defer close(w.done)
		if err := w.run(ctx); err != nil {
			s.mu.Lock()
			s.errs = append(s.errs, err)
			s.mu.Unlock()
		}
	})
}

// find returns a worker's place, or -1. The lock is held.
func (s *Shipper) find(name string) int {
	return slices.IndexFunc(s.workers, func(w *worker) bool { return w.Name == name })
}

// Status returns the status of each sink in the order in which they were added.
func (s *Shipper) Status() []Status {
	s.mu.Lock()
	workers := slices.Clone(s.workers)
	s.mu.Unlock()
	all := make([]Status, 0, len(workers))
	for _, w := range workers {
		all = append(all, w.report())
	}
	return all
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
