// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keyFile, nextKeyFile} { // CopyFS makes them open to others
		if err := os.Chmod(filepath.Join(to, name), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return to
}

// TestCrashAtEveryByte is checklist 42 (record-before-execute, SIGKILL at each
// step) as far as the log goes: whatever part of the last group reached the
// disk, all acknowledged records are there after a restart, the cut is on
// record, and appending goes on.
func TestCrashAtEveryByte(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20}
	l := mustOpen(t, options)
	for i := range 5 {
		mustAppend(t, l, record.Event{Type: record.OperationHeld, Reason: fmt.Sprint(i)})
	}
	acknowledged := l.active.used
	for i := 5; i < 7; i++ { // one group of two
		if err := l.AppendLater(record.Event{Type: record.OperationHeld, Reason: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := segmentPath(options.Dir, 0)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := l.active.used
	first, _, err := openFrame(whole[acknowledged:])
	if err != nil {
		t.Fatal(err)
	}
	boundary := acknowledged + frameHeader + int64(len(first))
	for _, zeroed := range []bool{false, true} {
		for cut := acknowledged; cut <= end; cut++ {
			if testing.Short() && cut%7 != 0 {
				continue
			}
			data := append([]byte(nil), whole[:cut]...)
			if zeroed {
				data = append(data, make([]byte, len(whole)-len(data))...)
			}
			dir := copyDir(t, options.Dir)
			if err := os.WriteFile(segmentPath(dir, 0), data, 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := Open(t.Context(), Options{Dir: dir, SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, quiet: true})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			_, appendErr := again.Append(t.Context(), record.Event{Type: record.ProxyStart, Reason: "on"})
			if err := errors.Join(appendErr, again.Close()); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			want := []string{"0", "1", "2", "3", "4"}
			if cut >= boundary {
				want = append(want, "5")
			}
			if cut == end {
				want = append(want, "6")
			}
			// The first bytes of a frame are its length, which is not zero.
			if cut != acknowledged && cut != boundary && cut != end {
				want = append(want, "the log was not closed in order; an incomplete group at its end, never acknowledged, was cut")
			}
			want = append(want, "on")
			if diff := cmp.Diff(want, reasons(all(t, dir))); diff != "" {
				t.Fatalf("cut at %d of %d, zeroed %v: -want, +got:\n%s", cut, end, zeroed, diff)
			}
		}
	}
}

// TestPagesOutOfOrder: of an unsynced group, a later page may reach the disk
// without an earlier one.
func TestPagesOutOfOrder(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	mustAppend(t, l, record.Event{Type: record.OperationHeld, Reason: "kept"})
	hole := l.active.used
	for range 3 {
		if err := l.AppendLater(record.Event{Type: record.OperationHeld, Reason: "lost"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, segmentPath(options.Dir, 0), hole, make([]byte, 20))
	mustOpen(t, options)
	got := reasons(all(t, options.Dir))
	if len(got) != 2 || got[0] != "kept" {
		t.Errorf("records %q, want the kept one and the recovery", got)
	}
}

func overwrite(t *testing.T, path string, at int64, data []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(data, at)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamageInTheMiddle: what was acknowledged and cannot be read stops the
// start, with segment and offset.
func TestDamageInTheMiddle(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	var offsets []int64
	for range 4 {
		offsets = append(offsets, l.active.used)
		mustAppend(t, l, record.Event{Type: record.OperationHeld})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for i, offset := range offsets[:3] {
		for _, inside := range []int64{0, 3, 5, frameHeader + 40} {
			dir := copyDir(t, options.Dir)
			overwrite(t, segmentPath(dir, 0), offset+inside, []byte{0xff})
			_, err := Open(t.Context(), Options{Dir: dir})
			want := fmt.Sprintf("segment %q at offset %d", segmentPath(dir, 0), offset)
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want) {
				t.Errorf("record %d, byte %d: Open: %v, want %v naming %s", i, inside, err, ErrCorrupt, want)
			}
			var last error
			for _, err := range Records(dir) {
				last = err
			}
			if !errors.Is(last, ErrCorrupt) || !strings.Contains(last.Error(), want) {
				t.Errorf("record %d, byte %d: Records: %v, want %v naming %s", i, inside, last, ErrCorrupt, want)
			}
		}
	}
}

func TestMissingSegmentStopsTheStart(t *testing.T) {
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
	if err := os.Remove(segmentPath(options.Dir, firsts[1])); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), options); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open: %v, want %v", err, ErrCorrupt)
	}
}

// TestUnknownOutcomes: what was forwarded and has no result on record is said
// to be unknown, also where the decision is segments back.
func TestUnknownOutcomes(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20}
	l := mustOpen(t, options)
	mustAppend(t, l,
		record.Event{Type: record.SessionStart, Session: "a", Connection: record.Connection{Name: "orders"}},
		record.Event{Type: record.SessionStart, Session: "b"},
		record.Event{Type: record.SessionStart, Session: "c"},
		decided("a", 1, policy.Allow),
		decided("a", 2, policy.Deny),
		decided("a", 3, policy.Allow),
		record.Event{Type: record.OperationResult, Session: "a", OperationID: 1, Result: &record.Result{Outcome: "Succeeded"}},
		decided("b", 1, policy.RequireApproval),
		record.Event{Type: record.OperationDecided, Session: "b", OperationID: 2, Decision: &record.Decision{Effect: policy.RequireApproval}, Approval: &record.Approval{Outcome: "Approved"}},
		decided("c", 1, policy.Allow),
		record.Event{Type: record.SessionEnd, Session: "c"},
	)
	for range 40 {
		mustAppend(t, l, record.Event{Type: record.OperationHeld, Session: "a"})
	}
	before := l.Durable()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, forget := range []bool{false, true} {
		dir := copyDir(t, options.Dir)
		if forget { // as if the crash had come before the lists were written
			lists, err := filepath.Glob(filepath.Join(dir, "*"+openSuffix))
			if err != nil || len(lists) == 0 {
				t.Fatalf("lists %v, %v", lists, err)
			}
			for _, path := range lists {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 2 { // the second start finds all in order
			again, err := Open(t.Context(), Options{Dir: dir, SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, quiet: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
		type found struct {
			Type    record.Type
			Session string
			ID      uint64
			Outcome string
		}
		var got []found
		for _, d := range all(t, dir)[before:] {
			f := found{d.Type, d.Session, d.OperationID, ""}
			if d.Result != nil {
				f.Outcome = d.Result.Outcome
			}
			got = append(got, f)
		}
		want := []found{
			{record.Recovery, "", 0, ""},
			{record.OperationResult, "a", 3, "Unknown"},
			{record.SessionEnd, "a", 0, ""},
			{record.OperationResult, "b", 2, "Unknown"},
			{record.SessionEnd, "b", 0, ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lists forgotten %v: -want, +got:\n%s", forget, diff)
		}
	}
}
