// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// reference is a whole tree as package tlog keeps it.
type reference struct{ stored []Hash }

func (r *reference) ReadHashes(indexes []int64) ([]Hash, error) {
	var hashes []Hash
	for _, i := range indexes {
		hashes = append(hashes, r.stored[i])
	}
	return hashes, nil
}

func leaf(i int64) Hash { return sha256.Sum256(strconv.AppendInt(nil, i, 10)) }

// leaves are the first of them, made once.
var leaves = func() (all [400]Hash) {
	for i := range all {
		all[i] = leaf(int64(i))
	}
	return all
}()

func newReference(t *testing.T, size int64) *reference {
	t.Helper()
	r := &reference{}
	for i := range size {
		hashes, err := tlog.StoredHashesForRecordHash(i, leaf(i), r)
		if err != nil {
			t.Fatal(err)
		}
		r.stored = append(r.stored, hashes...)
	}
	return r
}

func rangeOf(begin, end int64) *Range {
	r := NewRange(begin)
	for i := begin; i < end; i++ {
		if i < int64(len(leaves)) {
			r.Append(leaves[i])
		} else {
			r.Append(leaf(i))
		}
	}
	return &r
}

func (r *reference) root(t *testing.T, size int64) Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, r)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// checkPair compares root, proof and text for the trees of two sizes, before
// and before with since, with what package tlog makes of all hashes.
func checkPair(t *testing.T, whole *reference, before, since *Range) {
	t.Helper()
	old, now := before.End(), since.End()
	// The subtrees depend on the range's ends only.
	var heights []int
	for _, n := range since.nodes {
		heights = append(heights, n.level)
	}
	if !slices.Equal(levels(old, now), heights) {
		t.Fatalf("[%d,%d) has subtrees %v", old, now, heights)
	}
	proof, err := Prove(before, since)
	if err != nil {
		t.Fatalf("Prove %d to %d: %v", old, now, err)
	}
	if old > 0 {
		want, err := tlog.ProveTree(now, old, whole)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(want, proof) {
			t.Fatalf("Prove %d to %d: want %v, got %v", old, now, want, proof)
		}
	}
	trees := [2]tlog.Tree{{N: old, Hash: whole.root(t, old)}, {N: now, Hash: whole.root(t, now)}}
	if err := Check(proof, trees[1], trees[0]); err != nil {
		t.Fatal(err)
	}
	all := before.Clone()
	if err := all.Merge(since); err != nil {
		t.Fatal(err)
	}
	if root, err := all.Root(); err != nil || root != trees[1].Hash {
		t.Fatalf("root of %d: %v, %v, want %v", now, root, err, trees[1].Hash)
	}
	text, err := since.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var again Range
	if err := again.UnmarshalText(text); err != nil || !again.Equal(since) {
		t.Fatalf("%s read back: %v, %+v", text, err, again)
	}
	// What is read back goes on as before.
	on := since.Clone()
	again.Append(leaf(now))
	on.Append(leaf(now))
	if !again.Equal(&on) {
		t.Fatalf("%s read back does not go on", text)
	}
}

func TestRangesAgainstTlog(t *testing.T) {
	const most = 300
	whole := newReference(t, most)
	for old := int64(0); old <= most; old++ {
		before, since := rangeOf(0, old), NewRange(old)
		for now := old; ; now++ {
			checkPair(t, whole, before, &since)
			if now == most {
				break
			}
			since.Append(leaves[now])
		}
	}
}

// TestMerge: the parts of a range merge to what it is without the cut.
func TestMerge(t *testing.T) {
	const most = 70
	for begin := int64(0); begin <= most; begin++ {
		for end := begin; end <= most; end++ {
			want := rangeOf(begin, end)
			for cut := begin; cut <= end; cut++ {
				got := rangeOf(begin, cut)
				if err := got.Merge(rangeOf(cut, end)); err != nil || !got.Equal(want) {
					t.Fatalf("[%d,%d) and [%d,%d): %v: merge to another range", begin, cut, cut, end, err)
				}
			}
		}
	}
}

func TestLargeRangesAgainstTlog(t *testing.T) {
	const most = 20000
	whole := newReference(t, most)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		cuts := []int64{random.Int64N(most), random.Int64N(most), random.Int64N(most)}
		slices.Sort(cuts)
		since := rangeOf(cuts[0], cuts[1])
		if err := since.Merge(rangeOf(cuts[1], cuts[2])); err != nil {
			t.Fatal(err)
		}
		checkPair(t, whole, rangeOf(0, cuts[0]), since)
	}
}

