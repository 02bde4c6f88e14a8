// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tree is the Merkle tree of a record log (RFC 6962, section 2.1, as in
// golang.org/x/mod/sumdb/tlog), its checkpoints and the keys that sign them.
package tree

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a hash of the tree.
type Hash = tlog.Hash

// ErrMalformed is wrapped by the errors for bytes that are not what they are
// read as.
var ErrMalformed = errors.New("malformed")

// maxSize bounds the number of leaves, so that no sum of two overflows.
const maxSize = 1 << 61

// Range stands for the consecutive leaves Begin to End-1 by the fewest whole
// subtrees they make up, at most two for each level. Two ranges that follow
// each other merge to the one of both, so that neither leaves nor inner hashes
// need to be kept. The zero value is the empty range at 0.
type Range struct {
	begin, end int64
	// nodes are the subtrees from left to right.
	nodes []node
}

type node struct {
	hash Hash
	// level is the height: the subtree has 1<<level leaves.
	level int
}

// NewRange returns the empty range before leaf begin, which is not negative.
func NewRange(begin int64) Range { return Range{begin: begin, end: begin} }

// Begin is the first leaf.
func (r *Range) Begin() int64 { return r.begin }

// End is the leaf after the last; where Begin is 0, the size of the tree.
func (r *Range) End() int64 { return r.end }

// Clone returns a copy that shares nothing.
func (r *Range) Clone() Range {
	return Range{begin: r.begin, end: r.end, nodes: slices.Clone(r.nodes)}
}

// Reset makes it the empty range before leaf begin and keeps its memory.
func (r *Range) Reset(begin int64) { r.begin, r.end, r.nodes = begin, begin, r.nodes[:0] }

// Append adds the leaf End.
func (r *Range) Append(leaf Hash) { r.push(node{hash: leaf}) }

// push adds a subtree that begins at end, and joins what then makes up a
// larger one.
func (r *Range) push(n node) {
	start := r.end
	r.end += 1 << n.level
	for len(r.nodes) > 0 {
		last := r.nodes[len(r.nodes)-1]
		if last.level != n.level || start>>n.level&1 == 0 {
			break
		}
		start -= 1 << n.level
		n = node{hash: tlog.NodeHash(last.hash, n.hash), level: n.level + 1}
		r.nodes = r.nodes[:len(r.nodes)-1]
	}
	r.nodes = append(r.nodes, n)
}

// Merge adds a range that begins where this one ends.
func (r *Range) Merge(next *Range) error {
	if next.begin != r.end {
		return fmt.Errorf("cannot merge ranges of leaves: one ends at %d, the next begins at %d", r.end, next.begin)
	}
	for _, n := range next.nodes {
		r.push(n)
	}
	return nil
}

// Equal says whether both are of the same leaves.
func (r *Range) Equal(other *Range) bool {
	return r.begin == other.begin && r.end == other.end && slices.Equal(r.nodes, other.nodes)
}

// Root is the root hash of the tree of all leaves before End. Begin must be 0.
func (r *Range) Root() (Hash, error) {
	if r.begin != 0 {
		return Hash{}, fmt.Errorf("no root of a range of leaves that begins at %d", r.begin)
	}
	if len(r.nodes) == 0 {
		return tlog.TreeHash(0, nil)
	}
	h := r.nodes[len(r.nodes)-1].hash
	for i := len(r.nodes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(r.nodes[i].hash, h)
	}
	return h, nil
}

