// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
)

// clock is set by tests.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

// fillSegments appends until a number of segments is there, each closed but the last.
func fillSegments(t *testing.T, l *Log, segments int) {
	t.Helper()
	for {
		l.mu.Lock()
		changed, there, settled := l.watch(), len(l.segments) >= segments, l.spare != nil && len(l.sealed) == 0
		l.mu.Unlock()
		switch {
		case there && settled:
			return
		case !there:
			mustAppend(t, l, record.Event{Type: record.ProxyStart, Reason: strings.Repeat("x", 200)})
		default:
			select {
			case <-changed:
			case <-t.Context().Done():
				t.Fatal("segments are not closed")
			}
		}
	}
}

func smallLog(t *testing.T, c *clock, sinks ...string) *Log {
	t.Helper()
	return mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 16 * minSegmentBytes, Now: c.Now, Sinks: sinks})
}

func oldest(l *Log) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segments[0].first
}

func acknowledgeAll(t *testing.T, l *Log, sinks ...string) {
	t.Helper()
	for _, sink := range sinks {
		feed, err := l.NewFeed(sink)
		if err == nil {
			err = errors.Join(feed.Acknowledge(l.Durable()), feed.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeletion(t *testing.T) {
	shows := ReaderName("shows")
	tests := map[string]struct {
		reason string
		sinks  []string
		// What happens to the log, in this order.
		retention   time.Duration
		hold        string
		acknowledge []string
		remove, add string
		pass        time.Duration
		// kept says that nothing may be deleted, held what Usage says of it.
		kept bool
		held string
	}{
		"Acknowledged": {reason: "what everybody has may go", sinks: []string{"a", shows}, acknowledge: []string{"a", shows}},
		"OneSinkBehind": {
			reason: "every sink must have it", sinks: []string{"a", "b"}, acknowledge: []string{"a"},
			kept: true, held: `sink "b" has acknowledged 0 of`,
		},
		"ReaderBehind": {
			reason: "so must the proxy's own readers", sinks: []string{"a", shows}, acknowledge: []string{"a"},
			kept: true, held: `the proxy's reader "shows" has acknowledged 0 of`,
		},
		"NoSink": {
			reason: "a reader is no place where records are kept", sinks: []string{shows}, acknowledge: []string{shows},
			kept: true, held: "create a LogSink",
		},
		"Young": {
			reason: "the configured time has not passed", sinks: []string{"a"}, acknowledge: []string{"a"},
			retention: time.Hour, pass: time.Hour - time.Second, kept: true, held: "kept for 1h0m0s",
		},
		"Old": {
			reason: "the configured time has passed", sinks: []string{"a"}, acknowledge: []string{"a"},
			retention: time.Hour, pass: time.Hour,
		},
		"OldAndBehind": {
			reason: "age alone deletes nothing", sinks: []string{"a"},
			retention: time.Hour, pass: 100 * time.Hour, kept: true, held: `sink "a"`,
		},
		"Hold": {
			reason: "a legal hold keeps everything, however old", sinks: []string{"a"}, acknowledge: []string{"a"},
			retention: time.Second, hold: "legal hold", pass: 100 * time.Hour, kept: true, held: "legal hold",
		},
		"SinkRemoved":     {reason: "a sink that is gone holds nothing back", sinks: []string{"a", "b"}, acknowledge: []string{"a"}, remove: "b"},
		"LastSinkRemoved": {reason: "without a sink records are kept until there is one", sinks: []string{"a"}, remove: "a", kept: true, held: "create a LogSink"},
		"SinkAdded": {
			reason: "a sink that is added gets what is kept", sinks: []string{shows}, acknowledge: []string{shows}, add: "b",
			kept: true, held: `sink "b" has acknowledged 0 of`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			// A hold while it is filled: what may go must not go before its time.
			l := smallLog(t, c, tc.sinks...)
			l.SetRetention(0, "being filled")
			fillSegments(t, l, 4)
			l.SetRetention(tc.retention, tc.hold)
			acknowledgeAll(t, l, tc.acknowledge...)
			if tc.remove != "" {
				if err := l.RemoveSink(tc.remove); err != nil {
					t.Fatal(err)
				}
			}
			if tc.add != "" {
				if err := l.AddSink(tc.add); err != nil {
					t.Fatal(err)
				}
			}
			c.advance(tc.pass)
			l.deleteOld()
			if kept := oldest(l) == 0; kept != tc.kept {
				t.Errorf("the oldest record kept is %d: %s", oldest(l), tc.reason)
			}
			if held := l.Usage().Held; tc.held != "" && !strings.Contains(held, tc.held) {
				t.Errorf("held by %q, want %q", held, tc.held)
			}
		})
	}
}

// The age of what was there before a restart counts on, by the records' own time.
func TestRetentionAfterRestart(t *testing.T) {
	c := newClock()
	l := smallLog(t, c, "a")
	options := l.options
	options.Retention = time.Hour
	l.SetRetention(time.Hour, "")
	fillSegments(t, l, 3)
	acknowledgeAll(t, l, "a")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, options)
	l.deleteOld()
	if oldest(l) != 0 {
		t.Error("records were deleted before their time")
	}
	c.advance(time.Hour)
	l.deleteOld()
	if oldest(l) == 0 {
		t.Error("old records were kept")
	}
}

// A sink added late gets what is still kept and says what it missed, also after
// a restart; one that is removed and added again goes on where it was.
func TestSinksComeAndGo(t *testing.T) {
	l := smallLog(t, newClock(), "a")
	options := l.options
	fillSegments(t, l, 4)
	acknowledgeAll(t, l, "a")
	l.deleteOld()
	for range 5 {
		mustAppend(t, l, record.Event{Type: record.ProxyStart})
	}
	first := oldest(l)
	if first == 0 {
		t.Fatal("nothing was deleted")
	}
	check := func(l *Log, when string, next, missed int64) {
		t.Helper()
		if err := l.AddSink("late"); err != nil {
			t.Fatal(err)
		}
		feed, err := l.NewFeed("late")
		if err != nil {
			t.Fatal(err)
		}
		records, err := feed.Next(t.Context(), 1, 1)
		if err != nil || records[0].Position.Index != next || feed.Missed() != missed {
			t.Errorf("%s: begins with %v, %v, missed %d; want record %d, missed %d", when, records, err, feed.Missed(), next, missed)
		}
		if err := errors.Join(feed.Acknowledge(next+1), feed.Close(), l.RemoveSink("late")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.NewFeed("late"); err == nil {
			t.Errorf("%s: a sink that was removed got a feed", when)
		}
	}
	check(l, "new", first, first)
	check(l, "again", first+1, first)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.AddSink("other"); !errors.Is(err, ErrClosed) {
		t.Errorf("AddSink on the closed log: %v, want %v", err, ErrClosed)
	}
	l = mustOpen(t, options)
	check(l, "after a restart", first+2, first)
	if err := l.AddSink("../key"); err == nil {
		t.Error("a name that is a path was taken")
	}
}

// A crash while a cursor was written leaves what must not be taken for one.
func TestUnfinishedCursor(t *testing.T) {
	l := smallLog(t, newClock(), "a")
	options := l.options
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(options.Dir, cursorDir, "a"+unnamed)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, options)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished file is still there: %v", err)
	}
}

func TestUsage(t *testing.T) {
	l := smallLog(t, newClock(), "a")
	if u := l.Usage(); u.Used != 0 || u.Max != 16*minSegmentBytes {
		t.Errorf("an empty log: %+v", u)
	}
	taken, err := fillUp(t, l)
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d records: %v", taken, err)
	}
	if u := l.Usage(); u.Used < u.Max*8/10 || u.Used > u.Max || !strings.Contains(u.Held, `sink "a"`) {
		t.Errorf("a full log: %+v", u)
	}
}

