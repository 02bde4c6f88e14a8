// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

const logID = "5f2a9c0e7d134b6688f0a1b2c3d4e5f6"

func line(index int64, statement string) string {
	e := record.Event{Type: record.OperationDecided, Session: "s", Operation: &record.Operation{Statement: statement}}
	return string(record.AppendJSON(nil, record.Position{LogID: logID, Index: index}, record.Hash{}, &e))
}

func quote(tb testing.TB, s string) string {
	tb.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// read scans paths with one worker, so that what it gives is in order.
func read(tb testing.TB, paths ...string) (records []string, sources *scan.Sources) {
	tb.Helper()
	sources, err := scan.Find(paths)
	if err != nil {
		tb.Fatal(err)
	}
	err = scan.Scan(tb.Context(), sources, scan.Options{}, func(_ int, r *scan.Record) error {
		text := string(r.JSON)
		if again, err := sources.Reread(r.File, r.Offset, r.Part); err != nil || string(again) != text {
			tb.Errorf("record %d read again: %v: %q", r.Position.Index, err, again)
		}
		if r.Broken {
			text = "broken: " + text
		}
		records = append(records, text)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return records, sources
}

func TestLines(t *testing.T) {
	a, b := line(1, "SELECT 'a \\ \"b\" }'"), line(2, "SELECT 2")
	forged := line(7, "forged")
	carrier := line(3, forged)
	cases := map[string]struct {
		reason string
		text   string
		want   []string
	}{
		"Native":      {"JSON lines", a + "\n" + b + "\n", []string{a, b}},
		"NoLineFeed":  {"the last line without a line feed", a + "\n" + b, []string{a, b}},
		"CRLF":        {"lines as other systems end them", a + "\r\n" + b + "\r\n", []string{a, b}},
		"Between":     {"other lines in between", "starting\n" + a + "\n{\"level\":\"info\"}\n\n" + b + "\npanic: x\n", []string{a, b}},
		"Torn":        {"a line broken off", a[:100] + "\n" + a + "\n", []string{"broken: " + a[:100], a}},
		"TornAtBrace": {"broken off where an inner object ends", a[:strings.LastIndex(a, "}")] + "\n", []string{"broken: " + a[:len(a)-1]}},
		"Behind":      {"more behind the record on its line", a + " x\n", []string{"broken: " + a + " x"}},
		"OCSF":        {"raw_data of an OCSF event", `{"class_uid":6005,"raw_data":` + quote(t, a) + `,"time":1}` + "\n", []string{a}},
		"Docker":      {"a container runtime's JSON", `{"log":` + quote(t, a+"\n") + `,"stream":"stdout"}` + "\n", []string{a}},
		"CRI":         {"a container runtime's text", "2026-03-04T05:06:07.1Z stdout F " + a + "\n", []string{a}},
		"Syslog":      {"behind a header", `<110>1 2026-03-04T05:06:07Z h doorward - ` + logID + `/1 [x y="z"] ` + a + "\n", []string{a}},
		"SyslogTail":  {"with more behind it", `<110>1 - - - - - ` + a + " end\n", []string{a}},
		"OTLP":        {"a batch on one line", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":` + quote(t, a) + `}},{"body":{"stringValue":` + quote(t, b) + `}}]}]}]}` + "\n", []string{a, b}},
		"Escaped":     {"JSON escaped otherwise", `{"x":"` + strings.NewReplacer(`\`, `\\`, `"`, `\u0022`, `/`, `\/`).Replace(a) + `"}` + "\n", []string{a}},
		"Forged":      {"what a caller said is no record, in a line of its own form", carrier + "\n", []string{carrier}},
		"ForgedOCSF": {
			"nor beside the record", `{"query":` + quote(t, forged) + `,"raw_data":` + quote(t, carrier) + "}\n", []string{carrier},
		},
		"Nothing":   {"what only looks like it", `{"schema":"doorward.dev/record/v1","log":""}` + "\n" + `{"a":"doorward.dev"}` + "\ndoorward.dev\n", nil},
		"LongLines": {"lines beyond a chunk", strings.Repeat("x", 3<<20) + "\n" + a + "\n" + strings.Repeat("y", 1<<20) + "\n" + b + "\n", []string{a, b}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			plain, packed := filepath.Join(dir, "plain"), filepath.Join(dir, "packed")
			var zipped bytes.Buffer
			w := gzip.NewWriter(&zipped)
			if _, err := w.Write([]byte(tc.text)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			for path, data := range map[string][]byte{plain: []byte(tc.text), packed: zipped.Bytes()} {
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				got, sources := read(t, path)
				if diff := cmp.Diff(tc.want, got); diff != "" || len(sources.Problems) > 0 {
					t.Errorf("%s: %s: %v: -want +got:\n%s", tc.reason, path, sources.Problems, diff)
				}
			}
		})
	}
}

// TestChunks: many records, cut anywhere by the reader, with several workers.
func TestChunks(t *testing.T) {
	var text strings.Builder
	const n = 9000
	for i := range n {
		fmt.Fprintln(&text, line(int64(i), strings.Repeat("x", i%700)))
	}
	path := filepath.Join(t.TempDir(), "many")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sources, err := scan.Find([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[int64]int64{}
	err = scan.Scan(t.Context(), sources, scan.Options{Workers: 3}, func(_ int, r *scan.Record) error {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Position.Index] = r.Offset
		return nil
	})
	if err != nil || len(seen) != n {
		t.Fatalf("%d records: %v", len(seen), err)
	}
	for _, i := range []int64{0, 4567, n - 1} {
		if got := sources.Line(0, seen[i]); got != i+1 {
			t.Errorf("record %d is on line %d", i, got)
		}
	}
}

// TestUnfinished: a line whose writer has it in hand is waited for, so that a live log is
// not taken for a damaged one; one that stays as it is is damaged.
func TestUnfinished(t *testing.T) {
	a, b := line(1, "SELECT 1"), line(2, "SELECT 2")
	for name, tc := range map[string]struct {
		reason, rest string
		want         []string
	}{
		"Written": {"the writer goes on", b[100:] + "\n", []string{a, b}},
		"Stays":   {"the writer is gone", "", []string{a, "broken: " + b[:100]}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.jsonl")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteString(a + "\n" + b[:100]); err != nil {
				t.Fatal(err)
			}
			sources, err := scan.Find([]string{path})
			if err != nil {
				t.Fatal(err)
			}
			rest := sync.OnceFunc(func() {
				if _, err := file.WriteString(tc.rest); err != nil {
					t.Error(err)
				}
			})
			var got []string
			err = scan.Scan(t.Context(), sources, scan.Options{Progress: func(int64, int64) { rest() }}, func(_ int, r *scan.Record) error {
				text := string(r.JSON)
				if r.Broken {
					text = "broken: " + text
				}
				got = append(got, text)
				return nil
			})
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v: -want +got:\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.gz")
	if err := os.WriteFile(bad, []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}, 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, append(bytes.Repeat([]byte("x"), 40<<20), []byte("\n"+line(1, "x")+"\n")...), 0o600); err != nil {
		t.Fatal(err)
	}
	records, sources := read(t, bad, long)
	if len(sources.Problems) != 2 || len(records) != 1 {
		t.Errorf("%d records, problems %+v", len(records), sources.Problems)
	}
	if _, err := scan.Find([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a path that is not there is no error")
	}
}

// FuzzLines: whatever a line is, reading does not fail, and what it gives is in
// the line.
func FuzzLines(f *testing.F) {
	a := line(1, "SELECT 1")
	f.Add([]byte(a))
	f.Add([]byte("x " + a + "\n{\"a\":" + string(must(json.Marshal(a))) + "}\n" + a[:80]))
	f.Add([]byte("{\"schema\":\"doorward.dev/record/v1\",\"log\":\"x\",\"index\":1,\"a\":\"\\"))
	path := filepath.Join(f.TempDir(), "fuzz")
	f.Fuzz(func(t *testing.T, data []byte) {
		// Nobody writes to it, so that no rest is waited for.
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, time.Time{}, time.Unix(0, 0))); err != nil {
			t.Fatal(err)
		}
		records, _ := read(t, path)
		for _, r := range records {
			if _, err := record.Head([]byte(strings.TrimPrefix(r, "broken: "))); err != nil {
				t.Errorf("no record: %q", r)
			}
		}
	})
}

// FuzzSegment: whatever a segment holds, reading it ends.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "00000000000000000000.log")
	a := line(0, "SELECT 1")
	frame := append([]byte{byte(len(a)), byte(len(a) >> 8), 0, 0x80, 1, 2, 3, 4}, a...)
	f.Add(frame)
	f.Add(append(append(make([]byte, 40), frame...), frame[:60]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		read(t, dir)
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