// TestCheckRefuses is checklist 45 (rollback, fork): a tree that does not
// continue the old one has no proof that says it does.
func TestCheckRefuses(t *testing.T) {
	whole := newReference(t, 50)
	proof, err := Prove(rangeOf(0, 20), rangeOf(20, 50))
	if err != nil {
		t.Fatal(err)
	}
	old, now := tlog.Tree{N: 20, Hash: whole.root(t, 20)}, tlog.Tree{N: 50, Hash: whole.root(t, 50)}
	cases := map[string]struct {
		reason   string
		proof    tlog.TreeProof
		now, old tlog.Tree
	}{
		"Fork":      {reason: "another root is another log", proof: proof, now: tlog.Tree{N: 50, Hash: leaf(1)}, old: old},
		"OtherPast": {reason: "the past is not to be changed", proof: proof, now: now, old: tlog.Tree{N: 20, Hash: leaf(1)}},
		"Rollback":  {reason: "a log does not get shorter", proof: proof, now: old, old: now},
		"Short":     {reason: "half a proof is none", proof: proof[1:], now: now, old: old},
		"Long":      {reason: "nothing is passed over", proof: append(slices.Clone(proof), leaf(1)), now: now, old: old},
		"None":      {reason: "no proof is none", now: now, old: old},
		"SameSize":  {reason: "two trees of one size are a fork", now: tlog.Tree{N: 20, Hash: leaf(1)}, old: old},
		"Idle":      {reason: "from nothing there is nothing to prove", proof: proof, now: now},
		"Negative":  {reason: "sizes are not negative", now: now, old: tlog.Tree{N: -1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := Check(tc.proof, tc.now, tc.old); err == nil {
				t.Errorf("Check accepts: %s", tc.reason)
			}
		})
	}
}

func TestRangeRefuses(t *testing.T) {
	r := rangeOf(0, 5)
	if err := r.Merge(rangeOf(6, 8)); err == nil {
		t.Error("ranges with a gap merge")
	}
	if _, err := rangeOf(1, 5).Root(); err == nil {
		t.Error("a range that does not begin at 0 has a root")
	}
	if _, err := Prove(rangeOf(0, 3), rangeOf(4, 5)); err == nil {
		t.Error("ranges with a gap prove something")
	}
	text, err := r.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	hashes := strings.Split(string(text), ":")[2]
	for name, bad := range map[string]string{
		"Empty":      "",
		"NoHashes":   "0:5:",
		"FewHashes":  "0:7:" + hashes,
		"ManyHashes": "0:4:" + hashes,
		"Sign":       "+0:5:" + hashes,
		"Zeros":      "00:5:" + hashes,
		"Negative":   "-1:5:" + hashes,
		"Backwards":  "5:0:",
		"Newline":    "0:5:" + hashes[:8] + "\n" + hashes[8:],
		"Huge":       "0:9223372036854775807:" + hashes,
		"Long":       "0:5:" + strings.Repeat(hashes, 100),
		"More":       string(text) + ":",
	} {
		if err := new(Range).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%s: %q is read", name, bad)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, r := range []*Range{rangeOf(0, 0), rangeOf(0, 5), rangeOf(3, 11)} {
		text, err := r.MarshalText()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Range
		if r.UnmarshalText(text) != nil {
			return
		}
		again, err := r.MarshalText()
		if err != nil || string(again) != string(text) {
			t.Errorf("%q is written as %q, %v", text, again, err)
		}
		end := r.End()
		r.Append(leaf(end))
		if r.End() != end+1 || len(r.nodes) != len(levels(r.begin, r.end)) {
			t.Errorf("%q does not go on", text)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r, h := NewRange(0), leaf(0)
	b.ReportAllocs()
	for b.Loop() {
		r.Append(h)
	}
}

// BenchmarkLeafHash is what BenchmarkAppend is held against: the hash of a
// record of ordinary size, which the chain needs anyway.
func BenchmarkLeafHash(b *testing.B) {
	data := make([]byte, 1000)
	b.ReportAllocs()
	for b.Loop() {
		tlog.RecordHash(data)
	}
}
