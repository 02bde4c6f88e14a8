// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	caller "github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// awaitCheckpoint waits for a checkpoint of at least size records.
func awaitCheckpoint(t *testing.T, l *Log, size int64) tree.Checkpoint {
	t.Helper()
	for {
		changed := l.Witness().Changed()
		if c, ok := l.Witness().Latest(); ok && c.Size >= size {
			return c
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatalf("no checkpoint of %d records", size)
		}
	}
}

func kinds(t *testing.T, dir string) []record.Type {
	t.Helper()
	var got []record.Type
	for _, d := range all(t, dir) {
		got = append(got, d.Type)
	}
	return got
}

// TestCheckpoints: what is written is covered, a checkpoint alone asks for no
// other, and the last says whether the log was closed in order.
func TestCheckpoints(t *testing.T) {
	cases := map[string]struct {
		reason string
		events []record.Type
		want   []record.Type
		closed bool
	}{
		"Nothing":  {reason: "of nothing there is nothing to say"},
		"Stopped":  {reason: "the proxy said that it ends", events: []record.Type{record.ProxyStart, record.ProxyStop}, want: []record.Type{record.ProxyStart, record.ProxyStop, record.Checkpoint}, closed: true},
		"Broke":    {reason: "the proxy did not say so", events: []record.Type{record.ProxyStart}, want: []record.Type{record.ProxyStart, record.Checkpoint}},
		"Went on":  {reason: "the stop was not the end", events: []record.Type{record.ProxyStop, record.ProxyStart}, want: []record.Type{record.ProxyStop, record.ProxyStart, record.Checkpoint}},
		"Restarts": {reason: "each start counts for itself", events: []record.Type{record.ProxyStop, record.ProxyStop}, want: []record.Type{record.ProxyStop, record.ProxyStop, record.Checkpoint}, closed: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := Options{Dir: t.TempDir(), CheckpointDelay: time.Hour}
			l := mustSign(t, options)
			for _, kind := range tc.events {
				mustAppend(t, l, record.Event{Type: kind})
			}
			if err := l.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Append(t.Context(), record.Event{Type: record.ProxyStart}); !errors.Is(err, ErrClosed) {
				t.Errorf("Append after Finish: %v, want %v", err, ErrClosed)
			}
			reader, err := l.NewReader(0)
			if err != nil {
				t.Fatal(err)
			}
			if len(tc.want) > 0 { // sinks read on
				if got, err := reader.Next(t.Context(), 10, 1<<20); err != nil || len(got) != len(tc.want) {
					t.Errorf("after Finish %d records, %v; want %d", len(got), err, len(tc.want))
				}
			}
			if err := errors.Join(reader.Close(), l.Finish(t.Context()), l.Close()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, kinds(t, options.Dir)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
			s := check(t, options.Dir, l.Keys().First())
			if n := len(s.checkpoints); n > 0 && (s.checkpoints[n-1].Closed != tc.closed || s.checkpoints[n-1].Size != int64(len(tc.events))) {
				t.Errorf("%s: the last checkpoint is %+v", tc.reason, s.checkpoints[n-1])
			}
			again := mustSign(t, options)
			if err := again.Close(); err != nil || again.Durable() != l.Durable() {
				t.Errorf("opened and closed once more: %d records, %v; want %d", again.Durable(), err, l.Durable())
			}
		})
	}
}

