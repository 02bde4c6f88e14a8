// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// Bounds on what one session may hold, so that no client grows the proxy.
const (
	maxPrepared = 5000
	maxPortals  = 5000
	maxTemp     = 10_000
	// maxQueued bounds the messages whose answers are owed: beyond it the
	// client is not read until the target has caught up.
	maxQueued = 10_000
)

// awaited is the kind of message whose answer the target owes.
type awaited byte

const (
	awaitQuery awaited = iota
	awaitParse
	awaitBind
	awaitDescribeStatement
	awaitDescribePortal
	awaitExecute
	awaitClose
	awaitSync
	// awaitInquiry is a question of the proxy's own.
	awaitInquiry
	// awaitFailure is the message that must fail in a refused one's place.
	awaitFailure
	// awaitPoison is the message that must fail so that the transaction does.
	awaitPoison
)

// expected is one message whose answer the target owes.
type expected struct {
	kind    awaited
	segment uint64
	// operations are what a Query or an Execute runs, in order; next is the
	// first that has not been answered.
	operations []*operation
	next       int
	one        [1]*operation // the room of a single one
	// changes are what the answer settles, by operation for a Query.
	changes [][]*change
	portal  *portal
	// name is that of the portal that a Bind makes or a Close is for.
	name string
	// internal answers were asked by the proxy and are kept from the client;
	// keep says that a row description is kept for masking.
	internal, keep bool
	refusal        *access.Refusal
	inquiry        *inquiry
	// failed says that the target reported an error for a Query.
	failed bool
	// simple says that the client asked with a Query.
	simple bool

	// waited says that nothing is forwarded before the answer. broken says that
	// the answer was broken off, canceled is closed once the target has been asked
	// to cancel; targetFailed says that it reported an error since.
	waited, broken, targetFailed bool
	canceled                     chan struct{}
}

// prepared is a prepared statement, as the target will know it if everything
// up to its segment goes well. A nil statement is an empty text; gone stands
// for a name that was closed.
type prepared struct {
	name string
	text string
	// parsed is what the text means under a catalog and a generation of the
	// session's own relations; it belongs to the requests pump.
	parsed     *statement
	catalog    *catalog.Catalog
	pathKey    string
	generation int
	gone       bool
	// types are those of users that Parse has declared parameters as.
	types declaredTypes
	// inner says that the text is the PREPARE that holds the statement.
	inner   bool
	segment uint64
	// settled says that the target has confirmed it, or that it was undone.
	settled bool
}

// portal is a statement with parameters, ready to run; or a cursor.
type portal struct {
	source  *prepared
	segment uint64
	settled bool

	// pathKey is the search path that it was bound under.
	pathKey string
	// moving is how often names had been moved when it was bound.
	moving uint64

	parameters int
	digest     string
	// values are the raw parameters, kept to be shown to an approver; empty where
	// they are too large.
	values string

	// inner is the prepared statement that an EXECUTE led to when this was
	// bound; nil for every other statement.
	inner *prepared

	// bind is the Bind that made it, describe the first Describe of it: one piece of
	// memory with it.
	bind, describe expected

	// described says that a Describe of it was sent whose answer is kept.
	described bool
	// columns are what the target said of its rows; nil before it has.
	columns *columns
}

// change is one change of the prepared statements that a message makes. It is
// in force for what follows in the same segment, since nothing of it runs
// where the change fails, and is undone with it.
type change struct {
	name          string
	before, after *prepared
	// all is DEALLOCATE ALL: the whole map before it.
	all     map[string]*prepared
	settled bool
	segment uint64
}

// apply makes a change. The session's mu is held.
func (s *session) apply(c *change) {
	c.segment = s.segment
	if c.all != nil {
		c.all = maps.Clone(s.prepared)
		s.reset = c
		for name := range s.prepared {
			if name != "" {
				delete(s.prepared, name)
			}
		}
		return
	}
	c.after.segment = s.segment
	// A failed Parse leaves no unnamed statement behind, whatever was there.
	if c.name != "" {
		c.before = s.prepared[c.name]
	}
	s.prepared[c.name] = c.after
}

// settle confirms a change. The session's mu is held.
func (s *session) settle(c *change) {
	c.settled = true
	if c.all != nil {
		return
	}
	c.after.settled = true
	if c.after.gone && s.prepared[c.name] == c.after {
		delete(s.prepared, c.name)
	}
}

