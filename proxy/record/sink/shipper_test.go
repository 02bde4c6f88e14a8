// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a sink whose Writes can be made to fail or to wait.
type memory struct {
	mu      sync.Mutex
	indexes []int64
	failure error
	failed  chan struct{} // gets one for each failed Write, where there is room
	stuck   bool
	changed chan struct{}
}

func newMemory() *memory {
	return &memory{failed: make(chan struct{}, 1000), changed: make(chan struct{})}
}

func (m *memory) Write(ctx context.Context, batch []record.Record) error {
	m.mu.Lock()
	stuck := m.stuck
	m.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range batch {
		if m.failure != nil && i == len(batch)/2 { // half of it was taken
			m.failed <- struct{}{}
			return m.failure
		}
		m.indexes = append(m.indexes, r.Position.Index)
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// await waits until the sink has record index.
func (m *memory) await(t *testing.T, index int64) {
	t.Helper()
	for {
		m.mu.Lock()
		there, changed := len(m.indexes) > 0 && m.indexes[len(m.indexes)-1] >= index, m.changed
		m.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("record did not come")
		}
	}
}

// once returns the indexes in order of first arrival.
func (m *memory) once() []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[int64]bool{}
	var all []int64
	for _, i := range m.indexes {
		if !seen[i] {
			all = append(all, i)
		}
		seen[i] = true
	}
	return all
}

func upTo(end int64) []int64 {
	var all []int64
	for i := range end {
		all = append(all, i)
	}
	return all
}

func openLog(t *testing.T, dir string, size int64, sinks ...string) *spool.Log {
	t.Helper()
	options := spool.Options{Dir: dir, Sinks: sinks, MaxBytes: size, CheckpointDelay: time.Hour}
	if size > 0 {
		options.SegmentBytes = 4 << 10
	}
	l, err := spool.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// ship runs a shipper and returns how to end it.
func ship(t *testing.T, l *spool.Log, options sink.Options, sinks map[string]sink.Sink) (*sink.Shipper, func() error) {
	t.Helper()
	var targets []sink.Target
	for name, s := range sinks {
		feed, err := l.NewFeed(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = feed.Close() })
		targets = append(targets, sink.Target{Name: name, Sink: s, Feed: feed})
	}
	shipper, err := sink.NewShipper(targets, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- shipper.Run(ctx) }()
	end := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = end() })
	return shipper, end
}

func mustAppend(t *testing.T, l *spool.Log, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(t.Context(), record.Event{Type: record.SessionEnd, Session: "a"}); err != nil {
			t.Fatal(err)
		}
	}
}

var quick = sink.Options{Gather: -1, RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond, DrainTimeout: 50 * time.Millisecond}

// TestDelivery is checklist 44: a sink that fails gets everything when it is
// back, in order; another is not held up; the status says so.
func TestDelivery(t *testing.T) {
	l := openLog(t, t.TempDir(), 0, "good", "bad")
	good, bad := newMemory(), newMemory()
	errBoom := errors.New("boom")
	bad.fail(errBoom)
	shipper, end := ship(t, l, quick, map[string]sink.Sink{"good": good, "bad": bad})
	mustAppend(t, l, 50)
	good.await(t, 49)
	<-bad.failed
	<-bad.failed
	for _, s := range shipper.Status() {
		if s.Name == "bad" && (!errors.Is(s.LastError, errBoom) || s.Lag != 50 || s.Acknowledged != 0 || s.Failures == 0) {
			t.Errorf("status of the bad sink: %+v", s)
		}
	}
	bad.fail(nil)
	bad.await(t, 49)
	mustAppend(t, l, 10)
	if err := end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for name, m := range map[string]*memory{"good": good, "bad": bad} {
		if diff := cmp.Diff(upTo(60), m.once()); diff != "" {
			t.Errorf("%s: -want, +got:\n%s", name, diff)
		}
	}
	for _, s := range shipper.Status() {
		if s.LastError != nil || s.Lag != 0 || s.Acknowledged != 60 || s.LastSuccess.IsZero() {
			t.Errorf("status: %+v", s)
		}
	}
}

// TestRestart: what was not acknowledged comes after a restart, what was does not.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, 0, "out")
	first := newMemory()
	_, end := ship(t, l, quick, map[string]sink.Sink{"out": first})
	mustAppend(t, l, 5)
	first.await(t, 4)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 5)
	if err := l.Close(); err != nil { // which adds a checkpoint
		t.Fatal(err)
	}
	l = openLog(t, dir, 0, "out")
	second := newMemory()
	_, end = ship(t, l, quick, map[string]sink.Sink{"out": second})
	second.await(t, 10)
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{5, 6, 7, 8, 9, 10}, second.once()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestStuckSinkFillsTheLog is checklist 44: a sink that takes nothing leads to
// refusal when the log is full, and to nothing lost.
func TestStuckSinkFillsTheLog(t *testing.T) {
	l := openLog(t, t.TempDir(), 32<<10, "out")
	m := newMemory()
	m.stuck = true
	options := quick
	options.WriteTimeout = time.Millisecond
	_, end := ship(t, l, options, map[string]sink.Sink{"out": m})
	var err error
	for err == nil {
		_, err = l.Append(t.Context(), record.Event{Type: record.SessionEnd})
	}
	if !errors.Is(err, spool.ErrFull) || !strings.Contains(err.Error(), `"out"`) {
		t.Errorf("Append: %v, want %v naming the sink", err, spool.ErrFull)
	}
	taken := l.Durable()
	m.mu.Lock()
	m.stuck = false
	m.mu.Unlock()
	m.await(t, taken-1)
	if err := end(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(upTo(taken), m.once()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestEndWithSinkDown: the end does not wait for ever, and says what is missing.
func TestEndWithSinkDown(t *testing.T) {
	l := openLog(t, t.TempDir(), 0, "out")
	m := newMemory()
	m.fail(errors.New("boom"))
	_, end := ship(t, l, quick, map[string]sink.Sink{"out": m})
	mustAppend(t, l, 3)
	<-m.failed
	if err := end(); err == nil || !strings.Contains(err.Error(), "3 records not delivered") {
		t.Errorf("Run: %v, want the number of records not delivered", err)
	}
}

func TestNewShipperRefuses(t *testing.T) {
	l := openLog(t, t.TempDir(), 0, "out")
	feed, err := l.NewFeed("out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	good := sink.Target{Name: "out", Sink: newMemory(), Feed: feed}
	for name, targets := range map[string][]sink.Target{
		"SameName": {good, good}, "NoName": {{Sink: good.Sink, Feed: feed}}, "NoSink": {{Name: "x", Feed: feed}}, "NoFeed": {{Name: "x", Sink: good.Sink}},
	} {
		if _, err := sink.NewShipper(targets, sink.Options{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
