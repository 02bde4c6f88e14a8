// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"testing"

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
