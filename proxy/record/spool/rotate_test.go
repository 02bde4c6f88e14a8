// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
)

func TestRotate(t *testing.T) {
	options := Options{Dir: t.TempDir(), CheckpointDelay: 10 * time.Millisecond}
	l := mustSign(t, options)
	id, first := l.ID(), l.Verifier()
	for range 3 {
		mustAppend(t, l, record.Event{Type: record.OperationHeld})
		awaitCheckpoint(t, l, l.Durable())
		if err := l.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitCheckpoint(t, l, l.Durable())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustSign(t, options)
	mustAppend(t, again, record.Event{Type: record.ProxyStop})
	if again.ID() != id || again.Keys().First() != first || again.Verifier() != l.Verifier() {
		t.Errorf("opened again as log %q with keys %q", again.ID(), again.Keys().Texts())
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	s := check(t, options.Dir, first)
	if diff := cmp.Diff(again.Keys().Texts(), s.keys.Texts()); diff != "" || len(s.keys.Texts()) != 4 {
		t.Errorf("keys: -want, +got:\n%s", diff)
	}
}

func TestRotateWhereOld(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	options := Options{Dir: t.TempDir(), KeyMaxAge: 24 * time.Hour, Now: func() time.Time { return now }}
	for i, step := range []struct {
		after time.Duration
		keys  int
	}{{0, 1}, {23 * time.Hour, 1}, {time.Hour, 2}, {time.Hour, 2}, {48 * time.Hour, 3}} {
		now = now.Add(step.after)
		l := mustSign(t, options)
		if got := len(l.Keys().Texts()); got != step.keys {
			t.Errorf("start %d: %d keys, want %d", i, got, step.keys)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrashAtEachStepOfRotation is checklist 42 and 45 for the log's key:
// wherever a rotation is cut short, the next start finishes or undoes it, and
// a verifier follows.
func TestCrashAtEachStepOfRotation(t *testing.T) {
	options := Options{Dir: t.TempDir(), CheckpointDelay: time.Hour}
	copies := map[string]string{}
	options.step = func(name string) { copies[name] = copyDir(t, options.Dir) }
	l := mustSign(t, options)
	first := l.Verifier()
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	before := l.active.used
	if err := l.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := l.active.used
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The record reached the disk in part.
	torn := copyDir(t, copies["record written"])
	overwrite(t, segmentPath(torn, 0), before+(end-before)/2, make([]byte, end-before))
	copies["record torn"] = torn
	for name, rotated := range map[string]bool{
		"next key written": false, "record torn": false, "record written": true, "list written": true, "key renamed": true,
	} {
		t.Run(name, func(t *testing.T) {
			dir := copies[name]
			if dir == "" {
				t.Fatal("no such step")
			}
			last := l.Verifier()
			for range 2 { // the second start finds all in order
				again := mustSign(t, Options{Dir: dir, SegmentBytes: 64 << 10, MaxBytes: 16 << 20})
				if got := again.Verifier() == last; got != rotated {
					t.Errorf("the next key is in force: %v, want %v", got, rotated)
				}
				if _, err := os.Stat(filepath.Join(dir, nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", nextKeyFile, err)
				}
				mustAppend(t, again, record.Event{Type: record.ProxyStop})
				if err := again.Rotate(t.Context()); err != nil {
					t.Error(err)
				}
				if err := again.Close(); err != nil {
					t.Fatal(err)
				}
				last, rotated = again.Verifier(), true
			}
			s := check(t, dir, first)
			if s.keys.Current() != last || len(s.checkpoints) < 2 {
				t.Errorf("a verifier ends with key %q after %d checkpoints, want %q", s.keys.Current(), len(s.checkpoints), last)
			}
		})
	}
}

// TestCheckpointTooLateForItsKey: what the old key would have had to sign is
// left to the next checkpoint, which the new key signs.
func TestCheckpointTooLateForItsKey(t *testing.T) {
	l := mustSign(t, Options{Dir: t.TempDir(), CheckpointDelay: time.Hour})
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	l.stopNotary() // the test is the notary
	<-l.notarised
	take := func() snapshot {
		l.mu.Lock()
		l.sign = true
		l.mu.Unlock()
		signal(l.wake)
		return <-l.snapshots
	}
	late := take()
	if err := l.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.certify(t.Context(), late, false); err == nil {
		t.Error("a checkpoint of before the rotation is signed after it")
	}
	if c, ok := l.Witness().Latest(); ok {
		t.Errorf("the witness is shown %+v", c)
	}
	if err := l.certify(t.Context(), take(), true); err != nil {
		t.Fatal(err)
	}
	(&holder{}).submit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if s := check(t, l.options.Dir, l.Keys().First()); len(s.checkpoints) != 1 || s.checkpoints[0].Size != 2 {
		t.Errorf("checkpoints %+v", s.checkpoints)
	}
}

// TestRotationFarBack: others may write segments while a rotation is cut short.
func TestRotationFarBack(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, CheckpointDelay: time.Hour}
	var l *Log
	copied := ""
	options.step = func(name string) {
		if name != "record written" {
			return
		}
		for settled := false; !settled; {
			mustAppend(t, l, record.Event{Type: record.OperationHeld})
			l.mu.Lock()
			settled = len(l.segments) > 3 && len(l.sealed) == 0
			l.mu.Unlock()
		}
		copied = copyDir(t, options.Dir)
	}
	l = mustSign(t, options)
	if err := l.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := mustSign(t, Options{Dir: copied, SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20})
	if again.Verifier() != l.Verifier() {
		t.Error("the next key is not in force")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if s := check(t, copied, l.Keys().First()); s.keys.Current() != l.Verifier() {
		t.Errorf("a verifier ends with key %q", s.keys.Current())
	}
}

// TestRotationFails: a rotation that cannot be finished breaks the log, since
// the key that signs would not be the one on record; the next start finishes it.
func TestRotationFails(t *testing.T) {
	options := Options{Dir: t.TempDir(), CheckpointDelay: time.Hour}
	list := filepath.Join(options.Dir, keysFile)
	blocked := list + unnamed
	options.step = func(name string) {
		if name == "record written" {
			if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o700); err != nil {
				t.Error(err)
			}
		}
	}
	l := mustSign(t, options)
	if err := l.Rotate(t.Context()); !errors.Is(err, ErrBroken) {
		t.Errorf("Rotate: %v, want %v", err, ErrBroken)
	}
	if _, err := l.Append(t.Context(), record.Event{Type: record.ProxyStart}); !errors.Is(err, ErrBroken) {
		t.Errorf("Append: %v, want %v", err, ErrBroken)
	}
	if err := l.Close(); !errors.Is(err, ErrBroken) {
		t.Errorf("Close: %v, want %v", err, ErrBroken)
	}
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	options.step = nil
	again := mustSign(t, options)
	if again.Verifier() == l.Keys().First() {
		t.Error("the key that is on record is not in force")
	}
}

func TestOpenRefusesKeys(t *testing.T) {
	cases := map[string]struct {
		reason string
		harm   func(t *testing.T, dir string)
		want   string
	}{
		"ListGone": {
			reason: "the key is not the first", want: "is missing",
			harm: func(t *testing.T, dir string) {
				t.Helper()
				if err := os.Remove(filepath.Join(dir, keysFile)); err != nil {
					t.Fatal(err)
				}
			},
		},
		"ListCut": {
			reason: "half a list names no key", want: "restore it",
			harm: func(t *testing.T, dir string) {
				t.Helper()
				if err := os.Truncate(filepath.Join(dir, keysFile), 100); err != nil {
					t.Fatal(err)
				}
			},
		},
		"OtherKey": {
			reason: "the key is another log's", want: "restore",
			harm: func(t *testing.T, dir string) {
				t.Helper()
				k, err := newKey("")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, keyFile), k.text, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
		"KeyOfSameName": {
			reason: "anybody can make a key of the log's name", want: "restore the key",
			harm: func(t *testing.T, dir string) {
				t.Helper()
				old, _, err := readKey(filepath.Join(dir, keyFile))
				if err != nil {
					t.Fatal(err)
				}
				k, err := newKey(old.logID())
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, keyFile), k.text, 0o600); err != nil {
					t.Fatal(err)
				}
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := Options{Dir: t.TempDir()}
			l := mustSign(t, options)
			if err := errors.Join(l.Rotate(t.Context()), l.Close()); err != nil {
				t.Fatal(err)
			}
			tc.harm(t, options.Dir)
			l, err := Open(t.Context(), options)
			if err == nil {
				_ = l.Close()
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Open: %v, want %v with %q: %s", err, ErrCorrupt, tc.want, tc.reason)
			}
		})
	}
}

// TestOldKeyAfterRotation: an older copy of the key files does not sign on
// where the records say that the key was rotated.
func TestOldKeyAfterRotation(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustSign(t, options)
	old := copyDir(t, options.Dir)
	if err := errors.Join(l.Rotate(t.Context()), l.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keyFile, keysFile} {
		data, err := os.ReadFile(filepath.Join(old, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(options.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), options); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "restore the key") {
		t.Errorf("Open: %v, want %v and what to do", err, ErrCorrupt)
	}
}
