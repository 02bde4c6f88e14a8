// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/doorward/doorward/proxy/record"
)

// cachedDisk is a disk that writes through the page cache, as where a file
// system knows no other way.
type cachedDisk struct{ osDisk }

type cachedSegment struct{ Segment }

func (cachedSegment) Align() int { return 1 }

func (d cachedDisk) Create(path string, size int64) (Segment, error) {
	s, err := d.osDisk.Create(path, size)
	return cachedSegment{s}, err
}

func (d cachedDisk) Open(path string) (Segment, error) {
	s, err := d.osDisk.Open(path)
	return cachedSegment{s}, err
}

// chunkEvent is a record of one of many lengths, so that they end all over a
// block, and now and then one that is larger than a chunk.
func chunkEvent(i int) record.Event {
	if i%50 == 49 {
		return record.Event{Type: record.RecordingChunk, Recording: &record.Recording{ID: fmt.Sprint(i), Data: strings.Repeat("x", 400_000)}}
	}
	return record.Event{Type: record.ProxyStart, Reason: strings.Repeat("a", i*37%4000) + fmt.Sprint(i)}
}

// TestFollowersGetWhatIsOnDisk: who keeps up gets the records from memory, who
// comes late from disk, and both what is there: written past the page cache and
// through it, in segments of whole blocks and others, and continued in the
// middle of a block.
func TestFollowersGetWhatIsOnDisk(t *testing.T) {
	cases := map[string]struct {
		reason  string
		disk    Disk
		segment int64
	}{
		"Direct":   {reason: "past the page cache, where the file system can", segment: 1 << 20},
		"Cached":   {reason: "through the page cache", disk: cachedDisk{}, segment: 1 << 20},
		"OddSized": {reason: "the last block of a segment is cut", segment: 1<<20 + 100},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := Options{Dir: t.TempDir(), Disk: tc.disk, SegmentBytes: tc.segment, MaxBytes: 64 << 20}
			var want [][]byte
			for begin := 0; begin < 600; begin += 200 {
				want = append(want, followed(t, options, int64(len(want)), begin)...)
			}
			onDisk := 0
			previous := record.Hash{}
			for r, err := range Records(options.Dir) {
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(r.JSON, want[onDisk]) {
					t.Fatalf("record %d on disk: %.200s\nfrom memory: %.200s", onDisk, r.JSON, want[onDisk])
				}
				d, err := record.Decode(r.JSON)
				if err != nil {
					t.Fatal(err)
				}
				if d.Previous != previous {
					t.Fatalf("record %d does not continue the chain", onDisk)
				}
				previous = record.LeafHash(r.JSON)
				onDisk++
			}
			if onDisk != len(want) {
				t.Errorf("records on disk: %d, followed were %d: %s", onDisk, len(want), tc.reason)
			}
		})
	}
}

// followed opens a log, appends to it while two follow, closes it, and returns
// what both got.
func followed(t *testing.T, options Options, from int64, begin int) [][]byte {
	t.Helper()
	l := mustOpen(t, options)
	var got [2][][]byte
	var group sync.WaitGroup
	for n := range got {
		r, err := l.NewReader(from)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			defer func() { _ = r.Close() }()
			for {
				records, err := r.Next(t.Context(), 5+20*n, 10_000)
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, one := range records {
					if want := from + int64(len(got[n])); one.Position.Index != want {
						t.Errorf("follower %d got record %d, want %d", n, one.Position.Index, want)
					}
					got[n] = append(got[n], bytes.Clone(one.JSON))
				}
			}
		})
	}
	for i := begin; i < begin+200; i++ {
		if i%3 == 0 {
			mustAppend(t, l, chunkEvent(i))
		} else if err := l.AppendLater(chunkEvent(i)); err != nil {
			t.Fatal(err)
		}
	}
	late, err := l.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	first, err := late.Next(t.Context(), 1, 1)
	if err := errors.Join(err, late.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	if l.recent.size != 0 || len(l.recent.chunks) != 0 {
		t.Errorf("%d bytes of %d chunks are kept for nobody", l.recent.size, len(l.recent.chunks))
	}
	if len(got[0]) != len(got[1]) || len(got[0]) < 200 {
		t.Fatalf("followers got %d and %d records", len(got[0]), len(got[1]))
	}
	for i := range got[0] {
		if !bytes.Equal(got[0][i], got[1][i]) {
			t.Errorf("record %d differs between followers", from+int64(i))
		}
	}
	if !bytes.Equal(first[0].JSON, got[0][0]) {
		t.Error("who comes late gets another first record")
	}
	return got[0]
}

// TestRecentIsBounded: a follower that does not come gets what is kept up to a
// bound, and then reads from disk.
func TestRecentIsBounded(t *testing.T) {
	const most = keptChunks / chunkBytes
	var r recent
	r.enter(&place{})
	for i := range 2 * most {
		c := newChunk(&segment{path: fmt.Sprint(i), block: 1}, nil, 1)
		c.data = append(c.data, 1)
		r.publish(c, int64(i), 0, []int{1})
		if kept := len(r.chunks); i < most && kept != i+1 || i >= most && kept > most || r.size != kept*chunkBytes {
			t.Fatalf("after %d chunks, %d are kept, of %d bytes", i+1, kept, r.size)
		}
	}
	if got, _, _ := r.read(r.places[0], "log", 10, 10); got != nil {
		t.Error("what was dropped was read from memory")
	}
}
