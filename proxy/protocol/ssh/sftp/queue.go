// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"context"
)

// owed is a request whose answer the client waits for.
type owed struct {
	id   uint32
	kind byte
	// extension is that of the request where kind is typeExtended.
	extension int
	// own says that the relay asks.
	own bool
	// here is the relay's own answer, which waits until it is its turn; nil where the
	// target answers.
	here []byte
	// permit is that of an operation that is done with the answer; nil where the request is
	// part of the operation of its file.
	permit Permit
	// file is the one that the request is about, or that an OPEN makes.
	file *file
	// other is the second file of copy-data.
	other *file
	// offset and length are those of a READ or WRITE.
	offset uint64
	length uint32
	// renames says that the request may change where paths lead.
	renames bool

	before, after *owed
}

// queue holds what is owed, in the client's order. The session's mu guards it.
type queue struct {
	byID        map[uint32]*owed
	first, last *owed
	count       int
	renames     int
	free        *owed
	// waits is Config.Waits, and silent what it was told last. Deciding says that a request
	// is being decided, or was and is not owed yet.
	waits            func(forClient bool)
	silent, deciding bool
}

// tell tells whose silence it is, where that is no longer what it was.
func (q *queue) tell() {
	if silent := q.count == 0 && !q.deciding; silent != q.silent {
		if q.silent = silent; q.waits != nil {
			q.waits(silent)
		}
	}
}

// take returns an empty entry.
func (q *queue) take() *owed {
	o := q.free
	if o == nil {
		return &owed{}
	}
	q.free = o.after
	*o = owed{}
	return o
}

// push adds an entry at the end. Its id is not in use.
func (q *queue) push(o *owed) {
	o.before, o.after = q.last, nil
	if q.last == nil {
		q.first = o
	} else {
		q.last.after = o
	}
	q.last = o
	q.byID[o.id] = o
	q.count++
	q.tell()
	if o.renames {
		q.renames++
	}
}

// remove takes an entry out, for use again: nothing may refer to it once it is taken.
func (q *queue) remove(o *owed) {
	if o.before == nil {
		q.first = o.after
	} else {
		o.before.after = o.after
	}
	if o.after == nil {
		q.last = o.before
	} else {
		o.after.before = o.before
	}
	delete(q.byID, o.id)
	q.count--
	q.tell()
	if o.renames {
		q.renames--
	}
	o.before, o.after = nil, nil
}

// recycle gives an entry back that was removed.
func (q *queue) recycle(o *owed) {
	*o = owed{after: q.free}
	q.free = o
}

// wake wakes the requests pump where it waits for answers.
func (s *session) wake() {
	if !s.waits.Load() {
		return
	}
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// await waits until ready, which is asked under mu, says yes. Only the requests pump calls it.
func (s *session) await(ctx context.Context, ready func() bool) error {
	for {
		s.mu.Lock()
		is := ready()
		s.waits.Store(!is)
		s.mu.Unlock()
		if is {
			return nil
		}
		if err := s.fromClient.flush(); err != nil {
			return err
		}
		select {
		case <-s.woken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// owe adds an entry, where need be after waiting until there is room. Note, which may be
// nil, is called with mu held before anything of it can be answered.
func (s *session) owe(ctx context.Context, o *owed, note func()) error {
	s.mu.Lock()
	pushed := s.push(o, note)
	s.mu.Unlock()
	if pushed {
		return nil
	}
	return s.await(ctx, func() bool { return s.push(o, note) })
}

// push adds an entry where there is room. mu is held.
func (s *session) push(o *owed, note func()) bool {
	if s.owed.count >= s.config.MaxOutstanding {
		return false
	}
	s.owed.push(o)
	if o.file != nil {
		o.file.busy++
	}
	if o.other != nil {
		o.other.busy++
	}
	if note != nil {
		note()
	}
	return true
}

// answer answers a request here, in its turn.
func (s *session) answer(ctx context.Context, id uint32, code Status, message string) error {
	s.mu.Lock()
	o := s.owed.take()
	s.mu.Unlock()
	o.id, o.here = id, statusPacket(id, code, message)
	if err := s.owe(ctx, o, nil); err != nil {
		return err
	}
	s.mu.Lock()
	isFirst := s.owed.first == o
	if isFirst {
		s.owed.remove(o)
	}
	s.mu.Unlock()
	if !isFirst {
		return nil // the answers pump sends it when all before it are answered
	}
	// Nothing else is owed, so at most the end of an answer is being written.
	s.out.Lock()
	defer s.out.Unlock()
	return writeAll(s.client, o.here)
}
