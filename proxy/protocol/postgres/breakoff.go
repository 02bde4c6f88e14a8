// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"github.com/doorward/doorward/proxy/access"
)

// An answer is broken off where nothing more of it may leave: a limit is reached,
// or a row cannot be masked. The client gets the error at once, the target is asked
// to cancel, and what it still sends for the message is dropped. The transaction is
// to behave as after any error: where the target had already finished, the proxy
// makes it fail.

// breakOff ends the answer of an operation with a refusal. What of the row at hand
// was not read is dropped with what follows.
func (s *session) breakOff(ctx context.Context, e *expected, op *operation, refusal *access.Refusal) error {
	s.mu.Lock()
	alone := s.nothingBehind(e)
	s.mu.Unlock()
	if !alone {
		// Something that was sent behind it may take effect, or be canceled in its place.
		op.done(failed, codeOf(refusal))
		return refusal
	}
	e.broken = true
	op.copyOut, op.copier = false, nil
	op.done(failed, codeOf(refusal))
	if err := s.tell(encode(nil, errorResponse("ERROR", refusal))); err != nil {
		return err
	}
	canceled := make(chan struct{})
	e.canceled = canceled
	s.beside.Go(func() {
		defer close(canceled)
		bounded, cancel := context.WithTimeout(ctx, cancelBound)
		defer cancel()
		// Where it fails, all rows are read and dropped.
		_ = s.target.cancelRunning(bounded, s.grant)
	})
	return nil
}

// nothingBehind says that nothing was forwarded behind a message but the Sync that
// ends its segment. The session's mu is held.
func (s *session) nothingBehind(e *expected) bool {
	behind := s.queue[s.head:]
	if len(behind) == 0 || behind[0] != e {
		return false
	}
	behind = behind[1:]
	return len(behind) == 0 || e.kind == awaitExecute && len(behind) == 1 && behind[0].kind == awaitSync
}

// drain takes a message of an answer that was broken off. It goes nowhere.
func (s *session) drain(ctx context.Context, e *expected, kind byte, raw []byte) error {
	switch kind {
	case msgError:
		e.targetFailed = true
		if e.kind == awaitExecute {
			if err := e.untilCanceled(ctx); err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.copyIn = false
			e.next = len(e.operations)
			s.skip("")
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		e.failed = true
		s.undoFrom(e, e.next)
		s.forgetPortals(e.segment)
		e.drop("")
		return nil
	case msgCommandComplete, msgPortalSuspended:
		if e.next >= len(e.operations) {
			return outOfTurn(kind)
		}
		if e.kind == awaitExecute {
			return s.finishedBroken(ctx, e)
		}
		e.operations[e.next].done(dropped, "")
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range e.changes[e.next] {
			s.settle(c)
		}
		e.next++
		return nil
	case msgReady:
		if e.kind != awaitQuery || len(raw) != headerLength+1 {
			return outOfTurn(kind)
		}
		return s.readyBroken(ctx, e, raw)
	case msgRowDescription, msgCopyOut, msgCopyDone, msgEmptyQuery:
		return nil
	}
	return outOfTurn(kind)
}

// finishedBroken is the end of an Execute that the target had finished before it
// was canceled. Its transaction must fail nevertheless.
func (s *session) finishedBroken(ctx context.Context, e *expected) error {
	if err := e.untilCanceled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	op := e.operations[e.next]
	e.next = len(e.operations)
	if !s.owesOther(e) {
		s.poisoned = true // the next Sync comes with a failure before it
	} else if !op.statement.Effects.ReadOnly || s.status != 'I' {
		return brokenRefusal
	}
	s.skip("")
	return nil
}

// owesOther says whether more than one message is to be answered. The session's mu
// is held.
func (s *session) owesOther(e *expected) bool {
	return len(s.queue)-s.head > 1 || s.queue[s.head] != e
}

// readyBroken is the end of a Query whose answer was broken off.
func (s *session) readyBroken(ctx context.Context, e *expected, raw []byte) error {
	if err := e.untilCanceled(ctx); err != nil {
		return err
	}
	if raw[headerLength] != 'T' || e.targetFailed {
		return s.ready(e, raw)
	}
	if !e.waited {
		return brokenRefusal
	}
	// The requests pump makes the transaction fail; then ReadyForQuery comes.
	e.drop("")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = 'T'
	s.poisoned = true
	s.pop()
	return nil
}

// brokenRefusal ends a session whose transaction cannot be made to fail otherwise.
var brokenRefusal = &access.Refusal{
	Reason: access.ReasonSessionEnded, Code: stateAdminShutdown,
	Message: "an answer was broken off inside a transaction or a pipeline, which could only be undone by ending the session",
	Hint:    "Reconnect; nothing of the open transaction took effect.",
}

// untilCanceled waits until the target has been asked to cancel: a request that
// comes later would cancel something else.
func (e *expected) untilCanceled(ctx context.Context) error {
	select {
	case <-e.canceled:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// poison makes the target's transaction fail where an answer was broken off that
// the target had finished. The requests pump calls it before a Sync.
func (s *session) poison() error {
	s.mu.Lock()
	poisoned := s.poisoned
	s.poisoned = false
	if poisoned {
		s.skipped = false
	}
	s.mu.Unlock()
	if !poisoned {
		return nil
	}
	s.push(&expected{kind: awaitPoison})
	_, err := s.toTarget.Write(failureMessage)
	return err
}

// discard consumes the message that peek announced.
func (r *wireReader) discard(body int) error {
	for left := headerLength + body; left > 0; {
		if err := r.need(1); err != nil {
			return unexpected(err)
		}
		n := min(r.buffered(), left)
		r.begin += n
		left -= n
	}
	return nil
}
