// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/witness"
)

// holder is a witness: it knows the keys and the last checkpoint of one log.
type holder struct {
	keys *tree.Keys
	held tlog.Tree
}

// submit takes what the log submits for what the witness holds.
func (h *holder) submit(t *testing.T, l *Log) {
	t.Helper()
	s, err := l.Witness().Submission(h.held)
	if err != nil {
		t.Fatal(err)
	}
	h.accept(t, s)
}

func (h *holder) accept(t *testing.T, s witness.Submission) {
	t.Helper()
	s.Instance = "orders-0"
	data, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = witness.Decode(data); err != nil {
		t.Fatal(err)
	}
	if h.keys == nil {
		if h.keys, err = tree.NewKeys(s.Log, s.Key); err != nil {
			t.Fatal(err)
		}
	}
	for _, rotation := range s.Rotations {
		if err := h.keys.Follow(rotation); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Verify(h.keys, h.held)
	if err != nil {
		t.Fatal(err)
	}
	h.held = c.Tree()
}

// grow appends records and waits for a checkpoint of them.
func grow(t *testing.T, l *Log, records int) {
	t.Helper()
	for range records {
		mustAppend(t, l, record.Event{Type: record.OperationHeld})
	}
	awaitCheckpoint(t, l, l.Durable())
}

// TestWitness is checklist 45: whatever a witness holds of a log, be it what
// was acknowledged, submitted, or last written before a restart, the log
// proves that it continues it; its keys may be rotated meanwhile.
func TestWitness(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 4 << 20, CheckpointDelay: 5 * time.Millisecond}
	l := mustSign(t, options)
	if _, err := l.Witness().Submission(tlog.Tree{}); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("Submission of an empty log: %v, want %v", err, ErrNoCheckpoint)
	}
	h := &holder{}
	var history []tlog.Tree
	for round := range 30 {
		grow(t, l, 1+round*7%20)
		switch round % 5 {
		case 0: // submitted and acknowledged
			h.submit(t, l)
			if err := l.Witness().Acknowledged(h.held); err != nil {
				t.Fatal(err)
			}
			if l.Witness().Held() != h.held.N {
				t.Errorf("%d records are held, want %d", l.Witness().Held(), h.held.N)
			}
		case 1: // submitted, and nothing heard
			h.submit(t, l)
		case 2: // submitted, and lost
			if _, err := l.Witness().Submission(h.held); err != nil {
				t.Fatal(err)
			}
		case 3:
			if err := l.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		case 4:
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustSign(t, options)
		}
		history = append(history, h.held)
	}
	grow(t, l, 1)
	for _, held := range history { // a witness that is put back is proven to as well
		old := &holder{keys: h.keys, held: held}
		old.submit(t, l)
	}
	s := check(t, options.Dir, l.Keys().First())
	if h.held != s.tree(t, h.held.N) || len(h.keys.Texts()) != 7 {
		t.Errorf("held %+v after %d keys, want %+v", h.held, len(h.keys.Texts()), s.tree(t, h.held.N))
	}
}

// TestWitnessManySubmissions: what was submitted and not acknowledged does not
// add up, and none of it is lost.
func TestWitnessManySubmissions(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: time.Millisecond})
	var all []*holder
	for range 3 * maxPoints {
		grow(t, l, 2)
		h := &holder{}
		h.submit(t, l)
		all = append(all, h)
	}
	grow(t, l, 2)
	if n := len(l.witness.points); n > maxPoints+1 {
		t.Errorf("%d checkpoints are kept", n)
	}
	for _, h := range all {
		h.submit(t, l)
	}
}

// TestWitnessConflict is checklist 45 (rollback, fork): what the log does not
// continue is told before anything is submitted.
func TestWitnessConflict(t *testing.T) {
	options := Options{Dir: t.TempDir(), CheckpointDelay: 5 * time.Millisecond}
	l := mustSign(t, options)
	grow(t, l, 5)
	older := copyDir(t, options.Dir)
	grow(t, l, 5)
	h := &holder{}
	h.submit(t, l)
	if err := errors.Join(l.Witness().Acknowledged(h.held), l.Close()); err != nil {
		t.Fatal(err)
	}

	rolled := mustSign(t, Options{Dir: older, CheckpointDelay: 5 * time.Millisecond})
	grow(t, rolled, 1)
	if _, err := rolled.Witness().Submission(h.held); !errors.Is(err, ErrConflict) {
		t.Errorf("rolled back: Submission: %v, want %v", err, ErrConflict)
	}
	grow(t, rolled, 20)
	if _, err := rolled.Witness().Submission(h.held); !errors.Is(err, ErrConflict) {
		t.Errorf("forked: Submission: %v, want %v", err, ErrConflict)
	}
	if err := rolled.Witness().Acknowledged(h.held); !errors.Is(err, ErrConflict) {
		t.Errorf("forked: Acknowledged: %v, want %v", err, ErrConflict)
	}
	if err := rolled.Close(); err != nil {
		t.Fatal(err)
	}

	// The directory itself remembers what was acknowledged.
	data, err := os.ReadFile(filepath.Join(options.Dir, witnessFile))
	if err != nil {
		t.Fatal(err)
	}
	empty := mustSign(t, Options{Dir: t.TempDir()})
	if err := empty.Close(); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"RolledBack": copyDir(t, options.Dir), "Foreign": empty.options.Dir} {
		if err := os.WriteFile(filepath.Join(dir, witnessFile), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "RolledBack" {
			overwrite(t, segmentPath(dir, 0), 0, make([]byte, 64<<10))
		}
		if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: Open: %v, want %v", name, err, ErrCorrupt)
		}
	}
}

// TestWitnessHoldsBack: what the witness has not seen is kept as for a sink,
// and what it has seen goes; the proof goes on from there.
func TestWitnessHoldsBack(t *testing.T) {
	options := Options{
		Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, CheckpointDelay: 5 * time.Millisecond,
		Sinks: []string{"out"}, Witness: true,
	}
	l := mustSign(t, options)
	grow(t, l, 5)
	h := &holder{}
	h.submit(t, l)
	early := *h
	grow(t, l, 60)
	feed, err := l.NewFeed("out")
	if err != nil {
		t.Fatal(err)
	}
	if err := feed.Acknowledge(l.Durable()); err != nil {
		t.Fatal(err)
	}
	l.deleteOld()
	if got := oldest(l); got != 0 {
		t.Errorf("the oldest record is %d: the witness has not seen it", got)
	}
	h.submit(t, l)
	if err := l.Witness().Acknowledged(h.held); err != nil {
		t.Fatal(err)
	}
	for oldest(l) == 0 { // until the segments are closed
		l.deleteOld()
	}
	grow(t, l, 60)
	if err := errors.Join(feed.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l = mustSign(t, options)
	grow(t, l, 1)
	h.submit(t, l)
	if _, err := l.Witness().Submission(early.held); !errors.Is(err, ErrConflict) || !errors.Is(err, ErrGone) {
		t.Errorf("a witness that went back: Submission: %v, want %v", err, ErrConflict)
	}
}
