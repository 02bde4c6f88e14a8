// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"slices"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// maxSteps bounds the changes between two checkpoints that are named one by one.
const maxSteps = 1 << 12

// branch is one history of a log, record by record. Most logs have one.
//
// The leaves before end are in tree, but for the last, which is known for sure
// only when the record behind it or a checkpoint says its hash. Where that does
// not match, an island begins: the records at the break are kept, and of those
// behind them the subtrees, until the next checkpoint. Its signed tail leads
// back along the chain to the hashes that the records of the islands must have;
// the signed root proves them.
type branch struct {
	lineage *lineage
	// begin is where the records begin that hang together, end is behind the last.
	begin, end int64
	last       step
	// sealed says that tree has all leaves before end: a checkpoint proved them.
	sealed bool
	// rootless says that leaves are missing, so that there is no root; the
	// chain and the signed tails remain.
	rootless bool
	tree     tree.Range
	// good is the size of the last checkpoint that holds, begin where there is none.
	good int64

	islands []island
	// broken is the last index at which the chain is broken, -1 where it is whole.
	broken int64
	// lost says that there were too many breaks to keep.
	lost bool
}

// island is where the chain is broken.
type island struct {
	// steps are the records from the first break to the one behind the last.
	steps []step
	// after has the records behind them, up to the next island or the end but
	// for the last one; run is the hash of the last in it.
	after tree.Range
	run   record.Hash
}

func (i *island) last() step { return i.steps[len(i.steps)-1] }

// step is a record of a branch.
type step struct {
	index          int64
	hash, previous record.Hash
	place          place
}

// lineage tells how far a branch is signed, and where it left another.
type lineage struct {
	signed int64
	parent *lineage
	parted int64
	// from is the place of the first record of its own.
	from place
}

// sign takes down that records up to size are signed on this branch.
func (l *lineage) sign(size int64) {
	for ; l != nil; l = l.parent {
		l.signed = max(l.signed, size)
		size = min(size, l.parted)
	}
}

func newBranch(begin int64) *branch {
	b := &branch{lineage: &lineage{}, begin: begin, end: begin, good: begin, sealed: true, rootless: begin > 0, broken: -1}
	b.tree = tree.NewRange(begin)
	return b
}

// part returns a copy that goes its own way from end on.
func (b *branch) part(from place) *branch {
	c := *b
	c.lineage = &lineage{parent: b.lineage, parted: b.end, signed: min(b.lineage.signed, b.end), from: from}
	c.tree, c.islands = b.tree.Clone(), slices.Clone(b.islands)
	for i := range c.islands {
		c.islands[i].steps, c.islands[i].after = slices.Clone(c.islands[i].steps), c.islands[i].after.Clone()
	}
	return &c
}

// skip passes over records that are missing.
func (b *branch) skip(to int64) {
	b.begin, b.end, b.good, b.sealed, b.rootless = to, to, to, true, true
	b.mend()
}

// mend forgets the breaks.
func (b *branch) mend() { b.islands, b.broken, b.lost = nil, -1, false }

// extend adds the next record.
func (b *branch) extend(s step) {
	switch {
	case b.sealed:
		// What comes before is proven; where this record does not follow it,
		// this one is wrong.
		b.sealed = false
		if b.end > b.begin && b.end == b.good && !b.follows(s) {
			b.islands = []island{{steps: []step{s}, after: tree.NewRange(s.index + 1)}}
			b.broken = s.index
		}
	case b.follows(s):
		b.settle()
	default:
		b.open(s)
	}
	b.last, b.end = s, s.index+1
}

func (b *branch) follows(s step) bool { return s.previous == b.last.hash }

// settle adds the last leaf, which the record behind it confirms.
func (b *branch) settle() {
	switch n := len(b.islands); {
	case b.lost || n == 0 && b.rootless:
	case n == 0:
		b.tree.Append(b.last.hash)
	case b.islands[n-1].last().index < b.last.index:
		b.islands[n-1].after.Append(b.last.hash)
		b.islands[n-1].run = b.last.hash
	}
}

// open takes down that a record does not follow the one before it.
func (b *branch) open(s step) {
	b.broken = b.last.index
	if b.lost {
		return
	}
	b.islands = reach(b.islands, b.last)
	i := &b.islands[len(b.islands)-1]
	i.steps, i.after = append(i.steps, s), tree.NewRange(s.index+1)
	steps := 0
	for j := range b.islands {
		steps += len(b.islands[j].steps)
	}
	if steps > maxSteps {
		b.islands, b.lost = nil, true
	}
}

// reach returns islands of which the last one reaches to a record.
func reach(islands []island, last step) []island {
	if n := len(islands); n > 0 && islands[n-1].last().index == last.index {
		return islands
	}
	return append(islands, island{steps: []step{last}, after: tree.NewRange(last.index + 1)})
}

// repaired is a record of an island with the hash it must have.
type repaired struct {
	step
	want record.Hash
	// at is where the record of that hash stands instead, -1 where it does not.
	at int64
}

// trial is what a checkpoint says of a branch that ends at its size.
type trial struct {
	holds bool
	// wrong are the records that are not what they must be. Where
	// open, records before them may be wrong too.
	wrong []repaired
	open  bool
	tree  tree.Range
}

// try checks a checkpoint of size end without changing the branch. moved finds
// a record by the hash it must have among those of the islands.
func (b *branch) try(c *tree.Checkpoint, moved mover) trial {
	if b.end == b.begin {
		return trial{} // no record since what is missing
	}
	if b.sealed {
		return trial{holds: c.Tail == b.last.hash && b.rooted(&b.tree, c), tree: b.tree.Clone()}
	}
	if b.broken < 0 && c.Tail == b.last.hash {
		t := b.tree.Clone()
		if !b.rootless {
			t.Append(c.Tail)
		}
		return trial{holds: b.rooted(&t, c), tree: t}
	}
	if b.lost || b.rootless && c.Tail != b.last.hash {
		// Without a root, one changed record at the end looks as a whole
		// rewritten chain does.
		return trial{}
	}
	islands := slices.Clone(b.islands)
	if n := len(islands); c.Tail != b.last.hash {
		islands = reach(islands, b.last)
	} else if last := &islands[n-1]; last.last().index < b.last.index {
		last.after, last.run = last.after.Clone(), c.Tail
		last.after.Append(c.Tail)
	}
	attempt := repair{branch: b, checkpoint: c, islands: islands, moved: moved, steps: 4 * maxSteps, roots: 64, moves: 64}
	return attempt.run()
}

// rooted says whether a tree has the root that a checkpoint signs; a branch
// without root relies on the chain, which the caller has checked.
func (b *branch) rooted(t *tree.Range, c *tree.Checkpoint) bool {
	if b.rootless {
		return true
	}
	root, err := t.Root()
	return err == nil && root == c.Root && t.End() == c.Size
}

// accept makes the outcome of a trial that holds the branch's state.
func (b *branch) accept(c *tree.Checkpoint, t trial) {
	b.tree, b.good, b.sealed = t.tree, c.Size, true
	b.last.hash = c.Tail
	b.mend()
	b.lineage.sign(c.Size)
}

// giveUp goes on behind a checkpoint that does not hold: what comes before can
// no longer be told, what follows hangs on the chain.
func (b *branch) giveUp() {
	b.begin, b.rootless, b.good, b.sealed = b.end, true, b.end, true
	b.mend()
}
