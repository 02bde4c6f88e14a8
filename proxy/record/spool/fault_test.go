// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

// faultyDisk is the operating system's disk until it is told to fail.
type faultyDisk struct {
	osDisk

	mu      sync.Mutex
	write   error
	short   bool
	sync    error
	create  error
	publish error
	syncs   int
	gate    chan struct{} // a sync takes one where it is not nil
}

func (d *faultyDisk) set(change func(*faultyDisk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *faultyDisk) Create(path string, size int64) (Segment, error) {
	d.mu.Lock()
	err := d.create
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s, err := d.osDisk.Create(path, size)
	return faultySegment{s, d}, err
}

func (d *faultyDisk) Open(path string) (Segment, error) {
	s, err := d.osDisk.Open(path)
	return faultySegment{s, d}, err
}

func (d *faultyDisk) Publish(from, to string) error {
	d.mu.Lock()
	err := d.publish
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.osDisk.Publish(from, to)
}

type faultySegment struct {
	Segment
	disk *faultyDisk
}

func (s faultySegment) WriteAt(b []byte, at int64) (int, error) {
	s.disk.mu.Lock()
	err, short := s.disk.write, s.disk.short
	s.disk.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if short {
		return s.Segment.WriteAt(b[:len(b)/2], at)
	}
	return s.Segment.WriteAt(b, at)
}

func (s faultySegment) Datasync() error {
	s.disk.mu.Lock()
	s.disk.syncs++
	err, gate := s.disk.sync, s.disk.gate
	s.disk.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return err
	}
	return s.Segment.Datasync()
}

// TestFailureIsSticky is checklist 42 and 43: after a failed write or sync
// nothing is accepted any more, not even when the disk works again, and what
// was acknowledged is there after a restart.
func TestFailureIsSticky(t *testing.T) {
	errBoom := errors.New("boom")
	cases := map[string]struct {
		reason string
		fail   func(*faultyDisk)
		want   error
	}{
		"Write":    {reason: "the group is not on disk", fail: func(d *faultyDisk) { d.write = errBoom }, want: errBoom},
		"DiskFull": {reason: "a device may lie about room", fail: func(d *faultyDisk) { d.write = syscall.ENOSPC }, want: syscall.ENOSPC},
		"Short":    {reason: "half a group is none", fail: func(d *faultyDisk) { d.short = true }},
		"Sync":     {reason: "the kernel drops what it could not write", fail: func(d *faultyDisk) { d.sync = errBoom }, want: errBoom},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			disk := &faultyDisk{}
			options := Options{Dir: t.TempDir(), Disk: disk}
			l := mustOpen(t, options)
			mustAppend(t, l, record.Event{Type: record.ProxyStart, Reason: "good"})
			disk.set(tc.fail)
			_, err := l.Append(t.Context(), record.Event{Type: record.ProxyStart, Reason: "bad"})
			if !errors.Is(err, ErrBroken) || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), options.Dir) {
				t.Errorf("Append: %v, want %v and %v, naming the directory: %s", err, ErrBroken, tc.want, tc.reason)
			}
			disk.set(func(d *faultyDisk) { d.write, d.short, d.sync = nil, false, nil })
			if _, err := l.Append(t.Context(), record.Event{}); !errors.Is(err, ErrBroken) {
				t.Errorf("Append on the disk that works again: %v, want %v", err, ErrBroken)
			}
			if err := l.AppendLater(record.Event{}); !errors.Is(err, ErrBroken) {
				t.Errorf("AppendLater: %v, want %v", err, ErrBroken)
			}
			if err := l.Err(); !errors.Is(err, ErrBroken) {
				t.Errorf("Err: %v, want %v", err, ErrBroken)
			}
			if err := l.Close(); !errors.Is(err, ErrBroken) {
				t.Errorf("Close: %v, want %v", err, ErrBroken)
			}
			again := mustOpen(t, options)
			mustAppend(t, again, record.Event{Type: record.ProxyStart, Reason: "again"})
			if got := reasons(all(t, options.Dir)); got[0] != "good" || got[len(got)-1] != "again" {
				t.Errorf("records after restart: %q", got)
			}
		})
	}
}

