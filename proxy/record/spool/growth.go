// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// growth is the tree of the log's records as the writer has it. Each record is
// added to one range only; the others get that one's subtrees when a segment
// or a checkpoint needs them.
type growth struct {
	// since is what was added after the last settle.
	since tree.Range
	// whole begins at 0, segment with the active segment, covered with the
	// records after the last snapshot. All end where since begins.
	whole, segment, covered tree.Range
}

// settle has all ranges end with the last record.
func (g *growth) settle() error {
	for _, r := range []*tree.Range{&g.whole, &g.segment, &g.covered} {
		if err := r.Merge(&g.since); err != nil {
			return err
		}
	}
	g.since.Reset(g.since.End())
	return nil
}

// branch is the tree where a segment begins: that of all records before it,
// and that of those in the segment before it.
type branch struct {
	before, last tree.Range
}

// turn begins a segment.
func (g *growth) turn() (branch, error) {
	if err := g.settle(); err != nil {
		return branch{}, err
	}
	b := branch{before: g.whole.Clone(), last: g.segment.Clone()}
	g.segment.Reset(g.segment.End())
	return b, nil
}

// snapshot is the log at a moment when all it covers is on disk.
type snapshot struct {
	// whole is the tree of all records, since that of those after the snapshot before.
	whole, since tree.Range
	tail         record.Hash
	// uncovered says that there are records that no checkpoint covers; stopped
	// that the last of them is that the proxy stopped.
	uncovered, stopped bool
	// final says that nothing but checkpoints can follow.
	final bool
	err   error
}

func (g *growth) snapshot() (whole, since tree.Range, err error) {
	if err := g.settle(); err != nil {
		return whole, since, err
	}
	whole, since = g.whole.Clone(), g.covered.Clone()
	g.covered.Reset(g.covered.End())
	return whole, since, nil
}

// pace is what the writer knows of records that no checkpoint covers.
type pace struct {
	uncovered, stopped bool
	// soon says that they should be covered before long.
	soon bool
}

func (p *pace) see(kind record.Type) {
	switch kind {
	case record.Checkpoint:
		return
	case record.SessionEnd, record.Recovery, record.KeyRotated:
		p.soon = true
	default: // within the second
	}
	p.uncovered = true
	p.stopped = kind == record.ProxyStop
}