// TestCheckpointsWhileWriting is checklist 45: across segments and restarts,
// each checkpoint is of exactly the records before it, and what is written is
// covered soon.
func TestCheckpointsWhileWriting(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 8 << 20, CheckpointDelay: 10 * time.Millisecond}
	first := ""
	for range 3 {
		l := mustSign(t, options)
		first = l.Keys().First()
		for i := range 150 {
			mustAppend(t, l, record.Event{Type: record.OperationHeld})
			if err := l.AppendLater(record.Event{Type: record.SessionEnd, Session: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			if i%50 == 49 {
				awaitCheckpoint(t, l, l.Durable())
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := check(t, options.Dir, first)
	if len(s.checkpoints) < 9 || int64(len(s.leaves)) < 900 {
		t.Errorf("%d checkpoints in %d records", len(s.checkpoints), len(s.leaves))
	}
	for i, c := range s.checkpoints[1:] {
		if c.Size <= s.checkpoints[i].Size {
			t.Errorf("checkpoint of %d records after one of %d", c.Size, s.checkpoints[i].Size)
		}
	}
}

// TestIdleLogIsSilent: a checkpoint is no reason for another.
func TestIdleLogIsSilent(t *testing.T) {
	options := Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond}
	l := mustSign(t, options)
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	reader, err := l.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Next(t.Context(), 1, 1<<20); err != nil { // the checkpoint itself
		t.Fatal(err)
	}
	l.mu.Lock()
	set, due := l.signSet, l.sign
	l.mu.Unlock()
	if set != notSet || due {
		t.Error("another checkpoint is due")
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointAfterRecovery: what a crash left without a checkpoint, and
// what recovery adds with the actor of the session, is covered soon.
func TestCheckpointAfterRecovery(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, CheckpointDelay: time.Hour}
	l := mustOpen(t, options) // leaves no checkpoint, as a crash does
	actor := &caller.Principal{Provider: "corp", Subject: "00u1", UserName: "alice@example.com", Groups: []string{"staff"}, Kind: caller.Agent, Claims: []caller.Claim{{Name: "team", Values: []string{"a"}}}, AbsentClaims: []string{"repository"}, Delegation: []caller.Actor{{Subject: "agent-7"}}}
	mustAppend(t, l, record.Event{Type: record.SessionStart, Session: "a", Actor: actor}, decided("a", 1, policy.Allow))
	for range 40 { // the start is segments back
		mustAppend(t, l, record.Event{Type: record.OperationHeld})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	options.CheckpointDelay = 10 * time.Millisecond
	again := mustSign(t, options)
	c := awaitCheckpoint(t, again, 45)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	s := check(t, options.Dir, l.Keys().First())
	if c.Tree() != s.tree(t, c.Size) {
		t.Errorf("checkpoint %+v, want tree %+v", c, s.tree(t, c.Size))
	}
	for _, d := range all(t, options.Dir)[43:45] {
		if d.Actor == nil || d.Actor.UserName != "alice@example.com" || len(d.Actor.Delegation) != 1 || len(d.Actor.Claims) != 1 || len(d.Actor.AbsentClaims) != 1 || d.Session != "a" {
			t.Errorf("recovery wrote %+v without the session's actor", d)
		}
	}
}

// TestOpenWithoutTrees: a log of before there were checkpoints is read from
// its beginning; where that is gone, the error says what to do.
func TestOpenWithoutTrees(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20}
	l := mustOpen(t, options)
	for range 60 {
		mustAppend(t, l, record.Event{Type: record.OperationHeld})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	firsts, err := listSegments(options.Dir)
	if err != nil || len(firsts) < 3 {
		t.Fatalf("segments %v, %v", firsts, err)
	}
	for _, first := range firsts[1:] {
		o, err := readOpening(openPath(options.Dir, first))
		if err != nil {
			t.Fatal(err)
		}
		o.Tree, o.Leaves = nil, nil
		if err := writeOpening(openPath(options.Dir, first), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(options.Dir, keysFile)); err != nil { // nor was there a list of keys
		t.Fatal(err)
	}
	dir := copyDir(t, options.Dir)
	again := mustSign(t, Options{Dir: dir, SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20})
	mustAppend(t, again, record.Event{Type: record.ProxyStop})
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if s := check(t, dir, l.Keys().First()); len(s.checkpoints) == 0 {
		t.Error("no checkpoint")
	}
	if err := os.Remove(segmentPath(options.Dir, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), options); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "begin a new log") {
		t.Errorf("Open: %v, want %v and what to do", err, ErrCorrupt)
	}
}

// TestFullLogOwesACheckpoint is checklist 43: a log without room refuses, and
// says at its end what is not covered.
func TestFullLogOwesACheckpoint(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: minSegments * minSegmentBytes, CheckpointDelay: time.Hour}
	l := mustSign(t, options)
	for {
		if err := l.AppendLater(record.Event{Type: record.OperationHeld}); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if err := l.Close(); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), options.Dir) {
		t.Errorf("Close: %v, want %v naming the directory", err, ErrFull)
	}
	check(t, options.Dir, l.Keys().First())
}
