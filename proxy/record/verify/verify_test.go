// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

// said is what a test compares of a finding.
type said struct {
	Verdict     verify.Verdict
	First, Last int64
	Exact       bool
}

func findings(r *verify.Report) []said {
	var all []said
	for _, f := range r.All() {
		all = append(all, said{f.Verdict, f.First, f.Last, f.Exact})
	}
	return all
}

func run(tb testing.TB, options verify.Options, paths ...string) *verify.Report {
	tb.Helper()
	options.TempDir = tb.TempDir()
	r, err := verify.Verify(tb.Context(), paths, options)
	if err != nil {
		tb.Fatal(err)
	}
	if r.OK != (len(r.All()) == 0) {
		tb.Errorf("OK is %v with %d findings", r.OK, len(r.All()))
	}
	for _, f := range r.All() {
		if f.Sentence == "" || f.Remedy == "" {
			tb.Errorf("finding without sentence or remedy: %+v", f)
		}
	}
	return r
}

// TestTamperings: checklist 45. Each way to change a file of records is found
// and told from the others, and the first bad record is named.
func TestTamperings(t *testing.T) {
	type input struct {
		files   [][][]byte
		options verify.Options
	}
	cases := map[string]struct {
		reason string
		make   func(b *builder) input
		want   []said
	}{
		"Untouched": {
			reason: "a log as it was written is fine, its last records are not signed yet",
			make:   func(b *builder) input { return input{files: [][][]byte{b.lines}} },
		},
		"Edited": {
			reason: "one record changed, nothing else",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(b.lines, 30)}} },
			want:   []said{{verify.Edited, 30, 30, true}},
		},
		"EditedLastBeforeCheckpoint": {
			reason: "the checkpoint's tail names the last record it covers",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(b.lines, 40)}} },
			want:   []said{{verify.Edited, 40, 40, true}},
		},
		"EditedFirst": {
			reason: "the very first record",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(b.lines, 0)}} },
			want:   []said{{verify.Edited, 0, 0, true}},
		},
		"EditedTwo": {
			reason: "two changes far apart in one interval, and one in another",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(edit(edit(b.lines, 22), 38), 70)}} },
			want:   []said{{verify.Edited, 22, 22, true}, {verify.Edited, 38, 38, true}, {verify.Edited, 70, 70, true}},
		},
		"EditedNeighbours": {
			reason: "two changes next to each other",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(edit(b.lines, 22), 23)}} },
			want:   []said{{verify.Edited, 22, 22, true}, {verify.Edited, 23, 23, true}},
		},
		"EditedHashOfPrevious": {
			reason: "a record's word for the one before it is part of it: the one before it is not blamed",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				was, _ := record.Previous(lines[30])
				lines[30] = bytes.Replace(lines[30], []byte(was.String()), []byte(record.Hash{1}.String()), 1)
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Edited, 30, 30, true}},
		},
		"EditedHashOfPreviousBehindCheckpoint": {
			reason: "the first record that a checkpoint does not cover",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				was, _ := record.Previous(lines[41])
				lines[41] = bytes.Replace(lines[41], []byte(was.String()), []byte(record.Hash{1}.String()), 1)
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Edited, 41, 41, true}},
		},
		"EditedCheckpoint": {
			reason: "a checkpoint whose note was changed is a changed record first of all",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				lines[41] = bytes.Replace(lines[41], []byte(`\n41\n`), []byte(`\n40\n`), 1)
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Edited, 41, 41, true}},
		},
		"EditedAndRechained": {
			reason: "where the chain was rewritten up to the next checkpoint, the interval is named and no more is claimed",
			make: func(b *builder) input {
				lines := edit(b.lines, 30)
				head := chain(b, lines[:41], 31)
				return input{files: [][][]byte{append(head, lines[41:]...)}}
			},
			want: []said{{verify.Edited, 20, 40, false}},
		},
		"EditedAndRechainedPart": {
			reason: "the chain rewritten for some records only",
			make: func(b *builder) input {
				lines := edit(b.lines, 30)
				head := chain(b, lines[:35], 31)
				return input{files: [][][]byte{append(head, lines[35:]...)}}
			},
			want: []said{{verify.Edited, 20, 34, false}},
		},
		"EditedAndRechainedToTheEnd": {
			reason: "all checkpoints behind the change no longer belong to the records",
			make: func(b *builder) input {
				return input{files: [][][]byte{chain(b, edit(b.lines, 30), 31)}}
			},
			want: []said{{verify.Edited, 20, 40, false}, {verify.Edited, 41, 61, false}, {verify.Edited, 62, 82, false}},
		},
		"EditedTail": {
			reason: "behind the last checkpoint, two records may be the changed one",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(b.lines, 90)}} },
			want:   []said{{verify.Edited, 90, 90, true}},
		},
		"EditedInOneOfTwoCopies": {
			reason: "where the right one is there too, the other is named",
			make:   func(b *builder) input { return input{files: [][][]byte{edit(b.lines, 30), b.lines}} },
			want:   []said{{verify.Edited, 30, 30, true}},
		},
		"NoJSON": {
			reason: "a change that makes the line no JSON is a change",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				lines[30] = append(slices.Clone(lines[30][:len(lines[30])-1]), '!')
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Edited, 30, 30, true}},
		},
		"LinesSwapped": {
			reason: "two lines at each other's place",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				lines[30], lines[31] = lines[31], lines[30]
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Reordered, 30, 31, true}},
		},
		"SwappedAndRenumbered": {
			reason: "two records that exchanged their numbers",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				lines[30], lines[31] = renumber(lines[31], 31, 30), renumber(lines[30], 30, 31)
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Reordered, 30, 30, true}, {verify.Reordered, 31, 31, true}},
		},
		"SwappedFarAndRenumbered": {
			reason: "two records far from each other",
			make: func(b *builder) input {
				lines := slices.Clone(b.lines)
				lines[24], lines[37] = renumber(lines[37], 37, 24), renumber(lines[24], 24, 37)
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Reordered, 24, 24, true}, {verify.Reordered, 37, 37, true}},
		},
		"Deleted": {
			reason: "records with others behind them",
			make: func(b *builder) input {
				return input{files: [][][]byte{slices.Concat(b.lines[:50], b.lines[53:])}}
			},
			want: []said{{verify.Missing, 50, 52, true}},
		},
		"DeletedAndRenumbered": {
			reason: "one who deletes and renumbers breaks the signed root",
			make: func(b *builder) input {
				lines := slices.Concat(b.lines[:30], b.lines[31:])
				for i := 30; i < len(lines); i++ {
					lines[i] = renumber(lines[i], i+1, i)
				}
				return input{files: [][][]byte{chain(b, lines, 30)}}
			},
			want: []said{{verify.Edited, 20, 40, false}, {verify.Edited, 41, 61, false}, {verify.Edited, 62, 82, false}},
		},
		"CheckpointAheadOfEnd": {
			reason: "records deleted and the rest renumbered, so that the last checkpoint knows of more than there are",
			make: func(b *builder) input {
				lines := slices.Concat(b.lines[:70], [][]byte{renumber(b.lines[83], 83, 70)})
				return input{files: [][][]byte{lines}}
			},
			want: []said{{verify.Edited, 69, 69, true}, {verify.Truncated, 71, 82, true}},
		},
		"Truncated": {
			reason: "a trusted checkpoint knows of more records",
			make: func(b *builder) input {
				return input{files: [][][]byte{b.lines[:70]}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(83)}}}
			},
			want: []said{{verify.Truncated, 70, 82, true}},
		},
		"TruncatedUnknown": {
			reason: "without a trusted checkpoint, a beginning of a log is fine, and the summary says what is not excluded",
			make:   func(b *builder) input { return input{files: [][][]byte{b.lines[:70]}} },
		},
		"RolledBack": {
			reason: "what stands there ends with the checkpoint of an orderly end, and the witness has seen more",
			make: func(b *builder) input {
				b.checkpoint(true)
				older := slices.Clone(b.lines)
				b.add(10)
				b.checkpoint(false)
				return input{files: [][][]byte{older}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(111)}}}
			},
			want: []said{{verify.RolledBack, 101, 110, true}},
		},
		"Forked": {
			reason: "an older state went on by itself; the witness saw the other history",
			make: func(b *builder) input {
				other := b.copy()
				b.add(10)
				b.checkpoint(false)
				other.add(3)
				other.append(record.Event{Type: record.ProxyStart})
				other.add(30)
				other.checkpoint(false)
				return input{files: [][][]byte{other.lines}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(62), b.trusted(110)}}}
			},
			want: []said{{verify.Forked, 62, 109, false}},
		},
		"ForkedBothHere": {
			reason: "both histories are there: the record at which they part is named",
			make: func(b *builder) input {
				other := b.copy()
				b.add(10)
				b.checkpoint(false)
				other.add(3)
				other.append(record.Event{Type: record.ProxyStart})
				other.add(30)
				other.checkpoint(false)
				return input{files: [][][]byte{other.lines, b.lines}}
			},
			want: []said{{verify.Forked, 103, 103, true}},
		},
		"ForkedSameSize": {
			reason: "both signed a checkpoint of the same size",
			make: func(b *builder) input {
				other := b.copy()
				b.add(10)
				b.checkpoint(false)
				other.append(record.Event{Type: record.ProxyStart})
				other.add(9)
				other.checkpoint(false)
				return input{files: [][][]byte{b.lines, other.lines}}
			},
			want: []said{{verify.Forked, 100, 100, true}},
		},
		"ForkedTrustedSameSize": {
			reason: "the witness holds another tree of the very size",
			make: func(b *builder) input {
				other := b.copy()
				b.add(10)
				b.checkpoint(false)
				other.append(record.Event{Type: record.ProxyStart})
				other.add(9)
				other.checkpoint(false)
				return input{files: [][][]byte{b.lines}, options: verify.Options{Trusted: []verify.Trusted{other.trusted(110)}}}
			},
			want: []said{{verify.Forked, 0, 109, false}},
		},
		"Resigned": {
			reason: "a checkpoint signed by somebody else, in a chain that is whole",
			make: func(b *builder) input {
				other := newBuilder(b.tb)
				b.signer, _ = other.newKeyFor(b.id)
				b.checkpoint(false)
				b.add(2)
				return input{files: [][][]byte{b.lines}}
			},
			want: []said{{verify.BadSignature, 100, 100, true}},
		},
		"TrustedAgrees": {
			reason: "the witness's word at a size inside the copy",
			make: func(b *builder) input {
				return input{files: [][][]byte{b.lines}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(62)}}}
			},
		},
		"CheckpointsRemovedAndTailRewritten": {
			reason: "a rewritten end without checkpoints does not agree with the trusted one",
			make: func(b *builder) input {
				lines := chain(b, edit(b.lines[:83], 70), 71)
				return input{files: [][][]byte{lines}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(83)}}}
			},
			want: []said{{verify.Edited, 62, 82, false}},
		},
		"TrustedNamesTheRecord": {
			reason: "a trusted checkpoint proves single records as the log's own do",
			make: func(b *builder) input {
				return input{files: [][][]byte{edit(b.lines[:83], 70)}, options: verify.Options{Trusted: []verify.Trusted{b.trusted(83)}}}
			},
			want: []said{{verify.Edited, 70, 70, true}},
		},
		"Conflict": {
			reason: "a log that the witness has in conflict is not fine, whatever this copy looks like",
			make: func(b *builder) input {
				trusted := b.trusted(62)
				trusted.Conflict = true
				return input{files: [][][]byte{b.lines}, options: verify.Options{Trusted: []verify.Trusted{trusted}}}
			},
			want: []said{{verify.Forked, 0, -1, false}},
		},
		"BeginsLate": {
			reason: "a copy without the log's beginning misses records",
			make:   func(b *builder) input { return input{files: [][][]byte{b.lines[30:]}} },
			want:   []said{{verify.Missing, 0, 29, true}},
		},
		"BeginsLateOnPurpose": {
			reason: "the chain and the signed tails prove what is there",
			make: func(b *builder) input {
				return input{files: [][][]byte{b.lines[30:]}, options: verify.Options{From: 30}}
			},
		},
		"BeginsLateEdited": {
			reason: "also without roots",
			make: func(b *builder) input {
				return input{files: [][][]byte{edit(b.lines, 50)[30:]}, options: verify.Options{From: 30}}
			},
			want: []said{{verify.Edited, 41, 49, false}, {verify.Edited, 50, 50, true}},
		},
		"NothingSigned": {
			reason: "records without a checkpoint prove nothing",
			make:   func(b *builder) input { return input{files: [][][]byte{b.lines[:15]}} },
			want:   []said{{verify.Unsigned, 0, 14, false}},
		},
		"Parts": {
			reason: "files in any order, records delivered again",
			make: func(b *builder) input {
				return input{files: [][][]byte{b.lines[60:], b.lines[:40], b.lines[30:70], slices.Concat(b.lines[10:20], b.lines[15:25])}}
			},
		},
		"TornLine": {
			reason: "a line broken off whose record comes again is what a sink may leave",
			make: func(b *builder) input {
				lines := slices.Concat(b.lines[:30], [][]byte{b.lines[30][:200]}, b.lines[30:], [][]byte{[]byte(`{"schema":"doorward.dev/record/v1","log":"` + b.id + `","index":100,"prev`)})
				return input{files: [][][]byte{lines}}
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := usual(t)
			in := tc.make(b)
			dir := t.TempDir()
			for i, lines := range in.files {
				write(t, dir, string(rune('a'+i))+".jsonl", lines)
			}
			r := run(t, in.options, dir)
			if diff := cmp.Diff(tc.want, findings(r)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
				for _, f := range r.All() {
					t.Logf("%+v", f)
				}
			}
			if len(in.options.Trusted) == 0 && r.OK && !strings.Contains(r.Logs[0].Summary, "tail, rollback and fork not excluded") {
				t.Errorf("summary without a trusted checkpoint: %q", r.Logs[0].Summary)
			}
		})
	}
}
