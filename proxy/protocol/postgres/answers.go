// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/doorward/doorward/proxy/access"
)

// The messages of the target (PostgreSQL manual, section "Message Formats").
const (
	msgParseComplete        = '1'
	msgBindComplete         = '2'
	msgCloseComplete        = '3'
	msgNotification         = 'A'
	msgCommandComplete      = 'C'
	msgDataRow              = 'D'
	msgError                = 'E'
	msgCopyIn               = 'G'
	msgCopyOut              = 'H'
	msgEmptyQuery           = 'I'
	msgNotice               = 'N'
	msgNoData               = 'n'
	msgParameterStatus      = 'S'
	msgPortalSuspended      = 's'
	msgRowDescription       = 'T'
	msgParameterDescription = 't'
	msgReady                = 'Z'
)

// errTarget says that the target broke the protocol or the session's terms.
var errTarget = errors.New("the target broke the protocol")

func outOfTurn(kind byte) error {
	return fmt.Errorf("%w: message %q came out of turn", errTarget, kind)
}

func backendLimit(kind byte) int {
	if kind == msgDataRow || kind == msgCopyData {
		return maxBackendStreamed
	}
	return maxBackendBuffered
}

// answers is the pump from the target to the client.
func (s *session) answers(ctx context.Context) error {
	for {
		kind, n, err := s.fromTarget.peek(backendLimit)
		if err != nil {
			return s.targetFailure(ctx, err)
		}
		e := s.first()
		if err := e.durable(ctx); err != nil {
			return s.targetFailure(ctx, err)
		}
		switch kind {
		case msgDataRow:
			err = s.row(ctx, e, n)
		case msgCopyData:
			err = s.copyOut(ctx, n)
		default:
			var raw []byte
			if raw, err = s.fromTarget.take(n); err == nil {
				err = s.answer(ctx, e, kind, raw)
			}
		}
		if err != nil {
			return s.targetFailure(ctx, err)
		}
	}
}

// durable waits until what the target answers now is on record: no byte of the
// answer goes to the client before.
func (e *expected) durable(ctx context.Context) error {
	if e == nil || e.next >= len(e.operations) {
		return nil
	}
	op := e.operations[e.next]
	if op.durable {
		return nil
	}
	op.durable = true
	return op.permit.Durable(ctx)
}

// errTargetClosed says that the target ended the connection.
var errTargetClosed = errors.New("the target closed the connection")

func (s *session) targetFailure(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errFraming):
		return fmt.Errorf("%w: %w", errTarget, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errTargetClosed
	}
	return err
}

// answer handles every message of the target but rows and copy data, as part of
// the answer to e, nil where nothing is owed. What is not named ends the session.
func (s *session) answer(ctx context.Context, e *expected, kind byte, raw []byte) error {
	switch kind {
	case msgNotice:
		return s.report(raw, false)
	case msgNotification:
		return s.pass(raw)
	case msgParameterStatus:
		return s.parameterStatus(raw)
	}
	switch {
	case e != nil && e.broken:
		return s.drain(ctx, e, kind, raw)
	case kind == msgError:
		return s.failure(e, raw)
	case e == nil:
		return outOfTurn(kind)
	}
	switch {
	case e.kind == awaitInquiry:
		return s.inquired(e, kind, raw)
	case kind == msgReady && (e.kind == awaitSync || e.kind == awaitQuery) && len(raw) == headerLength+1:
		return s.ready(e, raw)
	case kind == msgParseComplete && e.kind == awaitParse,
		kind == msgBindComplete && e.kind == awaitBind,
		kind == msgCloseComplete && e.kind == awaitClose,
		kind == msgEmptyQuery && e.kind == awaitExecute && len(e.operations) == 0:
		return s.complete(e, raw)
	case kind == msgParameterDescription && e.kind == awaitDescribeStatement,
		kind == msgEmptyQuery && e.kind == awaitQuery && len(e.operations) == 0:
		return s.pass(raw)
	case (kind == msgRowDescription || kind == msgNoData) && e.kind == awaitDescribeStatement:
		return s.complete(e, raw)
	case (kind == msgRowDescription || kind == msgNoData) && e.kind == awaitDescribePortal:
		return s.described(e, kind, raw)
	case e.kind != awaitQuery && e.kind != awaitExecute || e.failed || e.next >= len(e.operations):
		// The target answers more statements than were decided, or others.
		return outOfTurn(kind)
	}
	op := e.operations[e.next]
	switch {
	case kind == msgRowDescription && e.kind == awaitQuery:
		return s.rowsFollow(ctx, e, op, raw)
	case kind == msgCommandComplete, kind == msgPortalSuspended && e.kind == awaitExecute:
		return s.finished(e, op, kind, raw)
	case kind == msgCopyIn && op.statement.Effects.CopyIn:
		s.mu.Lock()
		s.copyIn = true
		s.notify()
		s.mu.Unlock()
		return s.pass(raw)
	case kind == msgCopyOut && op.statement.Effects.CopyOut:
		return s.copyFollows(ctx, e, op, raw)
	case kind == msgCopyDone && op.copyOut:
		return s.copyDone(ctx, e, op, raw)
	}
	return outOfTurn(kind)
}

// pass writes a message to the client as it came.
func (s *session) pass(raw []byte) error {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	_, err := s.toClient.Write(raw)
	return err
}

// tell writes messages of the proxy's own to the client at once.
func (s *session) tell(raw []byte) error {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	if _, err := s.toClient.Write(raw); err != nil {
		return err
	}
	return s.toClient.Flush()
}

