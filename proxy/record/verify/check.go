// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/record/tree"
)

// maxBranches bounds how many histories of one log are followed at once.
const maxBranches = 8

// variant is one content found for an index.
type variant = step

// checker checks one log, record by record.
type checker struct {
	id      string
	report  *LogReport
	keys    *tree.Keys // nil where the first key is not known
	moved   mover
	trusted []trustedPoint

	branches []*branch
	forks    []fork
	// next is the index behind the last record seen.
	next int64
	// accepted is the last checkpoint that held, failed the last that did not.
	accepted, failed tree.Checkpoint
	// doubts are trusted checkpoints that the log did not agree with.
	doubts []doubt
	// bad are checkpoints and rotations whose signature does not hold.
	bad []Finding
	// misplaced is the number of records found out of order in their file.
	misplaced int
	// closed is the size of the last closing checkpoint that held.
	closed int64
	// believed is the size of the last trusted checkpoint that the log agrees with.
	believed int64
}

// fork is where one history became two.
type fork struct {
	index int64
	a, b  *lineage
}

// doubt is a trusted checkpoint with another root than the log has at its size.
type doubt struct {
	trustedPoint
	// since is the size up to which log and checkpoints agree, believed that up
	// to which it agrees with trusted ones.
	since, believed int64
}

// record adds what was found for the next index.
func (c *checker) record(variants []variant) {
	index := variants[0].index
	if len(c.branches) == 0 {
		c.report.First = index
		c.branches = []*branch{newBranch(index)}
		c.next = index
	}
	if index > c.next {
		c.gap(c.next, index-1)
	}
	c.next = index + 1
	c.report.Records = c.next
	if len(variants) == 1 && len(c.branches) == 1 {
		c.branches[0].extend(variants[0])
		return
	}
	c.parted(variants)
}

// gap passes over missing records; one history goes on behind them.
func (c *checker) gap(first, last int64) {
	c.find(Finding{
		Verdict: Missing, First: first, Last: last, Exact: true,
		Sentence: fmt.Sprintf("%s missing: there are records before and after", are(first, last)),
		Remedy:   "look for them in another sink and in the proxy's own log; where they are nowhere, they were deleted",
	})
	b := c.main()
	c.unresolved(b)
	c.branches = []*branch{b}
	b.skip(last + 1)
}

// parted extends several histories, or makes one several. One that nothing
// continues ends.
func (c *checker) parted(variants []variant) {
	next := make([]*branch, len(variants))
	children := map[*branch]int{}
	for i, v := range variants {
		next[i] = c.parent(v)
		children[next[i]]++
	}
	first := map[*branch]*lineage{}
	for i, v := range variants {
		parent := next[i]
		if children[parent] < 2 {
			continue
		}
		next[i] = parent.part(v.place)
		if first[parent] == nil {
			first[parent] = next[i].lineage
		} else if len(c.forks) < maxFindings {
			c.forks = append(c.forks, fork{index: v.index, a: first[parent], b: next[i].lineage})
		}
	}
	for i, v := range variants {
		next[i].extend(v)
	}
	c.branches = next[:min(len(next), maxBranches)]
}

// main is the history that is signed furthest.
func (c *checker) main() *branch {
	return slices.MaxFunc(c.branches, func(x, y *branch) int { return cmp.Compare(x.lineage.signed, y.lineage.signed) })
}

// parent is the history that a record continues: that whose last record it
// names, else the one that is signed furthest.
func (c *checker) parent(s step) *branch {
	for _, b := range c.branches {
		if b.follows(s) {
			return b
		}
	}
	return c.main()
}

// checkpoint checks one that covers all records so far. One that does not hold
// and is trusted is kept until it is known whether the log goes on otherwise.
func (c *checker) checkpoint(point *tree.Checkpoint, from *trustedPoint) {
	if len(c.branches) == 0 {
		return
	}
	same := func(other *tree.Checkpoint) bool {
		return point.Size == other.Size && point.Root == other.Root && point.Tail == other.Tail
	}
	if same(&c.accepted) {
		c.held(point, from)
		return
	}
	if same(&c.failed) || c.main().end == c.main().begin {
		return
	}
	for _, b := range c.branches {
		if t := b.try(point, nil); t.holds && len(t.wrong) == 0 {
			b.accept(point, t)
			c.count(point, from)
			return
		}
	}
	if point.Size == c.accepted.Size && from == nil {
		c.contradiction(point)
		return
	}
	for _, b := range c.branches {
		t := b.try(point, c.moved)
		if !t.holds || from != nil && b.rootless {
			continue
		}
		c.wrong(b, t)
		b.accept(point, t)
		c.count(point, from)
		return
	}
	if from != nil {
		c.doubts = append(c.doubts, doubt{trustedPoint: *from, since: c.main().good, believed: c.believed})
		return
	}
	c.rewritten(c.main(), point)
	c.failed = *point
}

// count takes down that a checkpoint holds that was not seen before.
func (c *checker) count(point *tree.Checkpoint, from *trustedPoint) {
	c.accepted = *point
	if from == nil {
		c.report.Checkpoints++
	}
	c.held(point, from)
}

// held takes down that a checkpoint holds.
func (c *checker) held(point *tree.Checkpoint, from *trustedPoint) {
	if from != nil {
		c.believed = max(c.believed, point.Size)
		c.report.Witnessed = c.report.Witnessed && point.Size < c.report.Trusted || from.Witnessed && point.Size >= c.report.Trusted
		c.report.Trusted = max(c.report.Trusted, point.Size)
	}
	if point.Closed {
		c.closed = point.Size
	}
	if at := point.Time; c.report.LastCheckpoint == nil || point.Size >= c.report.Consistent {
		c.report.LastCheckpoint = &at
	}
	c.report.Consistent = max(c.report.Consistent, point.Size)
}

// contradiction is a second tree of the same size, signed by the same log.
func (c *checker) contradiction(point *tree.Checkpoint) {
	c.find(Finding{
		Verdict: Forked, First: c.believed, Last: point.Size - 1,
		Sentence: fmt.Sprintf("the log's key has signed two different histories of the first %d records", point.Size),
		Remedy:   keyRemedy,
	})
}

const keyRemedy = "two processes wrote with the log's key, or it was stolen: keep both copies as evidence, move the log's directory away so that a new log begins, and find out who had the key"