// TestRemoteDurability: nothing counts as recorded that only this machine has,
// where that was asked for.
func TestRemoteDurability(t *testing.T) {
	errBoom := errors.New("boom")
	remote := record.Event{Type: record.OperationDecided, Durability: record.Remote}
	tests := map[string]struct {
		reason string
		hook   func(context.Context, int64) error
		event  record.Event
		want   error
		fails  bool
	}{
		"NoHook":       {reason: "nobody can acknowledge it", event: remote, fails: true},
		"Refused":      {reason: "no sink has it", event: remote, hook: func(context.Context, int64) error { return errBoom }, want: errBoom},
		"Acknowledged": {reason: "a sink has it", event: remote, hook: func(context.Context, int64) error { return nil }},
		"Local":        {reason: "nobody asked", event: record.Event{Type: record.ProxyStart}, hook: func(context.Context, int64) error { return errBoom }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var asked []int64
			options := Options{Dir: t.TempDir()}
			if tc.hook != nil {
				options.AwaitRemote = func(ctx context.Context, index int64) error {
					asked = append(asked, index)
					return tc.hook(ctx, index)
				}
			}
			l := mustOpen(t, options)
			mustAppend(t, l, record.Event{Type: record.ProxyStart})
			_, err := l.Append(t.Context(), tc.event)
			if (err != nil) != (tc.fails || tc.want != nil) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Append: %v, want %v: %s", err, tc.want, tc.reason)
			}
			// Only what has its place in the log is unsettled.
			if errors.Is(err, record.ErrUnsettled) != (tc.want != nil) {
				t.Errorf("Append: %v: unsettled, or not, in error: %s", err, tc.reason)
			}
			p, err := l.Begin(t.Context(), tc.event)
			if err == nil {
				_, err = p.Wait(t.Context())
			}
			if (err != nil) != (tc.fails || tc.want != nil) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Begin and Wait: %v, want %v: %s", err, tc.want, tc.reason)
			}
			var want []int64
			if tc.hook != nil && tc.event.Durability == record.Remote {
				want = []int64{1, 2}
			}
			if diff := cmp.Diff(want, asked); diff != "" {
				t.Errorf("asked for: -want, +got:\n%s", diff)
			}
		})
	}
}

func TestSpokenNames(t *testing.T) {
	if got := fmt.Sprint(spoken("archive"), ", ", spoken(ReaderName("witness"))); got != `sink "archive", the proxy's reader "witness"` {
		t.Errorf("%s", got)
	}
}
