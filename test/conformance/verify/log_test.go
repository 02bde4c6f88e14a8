// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink/file"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/record/verify"
)

// sinkName is the sink of the logs of these tests.
const sinkName = "files"

// history is a log that a real spool wrote, and where its records went.
type history struct {
	tb testing.TB
	// dir is the spool's directory, files that of the sink.
	dir, files string
	id         string
	// witness is the log's own last word of all of its records.
	witness verify.Trusted
	size    int64
	// stop is where the last ProxyStop is. What the log says of itself follows.
	stop int64
}

// grow has a spool write records until the log has size of them, and closes it
// in order; the sink gets all of them, its cursor is on disk.
func (h *history) grow(size int64) {
	h.tb.Helper()
	ctx := h.tb.Context()
	log, err := spool.Open(ctx, spool.Options{Dir: h.dir, MaxBytes: 8 << 30, Sinks: []string{sinkName}, Hold: "kept for the test"})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.id = log.ID()
	if err := log.AppendLater(record.Event{Type: record.ProxyStart}); err != nil {
		h.tb.Fatal(err)
	}
	// Its last two records are the orderly end.
	for n := log.Durable(); n < size-3; n++ {
		if n%1000 != 0 {
			err = log.AppendLater(operation(n))
		} else {
			_, err = log.Append(ctx, operation(n))
		}
		if err != nil {
			h.tb.Fatal(err)
		}
	}
	stop, err := log.Append(ctx, record.Event{Type: record.ProxyStop})
	if err != nil {
		h.tb.Fatal(err)
	}
	h.stop = stop.Index
	if err := log.Finish(ctx); err != nil {
		h.tb.Fatal(err)
	}
	h.size = log.Durable()
	h.ship(ctx, log)
	keys := log.Keys()
	if err := log.Close(); err != nil {
		h.tb.Fatal(err)
	}
	h.witness = verify.Trusted{Log: h.id, Keys: keys.Texts(), Rotations: keys.Rotations(), Note: h.lastNote(), Source: "the witness"}
}

// ship has the file sink take everything.
func (h *history) ship(ctx context.Context, log *spool.Log) {
	h.tb.Helper()
	sink, err := file.New(file.Options{Dir: h.files, MaxBytes: 32 << 20})
	if err != nil {
		h.tb.Fatal(err)
	}
	feed, err := log.NewFeed(sinkName)
	if err != nil {
		h.tb.Fatal(err)
	}
	for feed.Acknowledged() < log.Durable() {
		batch, err := feed.Next(ctx, 2048, 2<<20)
		if err == nil {
			err = sink.Write(ctx, batch)
		}
		if err == nil {
			err = feed.Acknowledge(batch[len(batch)-1].Position.Index + 1)
		}
		if err != nil {
			h.tb.Fatal(err)
		}
	}
	if err := errors.Join(feed.Close(), sink.Close()); err != nil {
		h.tb.Fatal(err)
	}
}

// lastNote is the note of the last record, which is the closing checkpoint.
func (h *history) lastNote() string {
	h.tb.Helper()
	segments := segmentsOf(h.tb, h.dir)
	var last []byte
	eachFrame(h.tb, segments[len(segments)-1], func(payload []byte) { last = payload })
	d, err := record.Decode(last)
	if err != nil || d.Checkpoint == nil {
		h.tb.Fatalf("the last record is no checkpoint: %v: %s", err, last)
	}
	return d.Checkpoint.Note
}

func operation(n int64) record.Event {
	statement := fmt.Sprintf("SELECT id, email, created_at FROM public.customers WHERE id = %d AND region = 'eu' ORDER BY created_at DESC LIMIT 50", n)
	return record.Event{
		Type: record.OperationDecided, Session: fmt.Sprintf("0198c5a2-%04d", n/1000), OperationID: uint64(n + 1),
		Connection: record.Connection{Namespace: "payments", Name: "orders", UID: "0d3c7f1e-6a55-4c80-9a0e-2f8f7c1b9d10"}, Revision: 12,
		Actor: &identity.Principal{
			Provider: "corp", Issuer: "https://idp.example.com", Subject: "00u1", UserName: "alice@example.com",
			Groups: []string{"analysts", "staff"}, Kind: identity.Human, Method: "oidc",
		},
		ClientAddress: "10.0.0.7:50123",
		Operation: &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: statement,
			Normalized: "SELECT id, email, created_at FROM public.customers WHERE id = $1 AND region = $2 ORDER BY created_at DESC LIMIT $3",
			Accesses:   []policy.Access{{Action: "select", Resource: "public.customers"}},
		},
		Decision: &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "select"}}},
	}
}

