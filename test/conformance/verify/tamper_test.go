// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/record/verify"
)

// What the full run is held to.
const (
	tamperedSize, untouchedSize   = 100_000, 1_000_000
	tamperedLimit, untouchedLimit = 5 * time.Second, 30 * time.Second
	heapLimit                     = 96 << 20
)

// sizes are the numbers of records, scaled down where this is not the full run.
func sizes() (tampered, untouched int64, full bool) {
	switch {
	case os.Getenv("DOORWARD_LONG") == "1":
		return tamperedSize, untouchedSize, !raceEnabled
	case raceEnabled || testing.Short():
		return 4_000, 8_000, false
	default:
		return 20_000, 50_000, false
	}
}

// form is one of the two places where records are tampered with.
type form struct {
	path   func(h *history) string
	change func(tb testing.TB, dir string, index int64, change func(records [][]byte, at int) [][]byte)
	names  string
	first  func(name string) int64
}

var forms = map[string]form{
	"Spool": {
		path: func(h *history) string { return h.dir }, change: changeSegments, names: "*.log",
		first: func(name string) (first int64) { _, _ = fmt.Sscanf(name, "%d.log", &first); return first },
	},
	"Files": {
		path: func(h *history) string { return h.files }, change: changeFiles, names: "*.jsonl",
		first: func(name string) (first int64) { _, _ = fmt.Sscanf(name[33:], "%d.jsonl", &first); return first },
	},
}

// TestSixTamperings: checklist 45. In a log written by a real spool, each of the
// six ways to change it is found in time, told from the others, and the first
// bad record is named.
func TestSixTamperings(t *testing.T) {
	size, _, full := sizes()
	original := newHistory(t, size/2)
	older := original.copy(t)
	forked := original.copy(t)
	original.grow(size)
	forked.grow(size + 10)
	at, parted := size/3, older.size
	edited := func(records [][]byte, at int) [][]byte {
		records[at] = bytes.Replace(records[at], []byte("alice@example.com"), []byte("carol@example.com"), 1)
		return records
	}
	both := []verify.Trusted{older.witness, original.witness}
	cases := map[string]struct {
		reason  string
		tamper  func(f form, h *history)
		from    *history
		options verify.Options
		// alone has the verifier do without the witness.
		alone       bool
		verdict     verify.Verdict
		first, last int64
	}{
		"Edit": {
			reason: "another caller in one record, checksums fixed", alone: true,
			tamper:  func(f form, h *history) { f.change(h.tb, f.path(h), at, edited) },
			verdict: verify.Edited, first: at, last: at,
		},
		"EditLast": {
			reason: "the closing checkpoint covers all records before it", alone: true,
			tamper: func(f form, h *history) {
				f.change(h.tb, f.path(h), h.stop, func(records [][]byte, at int) [][]byte {
					records[at] = bytes.Replace(records[at], []byte("ProxyStop"), []byte("ProxyStart"), 1)
					return records
				})
			},
			verdict: verify.Edited, first: original.stop, last: original.stop,
		},
		"Reorder": {
			reason: "two records at each other's place", alone: true,
			tamper: func(f form, h *history) {
				f.change(h.tb, f.path(h), at, func(records [][]byte, at int) [][]byte {
					records[at], records[at+1] = records[at+1], records[at]
					return records
				})
			},
			verdict: verify.Reordered, first: at, last: at + 1,
		},
		"ReorderRenumbered": {
			reason: "two records that exchanged their numbers too", alone: true,
			tamper: func(f form, h *history) {
				f.change(h.tb, f.path(h), at, func(records [][]byte, i int) [][]byte {
					records[i], records[i+1] = renumber(records[i+1], at+1, at), renumber(records[i], at, at+1)
					return records
				})
			},
			verdict: verify.Reordered, first: at, last: at,
		},
		"Delete": {
			reason: "three records taken out", alone: true,
			tamper: func(f form, h *history) {
				f.change(h.tb, f.path(h), at, func(records [][]byte, at int) [][]byte { return append(records[:at], records[at+3:]...) })
			},
			verdict: verify.Missing, first: at, last: at + 2,
		},
		"Truncate": {
			reason:  "the last tenth cut off; the witness knows of it",
			tamper:  func(f form, h *history) { cut(h.tb, f.path(h), size-size/10, f.names, f.first, f.change) },
			verdict: verify.Truncated, first: size - size/10, last: original.size - 2,
		},
		"RollBack": {
			reason: "an older copy, whole by itself", from: older,
			tamper:  func(form, *history) {},
			verdict: verify.RolledBack, first: parted, last: original.size - 2,
		},
		"Fork": {
			reason: "an older copy that went on by itself, with the log's key; all of it is properly signed", from: forked,
			options: verify.Options{Trusted: both},
			tamper:  func(form, *history) {},
			verdict: verify.Forked, first: parted - 1, last: original.size - 2,
		},
	}
	for name, tc := range cases {
		for where, f := range forms {
			t.Run(name+where, func(t *testing.T) {
				from := tc.from
				if from == nil {
					from = original
				}
				h := from.copy(t)
				tc.tamper(f, h)
				options := tc.options
				if options.Trusted == nil && !tc.alone {
					options.Trusted = []verify.Trusted{original.witness}
				}
				r, took := timed(t, options, f.path(h))
				if r.OK || len(r.Logs) != 1 || len(r.Logs[0].Findings) == 0 {
					t.Fatalf("%s: not found: %+v", tc.reason, r)
				}
				last := tc.last
				if tc.verdict == verify.Truncated && where == "Spool" {
					last++ // the sink's cursor knows of the closing checkpoint itself too
				}
				if got := r.Logs[0].Findings[0]; got.Verdict != tc.verdict || got.First != tc.first || got.Last != last {
					t.Errorf("%s: found %s %d to %d (%s), want %s %d to %d", tc.reason, got.Verdict, got.First, got.Last, got.Sentence, tc.verdict, tc.first, last)
				}
				t.Logf("%s: %v", r.Logs[0].Summary, took)
				if full && took > tamperedLimit {
					t.Errorf("took %v for %d records, at most %v", took, size, tamperedLimit)
				}
			})
		}
	}
}

