// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// entry is a record on its way to disk.
type entry struct {
	body  []byte
	size  int // of its frame
	index int64
	at    time.Time
	mark  mark
	// turn is the segment the record is the first of, or nil.
	turn *segment
	// done gets the outcome where waited is true.
	done   chan error
	waited bool
}

// keptBody bounds the buffers that are used again.
const keptBody = 64 << 10

var entries = sync.Pool{New: func() any { return &entry{done: make(chan error, 1)} }}

func release(e *entry) {
	if cap(e.body) > keptBody {
		e.body = nil
	}
	*e = entry{body: e.body[:0], done: e.done}
	entries.Put(e)
}

// Append writes a record and returns when it is on disk. Where ctx ends first,
// the record may still be written, but what it stands for must not happen.
func (l *Log) Append(ctx context.Context, event record.Event) (record.Position, error) {
	e, err := l.enqueue(ctx, &event, manner{waited: true, reserve: l.reserveOf(event.Type)})
	if err != nil {
		return record.Position{}, err
	}
	p := pending{log: l, entry: e, remote: event.Durability == record.Remote}
	return p.Wait(ctx)
}

// pending is a record that has its place in the log but may not be on disk yet.
type pending struct {
	log   *Log
	entry *entry
	// remote says that a sink off this machine must acknowledge it too.
	remote bool
}

// Begin queues a record in order and returns while it is being written, so
// that work which needs no durable record can go on meanwhile. Only the nil
// error of Wait says that the record can no longer be lost.
func (l *Log) Begin(ctx context.Context, event record.Event) (record.Pending, error) {
	e, err := l.enqueue(ctx, &event, manner{waited: true, reserve: l.reserve()})
	if err != nil {
		return nil, err
	}
	return &pending{log: l, entry: e, remote: event.Durability == record.Remote}, nil
}

// Wait returns the record's position once it is on disk, and at a remote sink
// where the event asks for that.
func (p *pending) Wait(ctx context.Context) (record.Position, error) {
	e := p.entry
	select {
	case err := <-e.done:
		position := record.Position{LogID: p.log.identity.id, Index: e.index}
		release(e)
		if err == nil && p.remote {
			if err = p.log.options.AwaitRemote(ctx, position.Index); err != nil {
				err = fmt.Errorf("%w: %w", record.ErrUnsettled, err)
			}
		}
		if err != nil {
			return record.Position{}, err
		}
		return position, nil
	case <-ctx.Done():
		// The writer still has the entry, so it is not used again.
		return record.Position{}, fmt.Errorf("%w: %w", record.ErrUnsettled, context.Cause(ctx))
	}
}

// AppendLater queues a record that nothing waits for. It is written with the
// next group, at the latest after 20 ms and by Close. It has room of its own,
// so that results can be recorded when operations are already refused; it
// waits where too much is queued.
func (l *Log) AppendLater(event record.Event) error {
	_, err := l.enqueue(context.Background(), &event, manner{})
	return err
}

// reserveOf is the room that a record must leave. A proxy must be able to start
// on a full log, and to learn from its configuration which sinks there are:
// without them the log would stay full for ever. Half of the reserve remains for
// what is recorded of operations under way.
func (l *Log) reserveOf(t record.Type) int64 {
	switch t {
	case record.ProxyStart, record.SnapshotApplied, record.SnapshotRefused:
		return l.reserve() / 2
	default:
		return l.reserve()
	}
}

// reserve is the room that only AppendLater may use.
func (l *Log) reserve() int64 { return min(1<<20, l.options.SegmentBytes/4) }

// manner is how a record is queued.
type manner struct {
	// waited says that somebody waits until it is on disk.
	waited bool
	// reserve is the room that it must leave.
	reserve int64
	// internal says that it is the log's own, accepted also while it ends.
	internal bool
	// place, where not nil, makes the body once the record's index is known.
	place func(body []byte, index int64) ([]byte, error)
}

func (l *Log) enqueue(ctx context.Context, event *record.Event, m manner) (*entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("record not written: %w", context.Cause(ctx))
	}
	if m.waited && event.Durability == record.Remote && l.options.AwaitRemote == nil {
		return nil, fmt.Errorf("record not written: durability %q: no sink off this machine can acknowledge it here", record.Remote)
	}
	e, ok := entries.Get().(*entry)
	if !ok {
		return nil, errors.New("record not written: internal error: pool")
	}
	e.body = record.AppendBody(e.body[:0], event)
	e.mark = markOf(event)
	e.at = event.Time
	e.waited = m.waited

	l.mu.Lock()
	for {
		err := l.refusal()
		if err == nil && l.ending && !m.internal {
			err = ErrClosed
		}
		if err == nil && m.place != nil {
			e.body, err = m.place(e.body[:0], l.next)
		}
		if err != nil {
			l.mu.Unlock()
			release(e)
			return nil, err
		}
		e.size = frameHeader + record.HeadSize(l.prefix, l.next) + len(e.body)
		err = record.Check(e.size - frameHeader)
		if err == nil && int64(e.size) > l.options.SegmentBytes {
			err = fmt.Errorf("%w: %d bytes do not fit a segment of %d", record.ErrTooLarge, e.size, l.options.SegmentBytes)
		}
		if err == nil {
			err = l.place(e, m.reserve)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errNotYet) {
			l.mu.Unlock()
			release(e)
			return nil, err
		}
		changed := l.watch()
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			release(e)
			return nil, fmt.Errorf("record not written: %w", context.Cause(ctx))
		}
		l.mu.Lock()
	}
	if e.at.IsZero() {
		e.at = l.options.Now()
	}
	e.index = l.next
	l.next++
	l.accepted.Store(l.next)
	l.queue = append(l.queue, e)
	l.queued += e.size
	if m.waited {
		l.waiting++
	}
	wake := m.waited && l.waiting == l.enough || l.queued > queueBytes/2
	if m.waited && l.waiting == 1 && l.asleep && !wake {
		// After a rest there is no crowd to wait for.
		if l.late = time.Since(l.rested) > l.patience; !l.late {
			l.lateTimer.Reset(l.patience)
		}
		wake = l.late
	}
	if !m.waited && !l.armed {
		l.armed = true
		l.timer.Reset(laterDelay)
	}
	l.mu.Unlock()
	if wake {
		signal(l.wake)
	}
	return e, nil
}

// errNotYet says that there will be room, or the reason why not, soon.
var errNotYet = errors.New("no room yet")

// rest is the room that is allocated and not promised. The lock is held.
func (l *Log) rest() int64 {
	if l.spare != nil {
		return l.tailRoom + l.spare.size
	}
	return l.tailRoom
}

// place promises allocated room to an entry. The lock is held.
func (l *Log) place(e *entry, reserve int64) error {
	size := int64(e.size)
	if l.queued > 0 && l.queued+e.size > queueBytes {
		return errNotYet
	}
	left, turn := l.rest()-size, false
	if size > l.tailRoom {
		if l.spare == nil {
			left = -1
		} else {
			left, turn = l.spare.size-size, true
		}
	}
	if left < reserve {
		if l.spareErr != nil {
			l.full = true
			return l.spareErr
		}
		if left < 0 || l.spare == nil {
			return errNotYet
		}
	}
	if !turn {
		l.tailRoom -= size
		return nil
	}
	e.turn, l.tailRoom, l.spare = l.spare, l.spare.size-size, nil
	signal(l.keep)
	return nil
}
