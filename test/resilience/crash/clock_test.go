// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
)

// TestClockJumpsBack puts the clock of a proxy back under load, by less than
// the minute that clocks may differ by, and by an hour: sessions go on, the
// order of the records is that of their indices, and nothing is executed that is
// not on record (checklist 42). When the clock is put right, all is well soon.
func TestClockJumpsBack(t *testing.T) {
	t.Parallel()
	const (
		instance = "crash-clock"
		wrong    = 5 * time.Second
	)
	proxy := ownProxy(t, instance, t.TempDir())
	s := newScene(t, loadOptions{label: "clock", proxy: proxy, clients: clients, reads: true, seed: chance(t).Uint64()})
	s.all(t)
	clock := clockOf(t, proxy)

	clock.set(t, -40*time.Second)
	s.answers(t)
	if err := proxy.Ready(t.Context()); err != nil {
		t.Errorf("with a clock 40 s back, the proxy is not ready: %v", err)
	}
	sessions, _ := s.load.heard.counts()
	clock.set(t, -time.Hour)
	// Heartbeats come, and the log's readers read, at the wrong time.
	timer := time.NewTimer(wrong)
	<-timer.C
	s.answers(t)
	if err := proxy.Ready(t.Context()); err != nil {
		t.Errorf("with a clock an hour back, the proxy is not ready: %v", err)
	}
	if now, _ := s.load.heard.counts(); now != sessions {
		t.Errorf("%d sessions were lost when the clock jumped back by an hour", now-sessions)
	}
	// Put right, the clock is ahead of the last heartbeat by more than
	// maxStalenessSeconds: the proxy refuses until the next.
	clock.set(t, 0)
	s.load.heard.forget()
	righted := s.answers(t)
	s.kill(t)
	if s.trail.back < time.Hour-2*time.Minute {
		t.Errorf("on record, time never went back by more than %s: the clock was not what the test says", s.trail.back)
	}
	s.launch(t)
	s.answers(t)
	s.settle(t)
	await(t, "the ends of the AuditSessions", func(ctx context.Context) error { return ended(ctx, instance) })
	t.Logf("the clock was put back by 40 s and by an hour; put right, the clients were answered after %s: %s", righted.Round(time.Millisecond), s.total())
}

// TestLogClockJumpsBack is the same for the log by itself: what is appended,
// delivered and found again after a restart goes by the index, whatever the time.
func TestLogClockJumpsBack(t *testing.T) {
	const sink = "sink"
	now := time.Date(2026, 3, 29, 3, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	var want []string
	for _, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-24 * time.Hour), now.Add(time.Minute)} {
		clock := at
		l, err := spool.Open(t.Context(), spool.Options{Dir: dir, Sinks: []string{sink}, Now: func() time.Time { return clock }})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			// The clock also runs backwards between two records.
			clock = clock.Add(-time.Second)
			position, err := l.Append(t.Context(), record.Event{Type: record.ProxyStart})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprint(position.Index, " ", clock.Format(time.RFC3339)))
		}
		acknowledge(t, l, sink)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for r, err := range spool.Records(dir) {
		if err != nil {
			t.Fatal(err)
		}
		d, err := record.Decode(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if d.Type == record.ProxyStart {
			got = append(got, fmt.Sprint(d.Index, " ", d.Time.UTC().Format(time.RFC3339)))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-appended +found):\n%s", diff)
	}
}

// acknowledge delivers what a sink has not got, and checks that nothing comes twice.
func acknowledge(t *testing.T, l *spool.Log, sink string) {
	t.Helper()
	feed, err := l.NewFeed(sink)
	if err != nil {
		t.Fatal(err)
	}
	next := feed.Acknowledged()
	for next < l.Durable() {
		batch, err := feed.Next(t.Context(), 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range batch {
			if r.Position.Index != next {
				t.Fatalf("record %d is delivered where %d is next", r.Position.Index, next)
			}
			next++
		}
		if err := feed.Acknowledge(next); err != nil {
			t.Fatal(err)
		}
	}
	if err := feed.Close(); err != nil {
		t.Fatal(err)
	}
}
