// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// write is the one goroutine that writes. While it syncs a group, the next one
// gathers in the queue.
func (l *Log) write() {
	defer close(l.done)
	var batch []*entry
	for {
		var sign, more bool
		if batch, sign, more = l.take(batch); !more {
			return
		}
		l.commit(batch)
		if sign {
			l.hand()
		}
	}
}

// take waits for something to write and takes the whole queue. What it took
// before becomes the next queue. sign says that a checkpoint is due after it.
func (l *Log) take(before []*entry) (batch []*entry, sign, more bool) {
	clear(before)
	l.mu.Lock()
	for !l.ready() {
		if l.waiting > 0 {
			l.lateTimer.Reset(l.patience)
		}
		l.asleep = true
		l.mu.Unlock()
		<-l.wake
		l.mu.Lock()
		l.asleep = false
	}
	if l.waiting > 1 {
		l.mu.Unlock()
		l.gather()
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	batch, sign = l.queue, l.sign
	l.final = l.ending
	l.queue, l.queued, l.waiting, l.late, l.due, l.sign = before[:0], 0, 0, false, false, false
	if len(batch) == 0 {
		return batch, sign, !l.closing
	}
	l.announce()
	return batch, sign, true
}

// gather lets those who are about to queue records do so, as long as that
// brings some.
func (l *Log) gather() {
	for before := int64(-1); l.accepted.Load() != before; {
		before = l.accepted.Load()
		runtime.Gosched()
	}
}

// ready says whether the queue should be written now. The lock is held.
func (l *Log) ready() bool {
	return l.waiting >= l.enough || l.late && l.waiting > 0 || l.due || l.sign || l.closing || l.queued > queueBytes/2
}

// waitedEnough is what the timer of the first of a group calls.
func (l *Log) waitedEnough() {
	l.mu.Lock()
	l.late = l.waiting > 0
	late := l.late
	l.mu.Unlock()
	if late {
		signal(l.wake)
	}
}

// laterDue is what the timer calls.
func (l *Log) laterDue() {
	l.mu.Lock()
	l.armed = false
	l.due = len(l.queue) > 0
	due := l.due
	l.mu.Unlock()
	if due {
		signal(l.wake)
	}
}

// commit puts a batch on disk and tells those who wait.
func (l *Log) commit(batch []*entry) {
	began := time.Now()
	l.mu.Lock()
	err := l.failure
	l.mu.Unlock()
	if err == nil {
		if err = l.writeBatch(batch); err != nil {
			err = l.fail(err)
		}
	}
	enough, took := l.crowd.next(), time.Since(began)
	for _, e := range batch {
		if e.waited {
			e.done <- err
		} else {
			release(e)
		}
	}
	if len(batch) == 0 {
		return
	}
	if l.options.Committed != nil && err == nil {
		l.options.Committed(len(batch), took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enough, l.patience, l.rested = enough, l.crowd.patience(took), began.Add(took)
	if err != nil {
		return
	}
	if l.pace.uncovered {
		l.schedule(l.pace.soon)
	}
	for r := range l.readers {
		signal(r.notify)
	}
}

// writeBatch writes a batch, in one group for each segment.
func (l *Log) writeBatch(batch []*entry) error {
	for len(batch) > 0 {
		if next := batch[0].turn; next != nil {
			if err := l.turn(next, batch[0].index); err != nil {
				return err
			}
		}
		n, size := 0, 0
		for ; n < len(batch) && (n == 0 || batch[n].turn == nil); n++ {
			size += batch[n].size
		}
		if err := l.writeGroup(batch[:n], size); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// writeGroup writes records of the given size, frames included, that are for
// the active segment.
func (l *Log) writeGroup(group []*entry, size int) error {
	if !l.chunk.fits(l.active, size) {
		var before []byte
		if l.chunk.path == l.active.path {
			before = l.chunk.lastBlock(l.active.block)
		}
		l.chunk = newChunk(l.active, before, size)
	}
	data := l.chunk.data
	begin := len(data)
	l.ends = l.ends[:0]
	for _, e := range group {
		start := len(data)
		data = append(data, noFrame[:]...)
		data = record.AppendHead(data, l.prefix, e.index, l.tail, e.at)
		data = append(data, e.body...)
		if len(data)-start != e.size {
			return fmt.Errorf("internal error: record %d has %d bytes, planned were %d", e.index, len(data)-start, e.size)
		}
		// The frame's header is filled in last; until then it ends in a LeafPrefix.
		l.tail = record.PrefixedLeafHash(data[start+frameHeader-1:])
		l.growth.since.Append(l.tail)
		l.pace.see(e.mark.kind)
		sealFrame(data[start:], start == begin)
		l.ledger.apply(e.mark)
		if e.waited {
			l.crowd.see(l.ledger[e.mark.session])
		}
		l.ends = append(l.ends, len(data))
	}
	l.chunk.data = data
	if err := l.flush(begin); err != nil {
		return err
	}
	first := group[0].index
	l.durable.Store(first + int64(len(group)))
	l.recent.publish(l.chunk, first, begin, l.ends)
	return nil
}

// noFrame is the header of a frame that is not filled in. Its last byte stands
// before the record.
var noFrame = [frameHeader]byte{frameHeader - 1: record.LeafPrefix}

// flush writes the chunk from an offset on to the active segment and syncs it.
func (l *Log) flush(begin int) error {
	c, s := l.chunk, l.active
	begin = begin / s.block * s.block
	// What follows the last record in its block are zeros.
	data := c.data[begin:roundUp(len(c.data), s.block)]
	n, err := s.file.WriteAt(data, c.base+int64(begin))
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write failed: %q: %w", s.path, err)
	}
	if err := s.file.Datasync(); err != nil {
		return fmt.Errorf("sync failed: %q: %w", s.path, err)
	}
	s.used = c.base + int64(len(c.data))
	return nil
}

// sealing is what remains to do after a turn to a new segment.
type sealing struct {
	old *segment
	// first and open are the new segment's first index and what is under way there.
	first int64
	open  []underWay
	// branch is the tree there.
	branch branch
}

// turn makes next the active segment, which begins with record first.
func (l *Log) turn(next *segment, first int64) error {
	path := segmentPath(l.options.Dir, first)
	if err := l.options.Disk.Publish(next.path, path); err != nil {
		return fmt.Errorf("cannot begin a segment: %q: %w", path, err)
	}
	branch, err := l.growth.turn()
	if err != nil {
		return err
	}
	old := l.active
	l.active = next
	open := l.ledger.list()
	l.mu.Lock()
	next.path, next.first = path, first
	if _, err := l.beginWriting(next); err != nil {
		l.mu.Unlock()
		return err
	}
	l.segments = append(l.segments, next)
	l.sealed = append(l.sealed, sealing{old: old, first: first, open: open, branch: branch})
	l.mu.Unlock()
	signal(l.keep)
	return nil
}

// closeSegment cuts what is left of a segment that is written no more.
func closeSegment(s *segment) error {
	return errors.Join(s.file.Truncate(s.used), s.file.Close())
}