// complete passes the one answer of a message and settles what hung on it.
func (s *session) complete(e *expected, raw []byte) error {
	if !e.internal {
		if err := s.pass(raw); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, group := range e.changes {
		for _, c := range group {
			s.settle(c)
		}
	}
	switch {
	case e.kind == awaitBind:
		e.portal.settled = true
	case e.kind == awaitClose && e.portal != nil && s.bound[e.name] == e.portal:
		delete(s.bound, e.name)
	}
	s.pop()
	return nil
}

// finished is the end of one statement that ran.
func (s *session) finished(e *expected, op *operation, kind byte, raw []byte) error {
	if op.copyOut {
		return outOfTurn(kind)
	}
	if n, ok := rowsOfTag(raw[headerLength:]); ok && kind == msgCommandComplete {
		op.rows = n
	}
	if err := s.pass(raw); err != nil {
		return err
	}
	op.done(succeeded, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors.settle(op.statement.Statement)
	if e.next < len(e.changes) {
		for _, c := range e.changes[e.next] {
			s.settle(c)
		}
	}
	e.next++
	s.copyIn = false
	if e.kind == awaitExecute {
		s.pop()
	}
	return nil
}

// rowsOfTag reads the row count of a command tag such as "INSERT 0 5".
func rowsOfTag(content []byte) (int64, bool) {
	tag := strings.TrimSuffix(string(content), "\x00")
	last := strings.LastIndexByte(tag, ' ')
	if last < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(tag[last+1:], 10, 64)
	return n, err == nil
}

// failure is an ErrorResponse: of the message that the target answers, or of
// the connection as a whole.
func (s *session) failure(e *expected, raw []byte) error {
	fields := errorFields(raw[headerLength:])
	code := fields['C']
	switch {
	case e != nil && e.kind == awaitInquiry && e.inquiry.synced:
		e.inquiry.code = code
		return nil // nobody but the proxy has asked; ReadyForQuery follows
	case e != nil && e.kind == awaitPoison:
	case e != nil && e.kind == awaitFailure:
		if err := s.pass(encode(nil, errorResponse("ERROR", e.refusal))); err != nil {
			return err
		}
	default:
		if err := s.report(raw, true); err != nil {
			return err
		}
	}
	if e == nil {
		return nil // the target says goodbye; the end of its stream follows
	}
	if e.next < len(e.operations) {
		e.operations[e.next].done(failed, code)
		e.next++
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copyIn = false
	if e.inquiry != nil {
		e.inquiry.code = code
	}
	switch e.kind {
	case awaitQuery:
		e.failed = true
		s.undoFrom(e, e.next-1)
		s.forgetPortals(e.segment)
		s.notify()
	case awaitSync:
	default:
		s.skip(code)
	}
	return nil
}

// skip drops what the target skips after an error: everything up to the next
// Sync. Nothing of it has run, and none of its changes is in force. The
// session's mu is held.
func (s *session) skip(code string) {
	end := s.head
	for end < len(s.queue) && s.queue[end].kind != awaitSync {
		end++
	}
	s.skipped = end == len(s.queue)
	s.forgetPortals(s.queue[s.head].segment)
	for i := end - 1; i >= s.head; i-- {
		s.undoFrom(s.queue[i], 0)
	}
	for n := end - s.head; n > 0; n-- {
		s.queue[s.head].drop(code)
		s.pop()
	}
}

// undoFrom undoes the changes of a message from one operation on, last first.
// The session's mu is held.
func (s *session) undoFrom(e *expected, first int) {
	for i := len(e.changes) - 1; i >= max(first, 0); i-- {
		for j := len(e.changes[i]) - 1; j >= 0; j-- {
			if c := e.changes[i][j]; !c.settled {
				s.undo(c)
			}
		}
	}
}

// forgetPortals drops the portals of a segment whose transaction is over, and
// of those before it. The session's mu is held.
func (s *session) forgetPortals(segment uint64) {
	for name, p := range s.portals {
		if p.segment <= segment {
			delete(s.portals, name)
		}
	}
}

// ready is the end of a segment.
func (s *session) ready(e *expected, raw []byte) error {
	status := raw[headerLength]
	if status != 'I' && status != 'T' && status != 'E' {
		return outOfTurn(msgReady)
	}
	if !e.failed && e.next < len(e.operations) {
		return outOfTurn(msgReady)
	}
	if e.kind != awaitInquiry {
		if err := s.pass(raw); err != nil {
			return err
		}
	}
	e.drop("")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	s.copyIn = false
	if status == 'I' {
		if s.ddl {
			s.database.changed()
		}
		s.ddl, s.reveals = false, revealsNothing
		s.transaction++
		s.cursors.ended()
		s.names.ended()
		for _, later := range s.queue[s.head+1:] {
			for _, op := range later.operations {
				s.reveals = max(s.reveals, op.reveals)
				s.ddl = s.ddl || op.statement.changesCatalog()
				s.names.forwarded(op.statement.Statement, s.grant.TargetRole())
			}
		}
		s.forgetPortals(e.segment)
		for name, p := range s.bound {
			if p.segment <= e.segment {
				delete(s.bound, name)
			}
		}
	}
	s.pop()
	return nil
}

// parameterStatus passes a changed setting on. A setting that decides what the
// text of a statement means, or who runs it, must not change.
func (s *session) parameterStatus(raw []byte) error {
	b := body{rest: raw[headerLength:]}
	name, value := b.text("parameter"), b.text("value")
	if err := b.done(); err != nil {
		return fmt.Errorf("%w: %w", errTarget, err)
	}
	if want, watched := s.watched[name]; watched && want != value {
		return &access.Refusal{
			Reason: access.ReasonProtocol, Code: stateInsufficient,
			Message: fmt.Sprintf("the session's %s was changed, so that the proxy can no longer tell what statements mean or whose they are", name),
			Hint:    "Reconnect, and do not change it.",
		}
	}
	return s.pass(raw)
}
