// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
)

// statement is an operation of a session.
func statement(session string, n uint64, text string) record.Event {
	e := decided(session, n, "Allow")
	e.Operation = &record.Operation{Protocol: "postgres", Kind: "SELECT", Statement: text}
	return e
}

// taken is an extract of a session as it is now.
func taken(t *testing.T, l *Log, session string, first int64) []byte {
	t.Helper()
	read, err := l.Append(t.Context(), record.Event{Type: record.RecordingRead, Read: &record.Read{Session: session, FirstRecord: first}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Extract(ctx, &out, session, first, read.Index); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// checked are the indexes of the records in an extract that holds.
func checked(t *testing.T, data []byte) ([]int64, *extract.Report) {
	t.Helper()
	var indexes []int64
	report, err := extract.Check(bytes.NewReader(data), func(r record.Record) error {
		indexes = append(indexes, r.Position.Index)
		return nil
	})
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return indexes, report
}

// TestExtract: checklist 46: one session's records can be verified, and nobody else's
// are there.
func TestExtract(t *testing.T) {
	cases := map[string]struct {
		reason  string
		options Options
		before  int // operations of others before
		ended   bool
		rotated bool
	}{
		"First":    {"the log begins with it", Options{}, 0, true, false},
		"Later":    {"others were before", Options{}, 37, true, false},
		"Live":     {"it goes on: what is there is given", Options{}, 5, false, false},
		"Segments": {"over many segments, whose trees are kept", Options{MaxBytes: 1 << 20, SegmentBytes: minSegmentBytes}, 90, true, false},
		"Rotated":  {"the log's key was replaced since", Options{}, 5, true, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.options.Dir, tc.options.CheckpointDelay = t.TempDir(), 10*time.Millisecond
			l := mustSign(t, tc.options)
			for i := range tc.before {
				mustAppend(t, l, statement("other", uint64(i), "canary of another"))
			}
			start, err := l.Append(t.Context(), record.Event{Type: record.SessionStart, Session: "own"})
			if err != nil {
				t.Fatal(err)
			}
			want := []int64{start.Index}
			for i := range 20 {
				mustAppend(t, l, statement("other", uint64(i), `canary "session":"own"`))
				p, err := l.Append(t.Context(), statement("own", uint64(i+1), fmt.Sprint("SELECT ", i)))
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, p.Index)
			}
			if tc.ended {
				p, err := l.Append(t.Context(), record.Event{Type: record.SessionEnd, Session: "own"})
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, p.Index)
			}
			for i := range 60 {
				mustAppend(t, l, statement("other", uint64(i), "canary of another"))
			}
			if tc.rotated {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				tc.options.KeyMaxAge, tc.options.Now = time.Hour, func() time.Time { return time.Now().Add(2 * time.Hour) }
				l = mustSign(t, tc.options)
			}
			data := taken(t, l, "own", start.Index)
			got, report := checked(t, data)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			if report.Log != l.ID() || report.Session != "own" || report.Size <= want[len(want)-1] || tc.rotated != (report.Keys == 2) {
				t.Errorf("%s: %+v", tc.reason, report)
			}
			if bytes.Contains(data, []byte("canary")) {
				t.Errorf("%s: another session's record is there:\n%s", tc.reason, data)
			}
		})
	}
}

// TestExtractChanged: whatever is changed on the way is found, and what is cut proves nothing.
func TestExtractChanged(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond})
	mustAppend(t, l, record.Event{Type: record.ProxyStart}, record.Event{Type: record.SessionStart, Session: "own"})
	for i := range 3 {
		mustAppend(t, l, statement("own", uint64(i+1), fmt.Sprint("SELECT ", i)), statement("other", 1, "SELECT 1"))
	}
	data := taken(t, l, "own", 1)
	lines := strings.SplitAfter(string(data), "\n")
	lines = lines[:len(lines)-1]
	read := func(text string) error {
		_, err := extract.Check(strings.NewReader(text), func(record.Record) error { return nil })
		return err
	}
	if err := read(string(data)); err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		without := strings.Join(append(append([]string(nil), lines[:i]...), lines[i+1:]...), "")
		if err := read(without); !errors.Is(err, extract.ErrChanged) && !errors.Is(err, extract.ErrCut) {
			t.Errorf("without line %d: %v", i+1, err)
		}
		if err := read(strings.Join(append(append(append([]string(nil), lines[:i]...), lines[i], lines[i]), lines[i+1:]...), "")); !errors.Is(err, extract.ErrChanged) {
			t.Errorf("with line %d twice: %v", i+1, err)
		}
	}
	for i := range data {
		if err := read(string(data[:i])); !errors.Is(err, extract.ErrCut) {
			t.Fatalf("cut at %d of %d: %v", i, len(data), err)
		}
		changed := bytes.Clone(data)
		// A letter stands for another, a digit for another, a mark for another.
		if changed[i] ^= 1; bytes.ContainsAny(changed[i:i+1], "\n") || data[i] == '\n' {
			continue
		}
		if err := read(string(changed)); err == nil && !harmless(data, i) {
			t.Fatalf("changed at %d: %s", i, data[max(0, i-60):min(len(data), i+20)])
		}
	}
	if err := read(strings.Replace(string(data), "SELECT 1", "SELECT 7", 1)); !errors.Is(err, extract.ErrChanged) {
		t.Errorf("a changed statement: %v", err)
	}
}

// harmless says that a byte is outside of what is signed: the last record, which is the
// checkpoint's, but for its note, and names of members that nobody reads.
func harmless(data []byte, at int) bool {
	last := bytes.LastIndexByte(data[:len(data)-1], '\n')
	return at > last
}

// TestExtractGone: what retention took is said to be gone.
func TestExtractGone(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), MaxBytes: 64 << 10, SegmentBytes: minSegmentBytes, Sinks: []string{"s"}, CheckpointDelay: 10 * time.Millisecond})
	feed, err := l.NewFeed("s")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	mustAppend(t, l, record.Event{Type: record.SessionStart, Session: "own"})
	for i := range 60 {
		mustAppend(t, l, statement("other", uint64(i), strings.Repeat("x", 200)))
	}
	if err := feed.Acknowledge(l.Durable()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		_, err := l.At(ctx, 0)
		if errors.Is(err, ErrGone) {
			tick.Stop()
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Extract(ctx, &bytes.Buffer{}, "own", 0, 10); !errors.Is(err, ErrGone) {
		t.Errorf("of deleted records: %v", err)
	}
	// A session that began later is proven by the tree of what was deleted.
	start, err := l.Append(ctx, record.Event{Type: record.SessionStart, Session: "later"})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := checked(t, taken(t, l, "later", start.Index)); len(got) != 1 {
		t.Errorf("of a session after deleted ones: %d records", len(got))
	}
}
