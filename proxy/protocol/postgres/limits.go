// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// While limits hold, an answer may be broken off, and the transaction must then
// fail as it does after any error. So nothing is forwarded behind a statement that
// returns rows before its answer has ended, and nothing that returns rows commits
// by itself what it wrote.

// counted says that a message returns rows that are counted against limits.
func (e *expected) counted() bool {
	for _, op := range e.operations {
		if op.meter != nil && op.statement.ReturnsRows() {
			return true
		}
	}
	return false
}

// writes says whether a statement changes more than its own session.
func writes(st *statement) bool {
	for _, a := range st.Accesses {
		switch a.Action {
		case sql.ActionSelect, sql.ActionEvaluate, sql.ActionShow, sql.ActionSet, sql.ActionSession, sql.ActionTransaction:
		default:
			return true
		}
	}
	return false
}

// undoable says why the statements of one text cannot be sent while limits hold:
// some would stay done where the answer of another is broken off. The error is nil,
// a *access.Refusal or the end of the session.
func (s *session) undoable(ctx context.Context, e *expected) error {
	if len(e.operations) < 2 || !e.counted() {
		return nil
	}
	if err := s.idle(ctx); err != nil {
		return err
	}
	inBlock, rows := s.inBlock(), false
	for _, op := range e.operations {
		if inBlock && rows && op.statement.endsTransaction() || inBlock && op.statement.Effects.CopyIn || !inBlock && writes(op.statement) {
			return togetherRefusal
		}
		rows = rows || op.statement.ReturnsRows()
	}
	return nil
}

func (s *session) inBlock() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status != 'I'
}

var togetherRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "limits hold for what statements return to you, so that one text cannot both return rows and change something or end a transaction",
	Hint:    "Send the statements one by one.",
}

// awaitAnswer waits for the answer of a message whose rows are counted.
func (s *session) awaitAnswer(ctx context.Context, e *expected) error {
	return s.await(ctx, func() bool { return !s.owes(e) })
}

// countedQuery forwards a Query whose rows are counted, and waits for its answer.
func (s *session) countedQuery(ctx context.Context, e *expected, text string) error {
	e.waited = true
	if len(e.operations) == 1 {
		if err := s.idle(ctx); err != nil {
			return err
		}
		if st := e.operations[0].statement; st.Single() && writes(st) && !s.inBlock() {
			return s.uncommitted(ctx, e, text)
		}
	}
	if !s.push(e) {
		e.drop("")
		return nil
	}
	s.segment++
	s.open, s.executed = false, false
	if err := s.writeQuery(e.forwarded(text)); err != nil {
		return err
	}
	if err := s.awaitAnswer(ctx, e); err != nil || !e.broken {
		return err
	}
	s.mu.Lock()
	poisoned := s.poisoned
	s.mu.Unlock()
	if poisoned {
		return s.sync() // ReadyForQuery is still owed to the client
	}
	return nil
}

// uncommitted runs the one statement of a Query, which writes and returns rows, by
// the extended protocol: there it is committed by the Sync, which is sent once all
// rows have left.
func (s *session) uncommitted(ctx context.Context, e *expected, text string) error {
	p := &portal{source: &prepared{text: text}, segment: s.segment, described: true}
	e.kind, e.portal, e.simple = awaitExecute, p, true
	for _, m := range []*expected{
		{kind: awaitParse, internal: true},
		{kind: awaitBind, portal: p, internal: true},
		{kind: awaitDescribePortal, portal: p, keep: s.wantColumns, simple: true},
		e,
	} {
		if !s.push(m) {
			e.drop("")
			return nil
		}
	}
	message := appendMessage(nil, msgParse, []byte{0}, []byte(e.forwarded(text)), []byte{0, 0, 0})
	message = appendMessage(message, msgBind, make([]byte, 8))
	message = appendMessage(message, msgDescribe, []byte{'P', 0})
	message = appendMessage(message, msgExecute, make([]byte, 5))
	if _, err := s.toTarget.Write(append(message, flushMessage...)); err != nil {
		return err
	}
	if err := s.awaitAnswer(ctx, e); err != nil {
		return err
	}
	return s.sync()
}
