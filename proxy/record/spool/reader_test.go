// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
)

func TestReaderFollows(t *testing.T) {
	l := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes, MaxBytes: 1 << 20})
	r, err := l.NewReader(3)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var got []int64
	read := make(chan error, 1)
	go func() {
		for {
			records, err := r.Next(context.Background(), 7, 100)
			if err != nil {
				read <- err
				return
			}
			for _, r := range records {
				got = append(got, r.Position.Index)
			}
		}
	}()
	var want []int64
	for i := range 200 {
		mustAppend(t, l, record.Event{Type: record.ProxyStart, Reason: fmt.Sprint(i)})
		if i >= 3 {
			want = append(want, int64(i))
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err == nil || err.Error() != "EOF" {
		t.Errorf("Next after Close: %v, want EOF", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func TestFeedContinues(t *testing.T) {
	options := Options{Dir: t.TempDir(), Sinks: []string{"a", "b"}}
	l := mustOpen(t, options)
	for range 10 {
		mustAppend(t, l, record.Event{Type: record.ProxyStart})
	}
	feed, err := l.NewFeed("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feed.Next(t.Context(), 100, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := feed.Acknowledge(11); err == nil {
		t.Error("acknowledged a record that is not there")
	}
	if err := errors.Join(feed.Acknowledge(4), feed.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, options)
	for sink, want := range map[string]int64{"a": 4, "b": 0} {
		feed, err := l.NewFeed(sink)
		if err != nil {
			t.Fatal(err)
		}
		records, err := feed.Next(t.Context(), 1, 1)
		if err != nil || records[0].Position.Index != want || feed.Acknowledged() != want {
			t.Errorf("sink %s continues with %v, %v, want %d", sink, records, err, want)
		}
		if err := feed.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.NewFeed("c"); err == nil {
		t.Error("a sink that is not named got a feed")
	}
}

// cutEvent is one whose record's length is a multiple of 256, so that the first
// byte of its frame is zero, as where nothing was written.
func cutEvent(t *testing.T, l *Log) record.Event {
	t.Helper()
	e := record.Event{Type: record.ProxyStart, Time: time.Unix(0, 0).UTC()}
	l.mu.Lock()
	size := record.HeadSize(l.prefix, l.next) + len(record.AppendBody(nil, &e))
	l.mu.Unlock()
	const empty = len(`,"reason":""`)
	e.Reason = strings.Repeat("a", 256-(size+empty)%256)
	return e
}

// TestReaderBuffersEndAnywhere: where a read from disk ends changes nothing of
// what is read, also within a header that looks like the end so far.
func TestReaderBuffersEndAnywhere(t *testing.T) {
	options := Options{Dir: t.TempDir(), quiet: true}
	l := mustOpen(t, options)
	const count = 30
	for range count {
		mustAppend(t, l, cutEvent(t, l))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, options)
	zeros := 0
	for r, err := range Records(options.Dir) {
		if err != nil {
			t.Fatal(err)
		}
		if len(r.JSON)%256 == 0 {
			zeros++
		}
	}
	if zeros < count {
		t.Fatalf("%d records have a length that is a multiple of 256, want %d", zeros, count)
	}
	for size := 4 << 10; size < 5<<10; size++ {
		r, err := l.NewReader(0)
		if err != nil {
			t.Fatal(err)
		}
		for want := int64(0); want < count; {
			records, err := r.Next(t.Context(), count, size)
			if err != nil || records[0].Position.Index != want {
				t.Fatalf("with a buffer of %d bytes: %d records, %v, want those from %d on", size, len(records), err, want)
			}
			want += int64(len(records))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReaderPassesNothingOver: what cannot be read at the moment is read when it
// can, and so is all before and after it (checklist 43).
func TestReaderPassesNothingOver(t *testing.T) {
	options := Options{Dir: t.TempDir(), quiet: true}
	l := mustOpen(t, options)
	for range 20 {
		mustAppend(t, l, record.Event{Type: record.ProxyStart})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, options)
	path := segmentPath(options.Dir, 0)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for range 10 {
		payload, _, err := openFrame(data[at:])
		if err != nil {
			t.Fatal(err)
		}
		at += frameHeader + len(payload)
	}
	put := func(b byte) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteAt([]byte{b}, int64(at+frameHeader+5))
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	r, err := l.NewReader(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	put('?')
	var got []int64
	for range 2 {
		var records []record.Record
		if records, err = r.Next(t.Context(), 100, 1<<20); err != nil {
			break
		}
		for _, one := range records {
			got = append(got, one.Position.Index)
		}
	}
	if !errors.Is(err, ErrCorrupt) || len(got) != 10 {
		t.Fatalf("read %v, %v, want ten records and then ErrCorrupt", got, err)
	}
	put(data[at+frameHeader+5])
	for len(got) < 20 {
		records, err := r.Next(t.Context(), 100, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range records {
			got = append(got, one.Position.Index)
		}
	}
	for i, index := range got {
		if index != int64(i) {
			t.Fatalf("read %v", got)
		}
	}
}
