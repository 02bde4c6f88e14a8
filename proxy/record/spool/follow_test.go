// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
)

// live follows session "own" from its first record on, after a record of that.
func live(ctx context.Context, l *Log, first int64, out io.Writer, until time.Duration) error {
	read, err := l.Append(ctx, record.Event{Type: record.RecordingRead, Read: &record.Read{Session: "own", FirstRecord: first, Follow: true}})
	if err != nil {
		return err
	}
	return l.Follow(ctx, out, &extract.Live{
		Session: "own", First: first, Through: read.Index, Until: time.Now().Add(until), Beat: 5 * time.Millisecond, Pushed: func() error { return nil },
	})
}

// TestFollow: checklist 46: what comes is given as soon as a checkpoint covers it, until
// the session's end; nobody else's records are there.
func TestFollow(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
	mustAppend(t, l, statement("other", 1, "canary of another"))
	start, err := l.Append(t.Context(), record.Event{Type: record.SessionStart, Session: "own"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, out := io.Pipe()
	followed := make(chan error, 1)
	go func() {
		err := live(ctx, l, start.Index, out, time.Hour)
		followed <- errors.Join(err, out.Close())
	}()
	var all bytes.Buffer
	proven, ended := make(chan int64), make(chan error, 1)
	go func() {
		last := int64(-1)
		ended <- extract.Follow(io.TeeReader(in, &all), func(r record.Record) error {
			last = r.Position.Index
			return nil
		}, func(report *extract.Report) error {
			if report.Last != last || report.Size <= last {
				t.Errorf("proven up to %d of %d, read up to %d", report.Last, report.Size, last)
			}
			proven <- last
			return nil
		})
		close(proven)
	}()
	await := func(index int64) {
		for got := range proven {
			if got >= index {
				return
			}
		}
		t.Errorf("ended before record %d", index)
	}
	await(start.Index)
	for i := range 4 {
		mustAppend(t, l, statement("other", uint64(i), `canary "session":"own"`))
		p, err := l.Append(ctx, statement("own", uint64(i+1), fmt.Sprint("SELECT ", i)))
		if err != nil {
			t.Fatal(err)
		}
		await(p.Index)
	}
	end, err := l.Append(ctx, record.Event{Type: record.SessionEnd, Session: "own"})
	if err != nil {
		t.Fatal(err)
	}
	await(end.Index)
	if err := errors.Join(<-followed, <-ended); err != nil {
		t.Error(err)
	}
	if bytes.Contains(all.Bytes(), []byte("canary")) {
		t.Errorf("another session's record is there:\n%s", all.Bytes())
	}
}

// TestFollowEnds: what is over is given as a whole, what goes on ends when it is time.
func TestFollowEnds(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		ended  bool
		until  time.Duration
	}{
		"Over":   {"the session has ended", true, time.Hour},
		"Time":   {"the session goes on, and it is time", false, 50 * time.Millisecond},
		"AtOnce": {"what is there is proven though it is time before", false, -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
			mustAppend(t, l, record.Event{Type: record.ProxyStart})
			events := []record.Event{{Type: record.SessionStart, Session: "own"}, statement("own", 1, "SELECT 1")}
			if c.ended {
				events = append(events, record.Event{Type: record.SessionEnd, Session: "own"})
			}
			var want []int64
			for _, e := range events {
				p, err := l.Append(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, p.Index)
			}
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := live(ctx, l, want[0], &out, c.until); err != nil {
				t.Fatal(err)
			}
			var got []int64
			size := int64(0)
			err := extract.Follow(bytes.NewReader(out.Bytes()), func(r record.Record) error {
				got = append(got, r.Position.Index)
				return nil
			}, func(r *extract.Report) error { size = r.Size; return nil })
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s: %v: -want +got\n%s", c.reason, err, diff)
			}
			// The reading itself is covered.
			if through := want[len(want)-1] + 1; size <= through {
				t.Errorf("%s: covered are %d records, not the reading, %d", c.reason, size, through)
			}
		})
	}
}

// TestFollowChanged: what was changed is found at the next checkpoint, what is cut behind
// it is said to be.
func TestFollowChanged(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
	mustAppend(t, l, record.Event{Type: record.SessionStart, Session: "own"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	in, out := io.Pipe()
	go func() { _ = out.CloseWithError(live(ctx, l, 0, out, time.Hour)) }()
	var all bytes.Buffer
	if err := extract.Follow(io.TeeReader(in, &all), func(record.Record) error { return nil }, func(r *extract.Report) error {
		if r.Records < 3 {
			mustAppend(t, l, statement("own", uint64(r.Records), fmt.Sprint("SELECT ", r.Records)))
			return nil
		}
		return l.AppendLater(record.Event{Type: record.SessionEnd, Session: "own"})
	}); err != nil {
		t.Fatal(err)
	}
	read := func(text string) (proven int, err error) {
		err = extract.Follow(strings.NewReader(text), func(record.Record) error { return nil }, func(r *extract.Report) error {
			proven = r.Records
			return nil
		})
		return proven, err
	}
	if n, err := read(all.String()); n != 4 || err != nil {
		t.Fatalf("%d records, %v in\n%s", n, err, all.String())
	}
	if n, err := read(strings.Replace(all.String(), "SELECT 2", "SELECT 7", 1)); n != 2 || !errors.Is(err, extract.ErrChanged) {
		t.Errorf("a changed statement: %d records proven, %v", n, err)
	}
	cut := strings.Index(all.String(), "SELECT 2")
	if n, err := read(all.String()[:cut+strings.IndexByte(all.String()[cut:], '\n')+1]); n != 2 || !errors.Is(err, extract.ErrCut) {
		t.Errorf("cut behind a record: %d records proven, %v", n, err)
	}
	if _, err := extract.Check(&all, func(record.Record) error { return nil }); err == nil {
		t.Error("what goes on is taken for what is closed")
	}
}