// TestForkedPaths: with both histories at hand, the record at which they part
// is named, and no witness is needed.
func TestForkedPaths(t *testing.T) {
	size, _, full := sizes()
	original := newHistory(t, size/2)
	forked := original.copy(t)
	parted := original.size
	original.grow(size)
	forked.grow(size - 10)
	r, took := timed(t, verify.Options{}, original.dir, forked.files)
	if len(r.Logs) != 1 || len(r.Logs[0].Findings) != 1 {
		t.Fatalf("report: %+v", r)
	}
	if got := r.Logs[0].Findings[0]; got.Verdict != verify.Forked || got.First != parted || !got.Exact {
		t.Errorf("found %+v, want a fork at %d", got, parted)
	}
	if full && took > tamperedLimit {
		t.Errorf("took %v for %d records, at most %v", took, size, tamperedLimit)
	}
}

// TestUntouched: a log as it was written is consistent to its end, in either
// form and in both together, in time and in a heap that does not grow with it.
func TestUntouched(t *testing.T) {
	_, size, full := sizes()
	h := newHistory(t, size)
	options := verify.Options{Trusted: []verify.Trusted{h.witness}}
	for name, paths := range map[string][]string{"Spool": {h.dir}, "Files": {h.files}, "Both": {h.files, h.dir}} {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			peak := watchHeap()
			r, took := timed(t, options, paths...)
			most := peak()
			if !r.OK || len(r.Logs) != 1 {
				t.Fatalf("report: %+v", r)
			}
			log := r.Logs[0]
			if log.Records != h.size || log.Consistent != h.size-1 || !log.Closed || log.Trusted != h.size-1 {
				t.Errorf("log: %+v, want %d records, closed", log, h.size)
			}
			t.Logf("%d records in %v, heap at most %d MiB, %d checkpoints", log.Records, took, most>>20, log.Checkpoints)
			if most > heapLimit {
				t.Errorf("heap of %d MiB, at most %d", most>>20, int64(heapLimit)>>20)
			}
			if full && name != "Both" && took > untouchedLimit {
				t.Errorf("took %v, at most %v", took, untouchedLimit)
			}
		})
	}
}

// TestRunning: a log can be verified while it is being written.
func TestRunning(t *testing.T) {
	dir := t.TempDir()
	log, err := spool.Open(t.Context(), spool.Options{Dir: dir, MaxBytes: 1 << 30, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for n := int64(0); err == nil; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			_, err = log.Append(t.Context(), operation(n))
		}
		ended <- err
	}()
	for covered := 0; covered < 5; {
		r, _ := timed(t, verify.Options{}, dir)
		unsigned := true // only before the first checkpoint is there
		for _, f := range r.All() {
			unsigned = unsigned && (f.Verdict == verify.Unsigned || len(r.Logs) == 0)
		}
		if !unsigned {
			t.Fatalf("report: %+v", r)
		}
		if r.OK {
			covered++
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// watchHeap samples the heap until the returned function is called, which
// returns the most that was seen.
func watchHeap() (peak func() uint64) {
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		most := uint64(0)
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-stop:
				result <- most
				return
			case <-ticker.C:
			}
		}
	}()
	return func() uint64 { close(stop); return <-result }
}

func renumber(line []byte, from, to int64) []byte {
	return bytes.Replace(line, fmt.Appendf(nil, `"index":%d,`, from), fmt.Appendf(nil, `"index":%d,`, to), 1)
}
