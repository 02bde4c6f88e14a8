// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// mover finds, among records at wrong places, the one that must stand where
// another does, with a hash; it returns where it stands and the hash of the
// record before it.
type mover func(suspects []step, here step, want record.Hash) (at int64, previous record.Hash, found bool)

// repair finds the hashes that the records of islands must have. It walks the
// chain back from the checkpoint's tail. Behind a record that is as it must be,
// the chain is proven. Behind one that is not, its word for the hash before it
// may have been changed too, so that both it and the record that stands there
// are tried; the signed root decides.
type repair struct {
	branch     *branch
	checkpoint *tree.Checkpoint
	islands    []island
	moved      mover
	// steps, roots and moves bound the work.
	steps, roots, moves int
	suspects            []step
	wrong               []repaired
	hashes              []record.Hash // from the last step on back
}

func (r *repair) run() trial {
	for _, i := range r.islands {
		r.suspects = append(r.suspects, i.steps...)
	}
	n := len(r.islands) - 1
	last := r.islands[n].last()
	want := last.hash // the chain leads here from the tail
	if last.index == r.branch.last.index {
		want = r.checkpoint.Tail
	}
	return r.walk(n, len(r.islands[n].steps)-1, want)
}

// walk decides the steps from number j of island n on back, of which want is
// the hash.
func (r *repair) walk(n, j int, want record.Hash) trial {
	r.steps--
	if r.steps < 0 || r.roots <= 0 {
		return trial{}
	}
	if j < 0 {
		if n == 0 {
			return r.finish()
		}
		// The chain is whole between two islands.
		before := &r.islands[n-1]
		if want != before.run {
			return trial{}
		}
		return r.walk(n-1, len(before.steps)-1, before.last().hash)
	}
	s := r.islands[n].steps[j]
	r.hashes = append(r.hashes, want)
	defer func() { r.hashes = r.hashes[:len(r.hashes)-1] }()
	if s.hash == want {
		return r.walk(n, j-1, s.previous)
	}
	at, previous, found := int64(-1), record.Hash{}, false
	r.moves--
	if r.moved != nil && r.moves >= 0 {
		if at, previous, found = r.moved(r.suspects, s, want); !found {
			at = -1
		}
	}
	r.wrong = append(r.wrong, repaired{step: s, want: want, at: at})
	defer func() { r.wrong = r.wrong[:len(r.wrong)-1] }()
	if found {
		return r.walk(n, j-1, previous)
	}
	if t := r.walk(n, j-1, s.previous); t.holds {
		return t
	}
	if j > 0 && r.islands[n].steps[j-1].hash != s.previous {
		return r.walk(n, j-1, r.islands[n].steps[j-1].hash)
	}
	return trial{}
}

// finish checks the whole against the root.
func (r *repair) finish() trial {
	t := trial{wrong: slices.Clone(r.wrong)}
	slices.Reverse(t.wrong)
	r.roots--
	t.tree = r.branch.tree.Clone()
	if r.branch.rootless {
		t.holds = true
		t.open = slices.ContainsFunc(t.wrong, func(w repaired) bool { return w.at < 0 })
		return t
	}
	at := len(r.hashes)
	for i := range r.islands {
		for range r.islands[i].steps {
			at--
			t.tree.Append(r.hashes[at])
		}
		if err := t.tree.Merge(&r.islands[i].after); err != nil {
			return trial{}
		}
	}
	t.holds = r.branch.rooted(&t.tree, r.checkpoint)
	return t
}
