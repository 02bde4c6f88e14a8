// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/snapshot"
)

// listening is a sink's destination, which outlives the sinks opened for it.
type listening struct {
	mu      sync.Mutex
	got     []int64
	err     error
	stuck   bool
	opened  []snapshot.Sink
	closed  int
	changed chan struct{}
}

func newListening() *listening { return &listening{changed: make(chan struct{})} }

func (l *listening) Write(ctx context.Context, batch []record.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stuck {
		l.change()
		l.mu.Unlock()
		<-ctx.Done()
		l.mu.Lock()
		return context.Cause(ctx)
	}
	for i, r := range batch {
		if l.err != nil && i == len(batch)/2 { // half of it was taken
			l.change()
			return l.err
		}
		l.got = append(l.got, r.Position.Index)
	}
	l.change()
	return nil
}

func (l *listening) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
	l.change()
	return nil
}

// change wakes await. The lock is held.
func (l *listening) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *listening) set(change func(*listening)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// await waits until something holds.
func (l *listening) await(t *testing.T, what string, holds func(*listening) bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		l.mu.Lock()
		there, changed := holds(l), l.changed
		l.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("in vain: %s", what)
		}
	}
}

func (l *listening) awaitRecord(t *testing.T, index int64) {
	t.Helper()
	l.await(t, fmt.Sprintf("record %d", index), func(l *listening) bool { return len(l.got) > 0 && l.got[len(l.got)-1] >= index })
}

// once returns what came, without repetitions.
func (l *listening) once() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[int64]bool{}
	var all []int64
	for _, i := range l.got {
		if !seen[i] {
			all = append(all, i)
		}
		seen[i] = true
	}
	return all
}

func upTo(from, end int64) []int64 {
	var all []int64
	for i := from; i < end; i++ {
		all = append(all, i)
	}
	return all
}

// post is a log with its delivery.
type post struct {
	t        *testing.T
	log      *spool.Log
	delivery *Delivery
	mu       sync.Mutex // guards places and missing
	places   map[string]*listening
	missing  error // why sinks with a Secret cannot be opened
	stop     func() error
}

// newPost opens a log of 16 segments and runs its delivery for connections.
func newPost(t *testing.T, dir string, connections ...string) *post {
	t.Helper()
	return newPatientPost(t, dir, time.Millisecond, connections...)
}

// newPatientPost pauses after failures.
func newPatientPost(t *testing.T, dir string, pause time.Duration, connections ...string) *post {
	t.Helper()
	p := &post{t: t, places: map[string]*listening{}}
	var err error
	p.log, err = spool.Open(t.Context(), spool.Options{
		Dir: dir, SegmentBytes: 4 << 10, MaxBytes: 64 << 10, Hold: "not known yet", CheckpointDelay: time.Hour,
		AwaitRemote: func(ctx context.Context, index int64) error { return p.delivery.AwaitRemote(ctx, index) },
	})
	must(t, err)
	p.delivery, err = NewDelivery(DeliveryOptions{
		Log: p.log, Connections: connections, AwaitTimeout: 100 * time.Millisecond,
		Feed: func(name string) (SinkFeed, error) { return p.log.NewFeed(name) },
		Open: p.open,
		Shipper: sink.Options{
			Gather: -1, RetryMin: pause, RetryMax: 5 * pause, WriteTimeout: 20 * time.Millisecond, DrainTimeout: 50 * time.Millisecond,
		},
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.delivery.Run(ctx) }()
	p.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, p.log.Close())
	})
	t.Cleanup(func() { _ = p.stop() })
	return p
}

func (p *post) place(name string) *listening {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[name] == nil {
		p.places[name] = newListening()
	}
	return p.places[name]
}

func (p *post) open(_ string, s snapshot.Sink) (sink.Sink, error) {
	p.mu.Lock()
	missing := p.missing
	p.mu.Unlock()
	if s.Secret && missing != nil {
		return nil, missing
	}
	l := p.place(s.Name)
	l.set(func(l *listening) {
		l.opened = append(l.opened, s)
		l.change()
	})
	return l, nil
}

func (p *post) append(n int) {
	p.t.Helper()
	for range n {
		_, err := p.log.Append(p.t.Context(), record.Event{Type: record.ProxyStart})
		must(p.t, err)
	}
}

// fill appends until the log refuses.
func (p *post) fill() error {
	p.t.Helper()
	for {
		if _, err := p.log.Append(p.t.Context(), record.Event{Type: record.ProxyStart}); err != nil {
			return err
		}
	}
}

func sinks(names ...string) *snapshot.Snapshot {
	s := &snapshot.Snapshot{}
	for _, name := range names {
		s.Sinks = append(s.Sinks, snapshot.Sink{Name: name, Type: "Webhook"})
	}
	return s
}

func (p *post) status(name string) sink.Status {
	p.t.Helper()
	for _, s := range p.delivery.Statuses() {
		if s.Name == name {
			return s
		}
	}
	p.t.Fatalf("no status of sink %q", name)
	return sink.Status{}
}
