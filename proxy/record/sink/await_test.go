// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// growing is a log in memory that grows, as one sink gets it.
type growing struct {
	mu                sync.Mutex
	end, acknowledged int64
	changed           chan struct{}
	fails             error
}

func newGrowing() *growing { return &growing{changed: make(chan struct{})} }

func (g *growing) grow(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end += n
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *growing) Next(ctx context.Context, count, _ int) ([]record.Record, error) {
	for {
		g.mu.Lock()
		from, end, changed, fails := g.acknowledged, g.end, g.changed, g.fails
		g.mu.Unlock()
		if fails != nil {
			return nil, fails
		}
		if end > from {
			return sinktest.Records(from, min(end, from+int64(count))), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (g *growing) Acknowledge(next int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acknowledged = next
	return nil
}

func (g *growing) Acknowledged() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acknowledged
}

func (g *growing) Durable() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.end
}

func (g *growing) Missed() int64 { return 0 }

// batches notes when a batch came, and how large it was; it fails with err.
type batches struct {
	gather time.Duration
	mu     sync.Mutex
	err    error
	came   []time.Duration
	sizes  []int
	begin  time.Time
}

func (b *batches) Gather() time.Duration { return b.gather }

func (b *batches) Write(_ context.Context, batch []record.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.came, b.sizes = append(b.came, time.Since(b.begin)), append(b.sizes, len(batch))
	return b.err
}

func (b *batches) times() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.came)
}

func (b *batches) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// pass lets the time of a synctest bubble pass.
func pass(d time.Duration) { <-time.After(d) }

// running runs a shipper for the time of a synctest bubble.
func running(t *testing.T, targets ...sink.Target) *sink.Shipper {
	t.Helper()
	shipper, err := sink.NewShipper(targets, sink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- shipper.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		synctest.Wait()
	})
	return shipper
}

// A sink may want larger batches than others, but not while an operation waits
// for it.
func TestGather(t *testing.T) {
	tests := map[string]struct {
		reason string
		gather time.Duration
		await  bool
		want   time.Duration // when the second record comes
	}{
		"Usual":  {reason: "no wish", want: 100 * time.Millisecond},
		"Large":  {reason: "what it wishes", gather: 5 * time.Second, want: 5 * time.Second},
		"None":   {reason: "it wishes none", gather: -1, want: 10 * time.Millisecond},
		"Waited": {reason: "an operation waits", gather: 5 * time.Second, await: true, want: 10 * time.Millisecond},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, b := newGrowing(), &batches{gather: tc.gather, begin: time.Now()}
				shipper := running(t, sink.Target{Name: "out", Sink: b, Feed: log, Remote: true})
				log.grow(1)
				pass(10 * time.Millisecond)
				log.grow(1)
				if tc.await {
					if err := shipper.Await(t.Context(), 1); err != nil {
						t.Error(err)
					}
				}
				pass(10 * time.Second)
				if diff := cmp.Diff([]time.Duration{0, tc.want}, b.times()); diff != "" {
					t.Errorf("%s: batches came -want, +got:\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func TestAwait(t *testing.T) {
	errBoom := errors.New("connection refused")
	type sinks struct{ remote, other, local *batches }
	tests := map[string]struct {
		reason string
		set    func(sinks)
		want   error
		says   []string
	}{
		"Acknowledged": {reason: "a remote sink has it", set: func(sinks) {}},
		"OneIsEnough":  {reason: "the first that has it counts", set: func(s sinks) { s.remote.set(errBoom) }},
		"LocalIsNot": {
			reason: "a sink on this machine does not count", want: context.DeadlineExceeded,
			set:  func(s sinks) { s.remote.set(errBoom); s.other.set(errBoom) },
			says: []string{`sink "remote": connection refused`, `sink "other": connection refused`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sinks{&batches{}, &batches{}, &batches{}}
				tc.set(s)
				var logs []*growing
				var targets []sink.Target
				for name, b := range map[string]*batches{"remote": s.remote, "other": s.other, "local": s.local} {
					log := newGrowing()
					logs = append(logs, log)
					targets = append(targets, sink.Target{Name: name, Sink: b, Feed: log, Remote: b != s.local})
				}
				shipper := running(t, targets...)
				for _, log := range logs {
					log.grow(1)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := shipper.Await(ctx, 0)
				if !errors.Is(err, tc.want) {
					t.Errorf("Await: %v, want %v: %s", err, tc.want, tc.reason)
				}
				for _, says := range tc.says {
					if err != nil && !strings.Contains(err.Error(), says) {
						t.Errorf("Await: %v, want it to say %q", err, says)
					}
				}
			})
		})
	}
}

func TestAwaitWithoutRemoteSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newGrowing()
		shipper := running(t, sink.Target{Name: "local", Sink: &batches{}, Feed: log})
		if err := shipper.Await(t.Context(), 0); !errors.Is(err, sink.ErrNoRemote) {
			t.Errorf("Await: %v, want %v", err, sink.ErrNoRemote)
		}
		// One that comes while somebody waits counts, one that goes does not any more.
		log = newGrowing()
		stuck := &batches{err: errors.New("boom")}
		if err := shipper.Add(sink.Target{Name: "stuck", Sink: stuck, Feed: newGrowing(), Remote: true}); err != nil {
			t.Fatal(err)
		}
		waits := make(chan error)
		go func() { waits <- shipper.Await(t.Context(), 0) }()
		synctest.Wait()
		if err := shipper.Add(sink.Target{Name: "late", Sink: &batches{}, Feed: log, Remote: true}); err != nil {
			t.Fatal(err)
		}
		log.grow(1)
		if err := <-waits; err != nil {
			t.Errorf("Await: %v, want the late sink to count", err)
		}
		go func() { waits <- shipper.Await(t.Context(), 5) }()
		synctest.Wait()
		shipper.Remove("stuck")
		shipper.Remove("late")
		if err := <-waits; !errors.Is(err, sink.ErrNoRemote) {
			t.Errorf("Await: %v, want %v once all are removed", err, sink.ErrNoRemote)
		}
	})
}

