// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// mover finds, among records at wrong places, the one that must stand at an
// index with a hash; it returns where it stands and the hash of the record
// before it.
type mover func(span []step, index int64, want record.Hash) (at int64, previous record.Hash, found bool)

// repair finds the hashes that the records of a span must have. It walks the
// chain back from the checkpoint's tail. Behind a record that is as it must be,
// the chain is proven. Behind one that is not, its word for the hash before it
// may have been changed too, so that both it and the record that stands there
// are tried; the signed root decides.
type repair struct {
	branch     *branch
	checkpoint *tree.Checkpoint
	span       []step
	suffix     *tree.Range
	moved      mover
	// steps, roots and moves bound the work.
	steps, roots, moves int
	wrong               []repaired
	hashes              []record.Hash // from the span's last record on back
}

func (r *repair) run(broken int64) trial {
	// From the tail back to the last break, the records are proven.
	first := r.span[0].index
	want := r.checkpoint.Tail
	if broken < r.branch.last.index {
		want = r.span[broken-first+1].previous
	}
	return r.walk(broken, want)
}

// walk decides the records from index on back, of which want is the hash.
func (r *repair) walk(index int64, want record.Hash) trial {
	first := r.span[0].index
	if index < first {
		return r.finish()
	}
	if r.steps--; r.steps < 0 || r.roots <= 0 {
		return trial{}
	}
	s := r.span[index-first]
	r.hashes = append(r.hashes, want)
	defer func() { r.hashes = r.hashes[:len(r.hashes)-1] }()
	if s.hash == want {
		return r.walk(index-1, s.previous)
	}
	at, previous, found := int64(-1), record.Hash{}, false
	if r.moves--; r.moved != nil && r.moves >= 0 {
		if at, previous, found = r.moved(r.span, index, want); !found {
			at = -1
		}
	}
	r.wrong = append(r.wrong, repaired{step: s, want: want, at: at})
	defer func() { r.wrong = r.wrong[:len(r.wrong)-1] }()
	if found {
		return r.walk(index-1, previous)
	}
	if t := r.walk(index-1, s.previous); t.holds {
		return t
	}
	if before := r.before(index); before != s.previous {
		return r.walk(index-1, before)
	}
	return trial{}
}

// before is the hash of the record that stands before an index of the span.
func (r *repair) before(index int64) record.Hash {
	first := r.span[0].index
	if index > first {
		return r.span[index-first-1].hash
	}
	return r.span[0].previous
}

// finish checks the whole against the root.
func (r *repair) finish() trial {
	t := trial{wrong: slices.Clone(r.wrong)}
	slices.Reverse(t.wrong)
	r.roots--
	if r.branch.rootless {
		t.holds, t.tree = true, r.branch.tree.Clone()
		t.open = slices.ContainsFunc(t.wrong, func(w repaired) bool { return w.at < 0 })
		return t
	}
	t.tree = r.branch.tree.Clone()
	for _, hash := range slices.Backward(r.hashes) {
		t.tree.Append(hash)
	}
	if err := t.tree.Merge(r.suffix); err != nil {
		return trial{}
	}
	t.holds = r.branch.rooted(&t.tree, r.checkpoint)
	return t
}
