// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// outageBatch is the number of records a growing log gains at once.
const outageBatch = 20

// Outage breaks a destination under load: 3 s, or 30 s where the environment
// has DOORWARD_LONG=1. A Shipper feeds the sink from a log that grows all the
// time. Afterwards the destination has every record, in the log's order, once
// repetitions are dropped by their id.
func Outage(t *testing.T, d Destination) {
	t.Helper()
	around, down := time.Second, 3*time.Second
	if os.Getenv("DOORWARD_LONG") == "1" {
		around, down = 5*time.Second, 30*time.Second
	}
	log := newGrowing()
	shipper, err := sink.NewShipper([]sink.Target{{Name: "out", Sink: d.New(t), Feed: log}},
		sink.Options{Gather: 20 * time.Millisecond, RetryMax: time.Second, WriteTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { log.grow(ctx) })
	group.Go(func() {
		if err := shipper.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("Run: %v", err)
		}
	})

	pause(t, around)
	before := log.Acknowledged()
	mend := d.Break(t)
	pause(t, down)
	failure := shipper.Status()[0].LastError
	mend()
	pause(t, around)
	end := log.stop()
	log.awaitAcknowledged(t, end)

	// A client of its own may bridge a short one.
	if failure == nil && down > 10*time.Second {
		t.Error("the status of the sink told nothing of the outage")
	}
	received := d.Received(t)
	if diff := cmp.Diff(lines(Records(0, end)), once(received)); diff != "" {
		t.Errorf("received once each: -want, +got:\n%.4000s", diff)
	}
	t.Logf("%d records, %d of them before an outage of %s, %d repeated; while down: %v", end, before, down, len(received)-int(end), failure)
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// growing is a feed of a log in memory.
type growing struct {
	mu                 sync.Mutex
	size, acknowledged int64
	stopped            bool
	changed            chan struct{}
}

func newGrowing() *growing { return &growing{changed: make(chan struct{})} }

// update changes the state and wakes all that wait for it.
func (g *growing) update(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	close(g.changed)
	g.changed = make(chan struct{})
}

// grow adds records every few milliseconds until the log is stopped.
func (g *growing) grow(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.update(func() {
				if !g.stopped {
					g.size += outageBatch
				}
			})
		}
	}
}

func (g *growing) stop() int64 {
	g.update(func() { g.stopped = true })
	return g.Durable()
}

func (g *growing) awaitAcknowledged(t *testing.T, end int64) {
	t.Helper()
	for {
		g.mu.Lock()
		acknowledged, changed := g.acknowledged, g.changed
		g.mu.Unlock()
		if acknowledged >= end {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d records acknowledged, and no more for a minute", acknowledged, end)
		}
	}
}

// Next implements sink.Feed.
func (g *growing) Next(ctx context.Context, count, _ int) ([]record.Record, error) {
	for {
		g.mu.Lock()
		from, to, changed := g.acknowledged, g.size, g.changed
		g.mu.Unlock()
		if to > from {
			return Records(from, min(to, from+int64(count))), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Acknowledge implements sink.Feed.
func (g *growing) Acknowledge(next int64) error {
	if next > g.Durable() {
		return errors.New("acknowledged more than there is")
	}
	g.update(func() { g.acknowledged = next })
	return nil
}

// Acknowledged implements sink.Feed.
func (g *growing) Acknowledged() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acknowledged
}

// Durable implements sink.Feed.
func (g *growing) Durable() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// Missed implements sink.Feed.
func (g *growing) Missed() int64 { return 0 }
