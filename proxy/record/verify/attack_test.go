// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

// start is a record without content, with any index.
func start(id string, index int64) []byte {
	e := record.Event{Type: record.ProxyStart, Time: began}
	return record.AppendJSON(nil, record.Position{LogID: id, Index: index}, record.Hash{}, &e)
}

// TestHiding: checklist 45. One log that is fine does not stand for another
// that is hidden, emptied or made up beside it.
func TestHiding(t *testing.T) {
	cases := map[string]struct {
		reason string
		// make writes log b into a directory in which log a is fine.
		make func(dir string, b *builder) verify.Options
		want []said
	}{
		"BrokenLine": {
			reason: "a line broken off is no record of a log that must be here",
			make: func(dir string, b *builder) verify.Options {
				write(t, dir, "b.jsonl", [][]byte{b.lines[0][:200]})
				return verify.Options{Trusted: []verify.Trusted{b.trusted(83)}, RequireAll: true}
			},
			want: []said{{verify.Missing, 0, -1, false}},
		},
		"MadeUp": {
			reason: "anybody can make a log with a key of their own; the witness does not know it",
			make: func(dir string, b *builder) verify.Options {
				write(t, dir, "b.jsonl", b.lines)
				return verify.Options{RequireAll: true}
			},
			want: []said{{verify.Unsigned, 0, 99, false}},
		},
		"NoCheckpointOfIt": {
			reason: "an AuditLog from which the checkpoint was taken says nothing of the log",
			make: func(dir string, b *builder) verify.Options {
				write(t, dir, "b.jsonl", b.lines)
				return verify.Options{Trusted: []verify.Trusted{{Log: b.id, Keys: b.keys}}, RequireAll: true}
			},
			want: []said{{verify.Unsigned, 0, 99, false}},
		},
		"BesideASegment": {
			reason: "a file that looks like a segment hides none of those beside and below it",
			make: func(dir string, b *builder) verify.Options {
				write(t, filepath.Join(dir, "b"), "b.jsonl", edit(b.lines, 30)[:50])
				write(t, filepath.Join(dir, "b", "c"), "b.jsonl", edit(b.lines, 70)[50:])
				empty(t, filepath.Join(dir, "b"))
				return verify.Options{}
			},
			want: []said{{verify.Edited, 30, 30, true}, {verify.Edited, 70, 70, true}},
		},
		"EmptiedDirectory": {
			reason: "a log's directory without records, of which its readers have had some",
			make: func(dir string, b *builder) verify.Options {
				empty(t, filepath.Join(dir, "b"))
				cursor(t, filepath.Join(dir, "b"), b.id, 77)
				return verify.Options{}
			},
			want: []said{{verify.Truncated, 0, 76, true}},
		},
		"NothingYet": {
			reason: "a segment is begun before it has records, those before it may be deleted",
			make: func(dir string, b *builder) verify.Options {
				empty(t, filepath.Join(dir, "b"))
				cursor(t, filepath.Join(dir, "b"), b.id, 0)
				return verify.Options{}
			},
		},
		"Link": {
			reason: "what a link leads to is not read, and that is said",
			make: func(dir string, b *builder) verify.Options {
				if err := os.Symlink(write(t, t.TempDir(), "b.jsonl", b.lines), filepath.Join(dir, "b.jsonl")); err != nil {
					t.Fatal(err)
				}
				return verify.Options{}
			},
			want: []said{{verify.Unreadable, -1, -1, false}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := usual(t), usual(t)
			dir := t.TempDir()
			write(t, dir, "a.jsonl", a.lines)
			options := tc.make(dir, b)
			options.Trusted = append(options.Trusted, a.trusted(83))
			r := run(t, options, dir)
			if diff := cmp.Diff(tc.want, findings(r)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// empty makes a segment without records.
func empty(tb testing.TB, dir string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "cursors"), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%020d.log", 0)), make([]byte, 4096), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func cursor(tb testing.TB, dir, id string, next int64) {
	tb.Helper()
	data, err := json.Marshal(map[string]any{"log": id, "next": next})
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cursors", "s3"), data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// TestCheckpointsOfAnySize: a checkpoint that somebody without the key put at
// the end is found, whatever size it names.
func TestCheckpointsOfAnySize(t *testing.T) {
	for _, size := range []string{"100", "90", "100000", "9223372036854775807", "0", "-1"} {
		b := usual(t)
		b.signer, _ = b.newKeyFor(b.id)
		b.checkpoint(false)
		lines := slices.Clone(b.lines)
		lines[100] = bytes.Replace(lines[100], []byte(`"size":100`), []byte(`"size":`+size), 1)
		r := run(t, verify.Options{}, write(t, t.TempDir(), "a", lines))
		if diff := cmp.Diff([]said{{verify.BadSignature, 100, 100, true}}, findings(r)); diff != "" {
			t.Errorf("size %s: -want +got:\n%s", size, diff)
		}
	}
}

// TestGreatestIndex: no number is so great that the one behind it is another.
func TestGreatestIndex(t *testing.T) {
	for index, want := range map[int64][]said{
		math.MaxInt64:     nil, // names no place, so it is no record
		math.MaxInt64 - 1: {{verify.Missing, 100, math.MaxInt64 - 2, true}},
	} {
		b := usual(t)
		r := run(t, verify.Options{}, write(t, t.TempDir(), "a", append(slices.Clone(b.lines), start(b.id, index))))
		if diff := cmp.Diff(want, findings(r)); diff != "" {
			t.Errorf("index %d: -want +got:\n%s", index, diff)
		}
	}
}

// compressed writes lines to a file, with gzip.
func compressed(t *testing.T, lines [][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.gz")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(file)
	if _, err := w.Write(bytes.Join(lines, []byte("\n"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestManyChanges: many changes do not make verifying many times slower, also
// where a file has to be decompressed from its beginning to read a record again. Not
// parallel: the CPU time of the process is what is measured, so that a busy machine does
// not matter.
func TestManyChanges(t *testing.T) {
	b := newBuilder(t)
	for range 200 {
		b.add(20)
		b.checkpoint(false)
	}
	lines := b.lines
	for i := 5; i < len(b.lines); i += 21 {
		lines = edit(edit(lines, i), i+7)
	}
	plain, path := compressed(t, b.lines), compressed(t, lines)
	began := cpuTime(t)
	run(t, verify.Options{}, plain)
	usual := cpuTime(t) - began
	began = cpuTime(t)
	r := run(t, verify.Options{}, path)
	if took := cpuTime(t) - began; took > 100*usual {
		t.Errorf("took %s of CPU, without changes %s", took, usual)
	}
	log := r.Logs[0]
	if n := len(log.Findings) + log.MoreFindings; n != 400 {
		t.Errorf("%d findings", n)
	}
	for _, f := range log.Findings {
		if f.Verdict != verify.Edited || !f.Exact {
			t.Fatalf("finding: %+v", f)
		}
	}
}

// TestConflictReason: what anybody could show the witness is told from what
// only the log's key signs.
func TestConflictReason(t *testing.T) {
	for reason, want := range map[string]string{
		"": "was shown another history", "Forked": "was shown another history", "RolledBack": "was shown another history",
		"BadSignature": `for the reason "BadSignature"`, "Claimed": `for the reason "Claimed"`,
	} {
		b := usual(t)
		trusted := b.trusted(62)
		trusted.Conflict, trusted.Reason = true, reason
		r := run(t, verify.Options{Trusted: []verify.Trusted{trusted}}, write(t, t.TempDir(), "a", b.lines))
		if all := r.All(); len(all) != 1 || all[0].Verdict != verify.Forked || !strings.Contains(all[0].Sentence, want) {
			t.Errorf("reason %q: findings %+v", reason, all)
		}
	}
}

// cpuTime is what this process has used so far.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
