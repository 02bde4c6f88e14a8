// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// How the timer of the next checkpoint is set.
const (
	notSet = iota
	setUsual
	setPrompt
)

// schedule sees to it that a checkpoint is made in time. The lock is held.
func (l *Log) schedule(soon bool) {
	if l.options.quiet {
		return
	}
	switch {
	case soon && l.signSet < setPrompt:
		l.signSet = setPrompt
		l.signTimer.Reset(l.options.CheckpointDelay / 10)
	case l.signSet == notSet:
		l.signSet = setUsual
		l.signTimer.Reset(l.options.CheckpointDelay)
	}
}

// signDue is what the timer calls: the writer, which alone has the tree, makes
// the snapshot.
func (l *Log) signDue() {
	l.mu.Lock()
	l.signSet, l.sign = notSet, true
	l.mu.Unlock()
	signal(l.wake)
}

// hand gives the notary a snapshot of what is on disk. The writer calls it.
func (l *Log) hand() {
	l.mu.Lock()
	err, owed := l.failure, l.owed
	l.mu.Unlock()
	if !l.pace.uncovered && !owed && !l.final {
		// The timer fired while the last snapshot was made.
		return
	}
	if len(l.snapshots) > 0 {
		// The notary is waiting for room.
		l.mu.Lock()
		l.schedule(false)
		l.mu.Unlock()
		return
	}
	s := snapshot{final: l.final, err: err}
	if err == nil {
		if s.whole, s.since, err = l.growth.snapshot(); err != nil {
			s.err = l.fail(err)
		}
		s.tail, s.uncovered, s.stopped = l.tail, l.pace.uncovered, l.pace.stopped
		l.pace = pace{stopped: l.pace.stopped}
		l.mu.Lock()
		l.signTimer.Stop()
		l.signSet = notSet
		l.mu.Unlock()
	}
	l.snapshots <- s
}

// notarise is the goroutine that signs checkpoints, so that no session waits
// for a signature.
func (l *Log) notarise(ctx context.Context) {
	defer close(l.notarised)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-l.snapshots:
			if s.final {
				// Finish makes the last.
				l.witness.pass(&s.since)
				l.mu.Lock()
				l.owed = l.owed || s.uncovered
				l.mu.Unlock()
				continue
			}
			if err := l.certify(ctx, s, false); err != nil {
				l.mu.Lock()
				l.owed = true
				l.schedule(false)
				l.mu.Unlock()
			}
		}
	}
}

// certify signs a checkpoint of a snapshot, records it, and shows it to the
// witness. Where it is the last, it returns when the record is on disk.
func (l *Log) certify(ctx context.Context, s snapshot, last bool) error {
	if s.err != nil {
		return s.err
	}
	l.keyring.mu.Lock()
	defer l.keyring.mu.Unlock()
	root, err := s.whole.Root()
	if err != nil {
		return err
	}
	if s.whole.End() <= l.keyring.keys.Since() {
		// Made before the key was rotated: only the old key could sign it.
		l.witness.pass(&s.since)
		return errors.New("checkpoint came too late for its key")
	}
	c := tree.Checkpoint{
		Origin: tree.Origin(l.identity.id), Size: s.whole.End(), Root: root, Tail: s.tail,
		Time: l.options.Now().UTC(), Closed: last && s.stopped,
	}
	signed, err := c.Sign(l.keyring.signer)
	if err != nil {
		l.witness.pass(&s.since)
		return err
	}
	// What is on disk is on disk, so the witness may have this even where
	// there is no room to record it.
	l.witness.add(&s.since, c, signed)
	event := record.Event{Type: record.Checkpoint, Checkpoint: &record.CheckpointNote{Size: c.Size, Note: signed, Key: l.keyring.keys.Current()}}
	e, err := l.enqueue(ctx, &event, manner{waited: last, internal: true})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.owed = false
	l.mu.Unlock()
	if !last {
		return nil
	}
	p := pending{log: l, entry: e}
	_, err = p.Wait(ctx)
	return err
}

// Finish writes the checkpoint that covers all records; where the last is
// ProxyStop, it says that the log was closed in order. Nothing is accepted any
// more, but what is there can be read until Close, so that sinks and the
// witness get it. Where there is nothing to cover, it writes nothing.
func (l *Log) Finish(ctx context.Context) error {
	l.mu.Lock()
	first := !l.ending
	l.ending = true
	l.announce()
	l.mu.Unlock()
	if !first {
		select {
		case <-l.finished:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer close(l.finished)
	l.stopNotary()
	<-l.notarised
	if l.options.quiet {
		return nil
	}
	var s snapshot
	uncovered := false
	for !s.final && s.err == nil {
		l.witness.pass(&s.since)
		l.mu.Lock()
		l.sign = true
		l.mu.Unlock()
		signal(l.wake)
		s = <-l.snapshots
		uncovered = uncovered || s.uncovered
	}
	l.mu.Lock()
	owed := l.owed
	l.mu.Unlock()
	if s.err != nil || !uncovered && !s.stopped && !owed {
		l.witness.pass(&s.since)
		return nil // Close says why a log is broken
	}
	if err := l.certify(ctx, s, true); err != nil {
		return fmt.Errorf("no checkpoint covers the end of the record log: directory %q: %w", l.options.Dir, err)
	}
	return nil
}