// undo takes a change back. Changes of one segment are undone last first. The
// session's mu is held.
func (s *session) undo(c *change) {
	c.settled = true
	if c.all != nil {
		s.prepared = c.all
		return
	}
	c.after.settled = true
	if s.prepared[c.name] != c.after {
		return
	}
	if c.before == nil {
		delete(s.prepared, c.name)
	} else {
		s.prepared[c.name] = c.before
	}
}

// forwarded is the text of a Query as it goes to the target.
func (e *expected) forwarded(text string) string {
	if !slices.ContainsFunc(e.operations, func(op *operation) bool { return op.statement.Effects.Forward != "" }) {
		return text
	}
	return rewritten(text, e.operations)
}

// push notes that an answer is owed, right before its message is forwarded. It
// is false where the target skips everything up to the next Sync, so that the
// message would have no answer and need not be forwarded.
func (s *session) push(e *expected) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owe(e)
}

// pushSync notes that the end of a segment is owed.
func (s *session) pushSync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.spare
	if e == nil {
		e = &expected{}
	}
	s.spare = nil
	*e = expected{kind: awaitSync}
	s.owe(e)
}

// owe is push with the session's mu held.
func (s *session) owe(e *expected) bool {
	if s.skipped && e.kind != awaitSync {
		return false
	}
	s.skipped = false
	e.segment = s.segment
	for _, group := range e.changes {
		for _, c := range group {
			s.apply(c)
		}
	}
	for _, op := range e.operations {
		s.reveals = max(s.reveals, op.reveals)
		s.ddl = s.ddl || op.statement.changesCatalog()
		s.names.forwarded(op.statement.Statement, s.grant.TargetRole())
	}
	if e.kind == awaitBind && !e.internal {
		s.portals[e.name], s.bound[e.name] = e.portal, e.portal
	}
	s.queue = append(s.queue, e)
	s.crowded = len(s.queue)-s.head >= maxQueued
	return true
}

// owed says whether the target owes an answer. The session's mu is held.
func (s *session) owed() bool { return s.head < len(s.queue) }

// first is the message that the target answers now, or nil.
func (s *session) first() *expected {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.owed() {
		return nil
	}
	return s.queue[s.head]
}

// pop takes off the first expected message, which was answered. The session's
// mu is held.
func (s *session) pop() {
	if e := s.queue[s.head]; e.kind == awaitSync {
		s.spare = e // nobody waits for it by its address
	}
	s.queue[s.head] = nil
	s.head++
	switch {
	case s.head == len(s.queue):
		s.queue, s.head = s.queue[:0], 0
	case s.head >= compactAfter && 2*s.head >= len(s.queue):
		n := copy(s.queue, s.queue[s.head:])
		clear(s.queue[n:])
		s.queue, s.head = s.queue[:n], 0
	}
	s.notify()
}

// compactAfter is how many answered messages may stay in the queue's memory.
const compactAfter = 256

// notify wakes the requests pump where it waits. The session's mu is held.
func (s *session) notify() {
	if s.waiting {
		s.waiting = false
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// await flushes what was forwarded and waits until a condition on the state
// holds, as the answers come in. Only the requests pump waits.
func (s *session) await(ctx context.Context, condition func() bool) error {
	for {
		s.mu.Lock()
		holds := condition()
		s.waiting = !holds
		s.mu.Unlock()
		if holds {
			return nil
		}
		if err := s.toTarget.Flush(); err != nil {
			return err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// idle waits until nothing is owed. Where the client has not ended a segment,
// the target is asked to send what it holds back.
func (s *session) idle(ctx context.Context) error {
	if s.open {
		s.mu.Lock()
		owed := s.owed()
		s.mu.Unlock()
		if owed {
			if _, err := s.toTarget.Write(flushMessage); err != nil {
				return err
			}
		}
	}
	return s.await(ctx, func() bool { return !s.owed() })
}

// lookup finds a prepared statement as the target will know it when it gets to
// what is read now. Where that hangs on the outcome of an earlier segment, it
// waits for it. Nil means that there is none.
func (s *session) lookup(ctx context.Context, name string) (*prepared, error) {
	var found *prepared
	err := s.await(ctx, func() bool {
		found = s.prepared[name]
		if s.reset != nil && !s.reset.settled && s.reset.segment != s.segment {
			return false
		}
		return found == nil || found.settled || found.segment == s.segment
	})
	if err != nil || found == nil || found.gone {
		return nil, err
	}
	return found, nil
}

// lookupPortal finds a portal in the same way.
func (s *session) lookupPortal(ctx context.Context, name string) (*portal, error) {
	var found *portal
	err := s.await(ctx, func() bool {
		found = s.portals[name]
		return found == nil || found.settled || found.segment == s.segment
	})
	return found, err
}