// TestNobodyIsTold: where the sync of a group fails, all who wait for it learn it.
func TestNobodyIsTold(t *testing.T) {
	disk := &faultyDisk{}
	l := mustOpen(t, Options{Dir: t.TempDir(), Disk: disk})
	disk.set(func(d *faultyDisk) { d.sync, d.gate = errors.New("boom"), make(chan struct{}) })
	var pending []record.Pending
	for range 20 {
		p, err := l.Begin(t.Context(), record.Event{Type: record.ProxyStart})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	close(disk.gate)
	for i, p := range pending {
		if _, err := p.Wait(t.Context()); !errors.Is(err, ErrBroken) {
			t.Errorf("record %d: %v, want %v", i, err, ErrBroken)
		}
	}
	if l.Durable() != 0 {
		t.Errorf("%d durable records, want none", l.Durable())
	}
}

// TestGroupCommit: what gathers while a sync is under way shares the next one.
func TestGroupCommit(t *testing.T) {
	disk := &faultyDisk{}
	l := mustOpen(t, Options{Dir: t.TempDir(), Disk: disk})
	gate := make(chan struct{})
	disk.set(func(d *faultyDisk) { d.gate, d.syncs = gate, 0 })
	var pending []record.Pending
	for range 100 {
		p, err := l.Begin(t.Context(), record.Event{Type: record.ProxyStart})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	close(gate)
	for _, p := range pending {
		if _, err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	disk.set(func(d *faultyDisk) {
		if d.syncs > 3 {
			t.Errorf("%d syncs for 100 records, want one for what gathered", d.syncs)
		}
	})
}

// TestUnwritableDirectory is checklist 43: a log that cannot be opened is an
// error, so that no session begins.
func TestUnwritableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk := &faultyDisk{create: syscall.EROFS}
	for name, options := range map[string]Options{
		"NoDirectory":   {Dir: filepath.Join(file, "log")},
		"NoSegment":     {Dir: t.TempDir(), Disk: disk},
		"NoName":        {},
		"SizesDoNotFit": {Dir: t.TempDir(), MaxBytes: 1 << 20, SegmentBytes: 1 << 20},
		"SinkName":      {Dir: t.TempDir(), Sinks: []string{"../x"}},
	} {
		if l, err := Open(t.Context(), options); err == nil {
			t.Errorf("%s: opened", name)
			_ = l.Close()
		}
	}
}

// fillUp appends until the log refuses, and returns how many it took.
func fillUp(t *testing.T, l *Log) (int, error) {
	t.Helper()
	for n := 0; ; n++ {
		if _, err := l.Append(t.Context(), decided("s", uint64(n+1), policy.Deny)); err != nil {
			return n, err
		}
		if n > 100_000 {
			t.Fatal("never full")
		}
	}
}

// TestFullRefuses is checklist 44: a sink that does not acknowledge leads to
// refusal, never to a dropped record; results of what was already decided are
// still written; when the sink is back, appending goes on.
func TestFullRefuses(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 6 * minSegmentBytes, Sinks: []string{"out"}}
	l := mustOpen(t, options)
	feed, err := l.NewFeed("out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	taken, err := fillUp(t, l)
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), `sink "out" has acknowledged 0 of`) || !strings.Contains(err.Error(), options.Dir) {
		t.Errorf("Append: %v, want %v with directory and sink", err, ErrFull)
	}
	if err := l.Err(); !errors.Is(err, ErrFull) {
		t.Errorf("Err: %v, want %v", err, ErrFull)
	}
	if err := l.AppendLater(record.Event{Type: record.OperationResult, Session: "s", OperationID: 1, Result: &record.Result{}}); err != nil {
		t.Errorf("AppendLater on the full log: %v", err)
	}
	if size := segmentBytes(t, options.Dir); size > options.MaxBytes {
		t.Errorf("segments of %d bytes, at most %d", size, options.MaxBytes)
	}
	seen := int64(0)
	for seen < int64(taken)+1 {
		records, err := feed.Next(t.Context(), 10, 4096)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Position.Index != seen {
				t.Fatalf("record %d where %d must be", r.Position.Index, seen)
			}
			seen++
		}
		if err := feed.Acknowledge(seen); err != nil {
			t.Fatal(err)
		}
	}
	awaitRoom(t, l)
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	if firsts, err := listSegments(options.Dir); err != nil || firsts[0] == 0 {
		t.Errorf("segments %v, %v, want the acknowledged ones deleted", firsts, err)
	}
	r, err := l.NewReader(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := r.Next(t.Context(), 1, 0); !errors.Is(err, ErrGone) {
		t.Errorf("reading a deleted record: %v, want %v", err, ErrGone)
	}
}

// awaitRoom waits until the log accepts again.
func awaitRoom(t *testing.T, l *Log) {
	t.Helper()
	for {
		l.mu.Lock()
		changed, full := l.watch(), l.spareErr != nil
		l.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("no room")
		}
	}
}

func segmentBytes(t *testing.T, dir string) int64 {
	t.Helper()
	var sum int64
	for _, pattern := range []string{"*" + segmentSuffix, "*" + tempSuffix} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			sum += info.Size()
		}
	}
	return sum
}

// TestDiskFull: where no segment can be made, records are refused before they
// are accepted, and the log is not broken: room that is freed is found.
func TestDiskFull(t *testing.T) {
	disk := &faultyDisk{}
	options := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, Disk: disk}
	l := mustOpen(t, options)
	disk.set(func(d *faultyDisk) { d.create = syscall.ENOSPC })
	taken, err := fillUp(t, l)
	if !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) || taken == 0 {
		t.Errorf("Append: %v after %d records, want %v", err, taken, ErrFull)
	}
	disk.set(func(d *faultyDisk) { d.create = nil })
	signal(l.keep)
	awaitRoom(t, l)
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(all(t, options.Dir)); got != taken+1 {
		t.Errorf("%d records, want %d", got, taken+1)
	}
}

func TestFailedTurnBreaksTheLog(t *testing.T) {
	disk := &faultyDisk{}
	errBoom := errors.New("boom")
	l := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20, Disk: disk})
	disk.set(func(d *faultyDisk) { d.publish = errBoom })
	if _, err := fillUp(t, l); !errors.Is(err, ErrBroken) || !errors.Is(err, errBoom) {
		t.Errorf("Append: %v, want %v and %v", err, ErrBroken, errBoom)
	}
}