// A sink that is waited for is tried at least every second or two, so that a
// short outage is not made long, unless it asked for a longer pause.
func TestRetryWhileWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newGrowing(), &batches{err: errors.New("boom"), begin: time.Now()}
		shipper := running(t, sink.Target{Name: "out", Sink: b, Feed: log, Remote: true})
		log.grow(1)
		pass(time.Hour) // the pauses have grown to 30 s
		before := len(b.times())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := shipper.Await(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if tried := len(b.times()) - before; tried < 8 || tried > 12 {
			t.Errorf("tried %d times in 10 s", tried)
		}
	})
}

func TestRetryAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, b := newGrowing(), &batches{err: &sink.Failure{Text: "later", After: time.Hour}, begin: time.Now()}
		shipper := running(t, sink.Target{Name: "out", Sink: b, Feed: log})
		log.grow(1)
		pass(time.Second)
		b.set(nil)
		shipper.Retry("out")
		synctest.Wait()
		if status := shipper.Status()[0]; status.Lag != 0 || !status.Reachable || status.FailuresTotal != 1 {
			t.Errorf("status: %+v, want it delivered at once", status)
		}
	})
}

// A sink that is removed gets nothing any more, and its stuck Write is ended;
// the others go on.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, good := newMemory(), newMemory()
		stuck.stuck = true
		first, second := newGrowing(), newGrowing()
		shipper := running(t, sink.Target{Name: "stuck", Sink: stuck, Feed: first}, sink.Target{Name: "good", Sink: good, Feed: second})
		first.grow(1)
		synctest.Wait()
		begin := time.Now()
		shipper.Remove("stuck")
		shipper.Remove("unknown")
		if time.Since(begin) != 0 {
			t.Errorf("Remove took %s", time.Since(begin))
		}
		second.grow(3)
		good.await(t, 2)
		if names := len(shipper.Status()); names != 1 {
			t.Errorf("%d sinks, want one", names)
		}
	})
}

// A log that cannot be read for a while is not given up.
func TestUnreadableLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := newGrowing(), newMemory()
		log.fails = io.ErrUnexpectedEOF
		shipper := running(t, sink.Target{Name: "out", Sink: out, Feed: log})
		pass(time.Minute)
		if status := shipper.Status()[0]; status.Reachable || !errors.Is(status.LastError, io.ErrUnexpectedEOF) {
			t.Errorf("status: %+v", status)
		}
		log.mu.Lock()
		log.fails = nil
		log.mu.Unlock()
		log.grow(2)
		out.await(t, 1)
	})
}
