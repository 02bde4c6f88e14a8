// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/record"
)

// operation is one decided statement on its way through the target.
type operation struct {
	statement *statement
	permit    *access.Permit
	rules     mask.Rules
	catalog   *loaded
	// masks is what the rules come to over the catalog; nil where they are empty.
	masks *sql.MaskSet
	// shows is what the rows that come hold of masked columns: one for each
	// statement that they may be of.
	shows []*sql.Disclosure
	// reveals is what errors and notices may hold while it runs.
	reveals reveals
	// calls says that its parameters are of types whose values call functions of users.
	calls bool
	// own says that it names relations that the session has made.
	own bool
	// meter counts what is returned; nil where no limit holds.
	meter *access.Meter

	// room is that of the permit, of one disclosure and of the Execute: what lives
	// as long is one piece of memory.
	room struct {
		permit  access.Permit
		shows   [1]*sql.Disclosure
		execute expected
	}

	// What follows is the answers pump's.
	durable bool
	answer  *access.Answer
	shown   *columns // what the answer's text says its columns are
	scratch []byte
	plan    *rowPlan
	planned bool
	copyOut bool
	// copyBinary says that the copy data is in binary format.
	copyBinary  bool
	copied      bool    // some of the copy data came
	copier      *copier // masks the copy data; nil where nothing in it is masked
	rows, bytes int64
	masked      tally
}

func (o *operation) done(outcome, code string) {
	result := record.Result{Outcome: outcome, ErrorCode: code, Rows: o.rows, Bytes: o.bytes}
	if o.plan != nil {
		result.MaskedFields, result.MaskedValues = o.plan.names, o.masked.values
		if o.masked.found != 0 {
			result.MaskedFields = slices.Concat(o.plan.names, o.masked.names(o.rules))
		}
	}
	o.permit.Done(result)
}

// The outcomes of a record.Result.
const (
	succeeded = "Succeeded"
	failed    = "Failed"
	dropped   = "Canceled"
)

// drop says of what has not been answered that it did not run, or that what it
// did was undone.
func (e *expected) drop(code string) {
	for _, op := range e.operations[e.next:] {
		op.done(dropped, code)
	}
	e.next = len(e.operations)
}

// readsOnly says that statements which are forwarded together only read, and
// that nothing forwarded before may have changed what their names stand for.
func (s *session) readsOnly(statements ...*statement) bool {
	if slices.ContainsFunc(statements, func(st *statement) bool { return !st.Effects.ReadOnly }) {
		return false
	}
	return !s.changing()
}

// changing says that what was forwarded may have changed the catalog, and is
// not known to have been committed.
func (s *session) changing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ddl
}

// decide puts one statement before the road. Overlap says that it only reads,
// hold that the caller can be made to wait. The error is the refusal, recorded.
func (s *session) decide(ctx context.Context, st *statement, cat *loaded, p *portal, overlap, hold bool) (*operation, error) {
	op := &operation{statement: st, catalog: cat}
	s.asking.of(s, op, p)
	ask := access.Ask{
		Operation: st.operation, Hidden: st.hidden, ReadOnly: overlap, Unmetered: !st.ReturnsRows(),
		CheckMasks: s.asking.check, WouldMask: s.asking.would, Room: &op.room.permit, Received: s.received, Source: s.source,
	}
	if cursor := st.Effects.Fetches; cursor != "" {
		if declared, err := s.declared(cursor); err == nil {
			ask.Operation.Fields = declared.Fields()
		}
	}
	if p != nil {
		ask.Source = p.source.text
		op.calls = p.source.types.call(cat.Catalog)
		ask.Operation.Parameters, ask.Operation.ParametersDigest = p.parameters, p.digest
		ask.ShowParameters = s.asking.show
	}
	ask.Refuse = s.never(st)
	if hold {
		ask.Hold = s.asking.hold
	}
	permit, err := s.grant.Decide(s.holdable(ctx), ask)
	s.received = time.Time{} // of several statements of one text, the first
	held := s.holding.watching != nil
	s.release()
	if err != nil {
		return nil, err
	}
	op.permit, op.rules, op.answer, op.meter = permit, permit.Masks(), permit.Answer(), permit.Meter()
	if held {
		if err := s.standing(ctx, op); err != nil {
			op.done(dropped, "")
			return nil, err
		}
	}
	s.wantColumns = !op.rules.Empty() || op.answer.Room() > 0
	return op, nil
}

// effects notes what a statement that is about to be forwarded does to the
// session, and returns the changes of prepared statements that its answer settles.
func (s *session) effects(ctx context.Context, st *statement) ([]*change, error) {
	e := &st.Effects
	for _, name := range e.CreatesTemp {
		if !s.temp[name] {
			s.temp[name] = true
			s.generation++
		}
	}
	for _, name := range e.Creates {
		if !s.created[name] {
			s.created[name] = true
			s.generation++
		}
	}
	if len(e.Behind) > 0 {
		s.keepBehind(e)
	}
	s.moves(st)
	var changes []*change
	if name := e.Prepares; name != "" && e.Prepared != nil {
		if _, err := s.lookup(ctx, name); err != nil {
			return nil, err
		}
		changes = append(changes, &change{name: name, after: &prepared{name: name, text: st.Text, inner: true}})
	}
	if name := e.Deallocates; name != "" {
		if _, err := s.lookup(ctx, name); err != nil {
			return nil, err
		}
		changes = append(changes, &change{name: name, after: &prepared{name: name, gone: true}})
	}
	if e.DeallocatesAll || e.Discards == "all" {
		if err := s.idle(ctx); err != nil {
			return nil, err
		}
		changes = append(changes, &change{all: map[string]*prepared{}})
	}
	return changes, nil
}

// full says that the session holds as much as one session may.
func (s *session) full(st *statement) *access.Refusal {
	switch {
	case st.Effects.Prepares != "" && s.room(st.Text) != nil,
		len(st.Effects.CreatesTemp) > 0 && len(s.temp) >= maxTemp,
		len(st.Effects.Creates) > 0 && len(s.created) >= maxTemp,
		st.Effects.DeclaresCursor != "" && s.cursorsFull():
		return limitRefusal
	}
	return nil
}

var limitRefusal = &access.Refusal{
	Reason: access.ReasonLimit, Code: stateLimitExceeded,
	Message: "this session holds as many prepared statements, portals, cursors or temporary tables as one session may",
	Hint:    "Deallocate what is no longer used, or reconnect.",
}
