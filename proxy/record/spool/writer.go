// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/doorward/doorward/proxy/record"
)

// keptBuffer bounds the group buffer that is used again.
const keptBuffer = 4 << 20

// write is the one goroutine that writes. While it syncs a group, the next one
// gathers in the queue.
func (l *Log) write() {
	defer close(l.done)
	var batch []*entry
	for {
		l.gather(len(batch))
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

// gather lets those whom the last group woke queue their next records, so that
// these share a sync instead of missing it and waiting for two. It yields as
// long as that brings records, and not at all after a single one; a timer
// would cost every lone writer its wait.
func (l *Log) gather(woken int) {
	if woken < 2 {
		return
	}
	for range woken {
		before := l.accepted.Load()
		runtime.Gosched()
		if l.accepted.Load() == before {
			return
		}
	}
}

// take waits for something to write and takes the whole queue. What it took
// before becomes the next queue. sign says that a checkpoint is due after it.
func (l *Log) take(before []*entry) (batch []*entry, sign, more bool) {
	clear(before)
	l.mu.Lock()
	for !l.urgent && !l.due && !l.sign && !l.closing && l.queued <= queueBytes/2 {
		l.mu.Unlock()
		<-l.wake
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	batch, sign = l.queue, l.sign
	l.final = l.ending
	l.queue, l.queued, l.urgent, l.due, l.sign = before[:0], 0, false, false, false
	if len(batch) == 0 {
		return batch, sign, !l.closing
	}
	l.announce()
	return batch, sign, true
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
	l.mu.Lock()
	err := l.failure
	l.mu.Unlock()
	if err == nil {
		if err = l.writeBatch(batch); err != nil {
			err = l.fail(err)
		}
	}
	if err == nil && len(batch) > 0 {
		l.durable.Store(batch[len(batch)-1].index + 1)
	}
	for _, e := range batch {
		if e.waited {
			e.done <- err
		} else {
			release(e)
		}
	}
	if err == nil && len(batch) > 0 {
		l.mu.Lock()
		if l.pace.uncovered {
			l.schedule(l.pace.soon)
		}
		for r := range l.readers {
			signal(r.notify)
		}
		l.mu.Unlock()
	}
}

func (l *Log) writeBatch(batch []*entry) error {
	l.buffer = l.buffer[:0]
	for _, e := range batch {
		if e.turn != nil {
			if err := l.flush(); err != nil {
				return err
			}
			if err := l.turn(e.turn, e.index); err != nil {
				return err
			}
		}
		start := len(l.buffer)
		l.buffer = append(l.buffer, make([]byte, frameHeader)...)
		l.buffer = record.AppendHead(l.buffer, l.prefix, e.index, l.tail, e.at)
		l.buffer = append(l.buffer, e.body...)
		if len(l.buffer)-start != e.size {
			return fmt.Errorf("internal error: record %d has %d bytes, planned were %d", e.index, len(l.buffer)-start, e.size)
		}
		l.tail = record.LeafHash(l.buffer[start+frameHeader:])
		l.growth.since.Append(l.tail)
		l.pace.see(e.mark.kind)
		sealFrame(l.buffer[start:], start == 0)
		l.ledger.apply(e.mark)
	}
	if err := l.flush(); err != nil {
		return err
	}
	if cap(l.buffer) > keptBuffer {
		l.buffer = nil
	}
	return nil
}

// flush writes the buffer to the active segment and syncs it.
func (l *Log) flush() error {
	if len(l.buffer) == 0 {
		return nil
	}
	n, err := l.active.file.WriteAt(l.buffer, l.active.used)
	if err == nil && n < len(l.buffer) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write failed: %q: %w", l.active.path, err)
	}
	if err := l.active.file.Datasync(); err != nil {
		return fmt.Errorf("sync failed: %q: %w", l.active.path, err)
	}
	l.active.used += int64(len(l.buffer))
	l.buffer = l.buffer[:0]
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
