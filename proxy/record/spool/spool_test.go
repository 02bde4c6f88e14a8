// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mustOpen opens a log that writes no checkpoints, so that records can be
// counted; mustSign one that does.
func mustOpen(t *testing.T, options Options) *Log {
	t.Helper()
	options.quiet = true
	return mustSign(t, options)
}

func mustSign(t *testing.T, options Options) *Log {
	t.Helper()
	if options.SegmentBytes == 0 { // large ones take time to make
		options.SegmentBytes, options.MaxBytes = 64<<10, 16<<20
	}
	l, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func mustAppend(t *testing.T, l *Log, events ...record.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// all reads what a directory holds.
func all(t *testing.T, dir string) []record.Document {
	t.Helper()
	var documents []record.Document
	for r, err := range Records(dir) {
		if err != nil {
			t.Fatal(err)
		}
		d, err := record.Decode(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, d)
	}
	return documents
}

func reasons(documents []record.Document) []string {
	var got []string
	for _, d := range documents {
		got = append(got, d.Reason)
	}
	return got
}

func decided(session string, operation uint64, effect policy.Effect) record.Event {
	return record.Event{Type: record.OperationDecided, Session: session, OperationID: operation, Decision: &record.Decision{Effect: effect}}
}

func TestAppendAndReopen(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	id := l.ID()
	for i := range 3 {
		p, err := l.Append(t.Context(), record.Event{Type: record.ProxyStart, Reason: fmt.Sprint(i)})
		if diff := cmp.Diff(record.Position{LogID: id, Index: int64(i)}, p); err != nil || diff != "" {
			t.Fatalf("Append: %v: -want, +got:\n%s", err, diff)
		}
	}
	// Never lost on Close.
	for i := 3; i < 100; i++ {
		if err := l.AppendLater(record.Event{Type: record.ProxyStart, Reason: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), record.Event{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	again := mustOpen(t, options)
	if again.ID() != id || again.Durable() != 100 {
		t.Errorf("log %q with %d records, want %q with 100", again.ID(), again.Durable(), id)
	}
	mustAppend(t, again, record.Event{Type: record.ProxyStop, Reason: "100"})
	for i, d := range all(t, options.Dir) {
		if d.Reason != fmt.Sprint(i) || d.Index != int64(i) || d.Log != id || d.Time.IsZero() {
			t.Errorf("record %d is %+v", i, d)
		}
	}
}

// TestTree shows that records are the leaves of a tlog tree as they are, and
// that the log's key signs its checkpoints.
func TestTree(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	for range 37 {
		mustAppend(t, l, record.Event{Type: record.ProxyStart})
	}
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var got []tlog.Hash
		for _, i := range indexes {
			got = append(got, hashes[i])
		}
		return got, nil
	})
	var leaves [][]byte
	for r, err := range Records(options.Dir) {
		if err != nil {
			t.Fatal(err)
		}
		stored, err := tlog.StoredHashes(r.Position.Index, r.JSON, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
		leaves = append(leaves, append([]byte(nil), r.JSON...))
	}
	root, err := tlog.TreeHash(37, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(37, int64(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, 37, root, int64(i), tlog.RecordHash(leaf)); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
	text := string(tlog.FormatTree(tlog.Tree{N: 37, Hash: root}))
	signed, err := note.Sign(&note.Note{Text: text}, l.Signer())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(l.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
}

func TestConcurrentAppendsKeepOrderPerSession(t *testing.T) {
	options := Options{Dir: t.TempDir(), SegmentBytes: 16 << 10, MaxBytes: 64 << 20}
	l := mustOpen(t, options)
	const sessions, each = 16, 100
	var group sync.WaitGroup
	for s := range sessions {
		group.Go(func() {
			name := fmt.Sprint(s)
			for i := range each {
				if err := l.AppendLater(record.Event{Type: record.OperationResult, Session: name, OperationID: uint64(2*i + 1)}); err != nil {
					t.Error(err)
				}
				if _, err := l.Append(t.Context(), record.Event{Type: record.OperationHeld, Session: name, OperationID: uint64(2*i + 2)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	documents := all(t, options.Dir)
	for i, d := range documents {
		if d.OperationID != last[d.Session]+1 || d.Index != int64(i) {
			t.Fatalf("record %d: session %s operation %d after %d", d.Index, d.Session, d.OperationID, last[d.Session])
		}
		last[d.Session] = d.OperationID
	}
	if len(documents) != 2*sessions*each {
		t.Errorf("%d records, want %d", len(documents), 2*sessions*each)
	}
	firsts, err := listSegments(options.Dir)
	if err != nil || len(firsts) < 10 {
		t.Errorf("segments %v, %v; want the log to have turned to new ones", firsts, err)
	}
}

func TestBeginOverlaps(t *testing.T) {
	l := mustOpen(t, Options{Dir: t.TempDir()})
	var pending []record.Pending
	for range 10 {
		p, err := l.Begin(t.Context(), record.Event{Type: record.OperationHeld})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	for i, p := range pending {
		if position, err := p.Wait(t.Context()); err != nil || position.Index != int64(i) || l.Durable() <= int64(i) {
			t.Errorf("record %d: %v, %v, durable %d", i, position, err, l.Durable())
		}
	}
}

func TestAppendHonoursContext(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	ctx, cancel := context.WithCancelCause(t.Context())
	errBoom := errors.New("boom")
	cancel(errBoom)
	if _, err := l.Append(ctx, record.Event{Type: record.ProxyStart}); !errors.Is(err, errBoom) {
		t.Errorf("Append: %v, want %v", err, errBoom)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all(t, options.Dir); len(got) != 0 {
		t.Errorf("records %v, want none", got)
	}
}

func TestTooLargeIsRefused(t *testing.T) {
	l := mustOpen(t, Options{Dir: t.TempDir()})
	e := record.Event{Type: record.OperationDecided, Operation: &record.Operation{}}
	for range record.MaxSize / 1000 {
		e.Operation.Properties = append(e.Operation.Properties, fmt.Sprintf("%01000d", 0))
	}
	if _, err := l.Append(t.Context(), e); !errors.Is(err, record.ErrTooLarge) {
		t.Errorf("Append: %v, want %v", err, record.ErrTooLarge)
	}
	mustAppend(t, l, record.Event{Type: record.ProxyStart})
	if l.Durable() != 1 {
		t.Errorf("%d records, want the refused one to leave no trace", l.Durable())
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	l := mustOpen(t, options)
	if _, err := Open(t.Context(), options); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want %v", err, ErrLocked)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, options)
}

func TestOpenRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		harm   func(dir string) error
		want   error
	}{
		"KeyGone":      {reason: "records without key are nobody's", harm: func(d string) error { return os.Remove(filepath.Join(d, keyFile)) }, want: ErrCorrupt},
		"KeyOpen":      {reason: "a key others can read signs nothing", harm: func(d string) error { return os.Chmod(filepath.Join(d, keyFile), 0o640) }},
		"KeyBad":       {reason: "a key must be a key", harm: func(d string) error { return os.WriteFile(filepath.Join(d, keyFile), []byte("x"), 0o600) }, want: ErrCorrupt},
		"SegmentsGone": {reason: "a log cannot begin again under its old id", harm: func(d string) error { return os.Remove(segmentPath(d, 0)) }, want: ErrCorrupt},
		"ForeignFile":  {reason: "nothing is passed over", harm: func(d string) error { return os.WriteFile(filepath.Join(d, "1.log"), nil, 0o600) }, want: ErrCorrupt},
		"RolledBack": {reason: "a sink has more than there is", harm: func(d string) error {
			return errors.Join(os.Truncate(segmentPath(d, 0), 0))
		}, want: ErrCorrupt},
		"CursorForeign": {reason: "another log's cursor deletes too much", harm: func(d string) error {
			return os.WriteFile(filepath.Join(d, cursorDir, "out"), []byte(`{"log":"x","next":1}`), 0o600)
		}, want: ErrCorrupt},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := Options{Dir: t.TempDir(), Sinks: []string{"out"}}
			l := mustOpen(t, options)
			mustAppend(t, l, record.Event{Type: record.ProxyStart})
			feed, err := l.NewFeed("out")
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(feed.Acknowledge(1), feed.Close(), l.Close(), tc.harm(options.Dir)); err != nil {
				t.Fatal(err)
			}
			l, err = Open(t.Context(), options)
			if err == nil {
				_ = l.Close()
			}
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Open: %v, want %v: %s", err, tc.want, tc.reason)
			}
		})
	}
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ raise, want int64 }{{7, 7}, {3, 7}, {8, 8}} {
		if got, err := s.Raise("uid-1", step.raise); err != nil || got != step.want {
			t.Errorf("Raise(%d) = %d, %v, want %d", step.raise, got, err, step.want)
		}
	}
	if err := s.Put("other", -1); err != nil {
		t.Fatal(err)
	}
	again, err := OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Get("uid-1") != 8 || again.Get("other") != -1 || again.Get("none") != 0 {
		t.Errorf("read back: %v", again.values)
	}
	if err := os.WriteFile(filepath.Join(dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenState(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("OpenState of an empty file: %v, want %v", err, ErrCorrupt)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Raise("uid-1", 9); err == nil || got != 8 || again.Get("uid-1") != 8 {
		t.Errorf("Raise without a directory = %d, %v; want the old value and an error", got, err)
	}
}