func newHistory(tb testing.TB, size int64) *history {
	tb.Helper()
	root := tb.TempDir()
	h := &history{tb: tb, dir: filepath.Join(root, "spool"), files: filepath.Join(root, "files")}
	h.grow(size)
	return h
}

// copy copies both directories, as a backup or an attacker does.
func (h *history) copy(tb testing.TB) *history {
	tb.Helper()
	c := *h
	c.tb = tb
	root := tb.TempDir()
	c.dir, c.files = filepath.Join(root, "spool"), filepath.Join(root, "files")
	for from, to := range map[string]string{h.dir: c.dir, h.files: c.files} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(c.dir, "key"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return &c
}

func segmentsOf(tb testing.TB, dir string) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "????????????????????.log"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no segments in %q: %v", dir, err)
	}
	slices.Sort(paths)
	return paths
}

// eachFrame visits the payloads of a segment. The format is that of package spool.
func eachFrame(tb testing.TB, path string, visit func(payload []byte)) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	for len(data) > 8 {
		length := binary.LittleEndian.Uint32(data) &^ (1 << 31)
		if length == 0 {
			return
		}
		visit(data[8 : 8+length])
		data = data[8+length:]
	}
}

// change rewrites the segment that holds a record, with checksums that fit:
// the records before it, what stands in the place of it and those behind it.
func changeSegments(tb testing.TB, dir string, index int64, change func(records [][]byte, at int) [][]byte) {
	tb.Helper()
	for _, path := range slices.Backward(segmentsOf(tb, dir)) {
		var first int64
		if _, err := fmt.Sscanf(filepath.Base(path), "%d.log", &first); err != nil {
			tb.Fatal(err)
		}
		if first > index {
			continue
		}
		var records [][]byte
		eachFrame(tb, path, func(payload []byte) { records = append(records, payload) })
		var out []byte
		table := crc32.MakeTable(crc32.Castagnoli)
		for _, r := range change(records, int(index-first)) {
			header := binary.LittleEndian.AppendUint32(nil, uint32(len(r))|1<<31)
			sum := crc32.Update(crc32.Update(0, table, header), table, r)
			out = append(binary.LittleEndian.AppendUint32(append(out, header...), sum), r...)
		}
		if err := os.WriteFile(path, out, 0o600); err != nil {
			tb.Fatal(err)
		}
		return
	}
	tb.Fatalf("no segment holds record %d", index)
}

// changeFiles does the same in the sink's files.
func changeFiles(tb testing.TB, dir string, index int64, change func(records [][]byte, at int) [][]byte) {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(paths)
	for _, path := range slices.Backward(paths) {
		var first int64
		if _, err := fmt.Sscanf(filepath.Base(path)[33:], "%d.jsonl", &first); err != nil {
			tb.Fatal(err)
		}
		if first > index {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		records := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
		out := append(bytes.Join(change(records, int(index-first)), []byte("\n")), '\n')
		if err := os.WriteFile(path, out, 0o600); err != nil {
			tb.Fatal(err)
		}
		return
	}
	tb.Fatalf("no file holds record %d", index)
}

// cut removes the record at an index and all behind it.
func cut(tb testing.TB, dir string, index int64, names string, first func(name string) int64, change func(tb testing.TB, dir string, index int64, change func(records [][]byte, at int) [][]byte)) {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, names))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		if first(filepath.Base(path)) > index {
			if err := os.Remove(path); err != nil {
				tb.Fatal(err)
			}
		}
	}
	change(tb, dir, index, func(records [][]byte, at int) [][]byte { return records[:at] })
}

// timed runs the verifier and says how long it took.
func timed(tb testing.TB, options verify.Options, paths ...string) (*verify.Report, time.Duration) {
	tb.Helper()
	began := time.Now()
	options.TempDir = tb.TempDir()
	r, err := verify.Verify(tb.Context(), paths, options)
	if err != nil {
		tb.Fatal(err)
	}
	return r, time.Since(began)
}