// Hashes reads the subtrees of ranges for the functions of package tlog. It
// has what proofs between the ranges' ends need, and nothing else.
func Hashes(ranges ...*Range) tlog.HashReader {
	stored := map[int64]Hash{}
	for _, r := range ranges {
		at := r.begin
		for _, n := range r.nodes {
			stored[tlog.StoredHashIndex(n.level, at>>n.level)] = n.hash
			at += 1 << n.level
		}
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		hashes := make([]Hash, len(indexes))
		for i, index := range indexes {
			h, ok := stored[index]
			if !ok {
				return nil, fmt.Errorf("no hash at %d: the ranges do not hold it", index)
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

// Prove returns the proof (RFC 6962, section 2.1.2) that the tree of old, which
// begins at 0, is the beginning of the tree of old and since together. From
// the empty tree it is empty.
func Prove(old, since *Range) (tlog.TreeProof, error) {
	if old.begin != 0 || since.begin != old.end {
		return nil, fmt.Errorf("cannot prove consistency from leaves %d to %d and %d to %d: they must be adjacent and begin at 0",
			old.begin, old.end, since.begin, since.end)
	}
	if old.end == 0 {
		return nil, nil
	}
	return tlog.ProveTree(since.end, old.end, Hashes(old, since))
}

// Check verifies a proof made by Prove: that the tree old is the beginning of
// the tree now.
func Check(proof tlog.TreeProof, now, old tlog.Tree) error {
	switch {
	case old.N < 0 || now.N < old.N:
		return fmt.Errorf("tree of %d records is not the beginning of one of %d", old.N, now.N)
	case old.N == 0 && len(proof) == 0:
		return nil
	case old.N == 0:
		return errors.New("consistency with the empty tree needs no proof: one is given")
	}
	if err := tlog.CheckTree(proof, now.N, now.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("tree of %d records is not proven to be the beginning of one of %d: %w", old.N, now.N, err)
	}
	return nil
}

// levels are the heights of the subtrees that make up a range.
func levels(begin, end int64) []int {
	var all []int
	for begin < end {
		level := bits.Len64(uint64(end-begin)) - 1 //nolint:gosec // positive
		if begin != 0 {
			level = min(level, bits.TrailingZeros64(uint64(begin))) //nolint:gosec // positive
		}
		all = append(all, level)
		begin += 1 << level
	}
	return all
}

// MarshalText writes begin, end and the base64 of the hashes, with colons between.
func (r *Range) MarshalText() ([]byte, error) {
	text := strconv.AppendInt(nil, r.begin, 10)
	text = strconv.AppendInt(append(text, ':'), r.end, 10)
	raw := make([]byte, 0, len(r.nodes)*tlog.HashSize)
	for _, n := range r.nodes {
		raw = append(raw, n.hash[:]...)
	}
	return base64.StdEncoding.AppendEncode(append(text, ':'), raw), nil
}

// maxText bounds the text of a range: two subtrees for each level.
const maxText = 2*20 + 2 + 2*62*tlog.HashSize*4/3 + 4

// UnmarshalText reads what MarshalText wrote, and nothing else.
func (r *Range) UnmarshalText(text []byte) error {
	if len(text) > maxText {
		return fmt.Errorf("%w range of leaves: %d bytes, at most %d", ErrMalformed, len(text), maxText)
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 3 {
		return fmt.Errorf("%w range of leaves: not begin, end and hashes: %q", ErrMalformed, text)
	}
	begin, err := parseSize(parts[0])
	if err != nil {
		return err
	}
	end, err := parseSize(parts[1])
	if err != nil {
		return err
	}
	if end < begin {
		return fmt.Errorf("%w range of leaves: ends at %d before it begins at %d", ErrMalformed, end, begin)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	all := levels(begin, end)
	if err != nil || len(raw) != len(all)*tlog.HashSize || strings.ContainsAny(parts[2], "\r\n") {
		return fmt.Errorf("%w range of leaves: %d to %d need %d hashes in base64", ErrMalformed, begin, end, len(all))
	}
	decoded := Range{begin: begin, end: end}
	for i, level := range all {
		decoded.nodes = append(decoded.nodes, node{hash: Hash(raw[i*tlog.HashSize:][:tlog.HashSize]), level: level})
	}
	*r = decoded
	return nil
}

// parseSize reads a number of leaves in its one decimal form.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxSize || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%w number of records: %q", ErrMalformed, s)
	}
	return n, nil
}
