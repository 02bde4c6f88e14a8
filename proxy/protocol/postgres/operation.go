// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
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

// catalogNow is the catalog that what is read now must be understood with: it
// holds all changes that were forwarded before, as far as they are committed.
func (s *session) catalogNow(ctx context.Context) (*loaded, error) {
	s.mu.Lock()
	pending, transaction := s.ddl, s.transaction
	s.mu.Unlock()
	if pending {
		if err := s.idle(ctx); err != nil {
			return nil, err
		}
		s.mu.Lock()
		pending, transaction = s.ddl, s.transaction
		s.mu.Unlock()
	}
	if !pending {
		s.moved, s.unread, s.own = false, false, own{}
		s.forgetCreated()
	} else if cat := s.ownNow(transaction); cat != nil {
		return cat, nil
	}
	if s.database.aging() && s.renewing.CompareAndSwap(false, true) {
		s.beside.Go(func() {
			defer s.renewing.Store(false)
			s.database.renew(ctx, s.grant)
		})
	}
	return s.database.get(ctx, s.grant)
}

// analyze says what a text does. The error is a *access.Refusal or the session's end.
func (s *session) analyze(ctx context.Context, text string) ([]*statement, *loaded, error) {
	if len(text) > MaxStatement {
		return nil, nil, &access.Refusal{
			Reason: access.ReasonProtocol, Code: stateLimitExceeded,
			Message: fmt.Sprintf("the statement has %d bytes; at most %d are taken", len(text), MaxStatement),
			Hint:    "Send large values as parameters or with COPY.",
		}
	}
	cat, err := s.catalogFor(ctx, func() bool { return len(text) >= largeStatement || !sql.Pathless(text) })
	if err != nil {
		return nil, nil, err
	}
	statements, err := s.analyzeWith(ctx, text, cat)
	if err == nil && s.moved && slices.ContainsFunc(statements, func(st *statement) bool { return st.Effects.Fetches != "" }) {
		if cat, err = s.catalogFor(ctx, func() bool { return true }); err == nil {
			statements, err = s.analyzeWith(ctx, text, cat)
		}
	}
	var unknown *sql.UnknownRelationError
	if errors.As(err, &unknown) {
		newer, loadErr := s.missed(ctx, cat)
		if loadErr != nil {
			return nil, nil, loadErr
		}
		if newer.Catalog != cat.Catalog {
			cat = newer
			statements, err = s.analyzeWith(ctx, text, cat)
		}
	}
	if err != nil {
		return nil, cat, err
	}
	return statements, cat, nil
}

func (s *session) analyzeWith(ctx context.Context, text string, cat *loaded) ([]*statement, error) {
	if s.namesMoved(cat) && (s.between() || len(text) >= largeStatement || strings.Contains(text, "\\") || !sql.Pathless(text)) {
		if err := s.settleNames(ctx, cat); err != nil {
			return nil, err
		}
	}
	private := len(s.temp) > 0 || len(s.created) > 0 || len(text) >= largeStatement || s.cursorsRun() || cat.own
	key := cacheKey{catalog: cat.Catalog, path: s.pathKey, unsettled: s.names.unsettled, inRole: s.grant.TargetRole() != "", text: text}
	if !private {
		if found, ok := s.handler.cache.get(key); ok {
			return found, nil
		}
	}
	options := sql.Options{
		SearchPath: s.path, Database: s.database.name, MaxBytes: MaxStatement,
		Prepared: func(name string) (*sql.Statement, bool) {
			private = true
			return s.preparedStatement(ctx, name)
		},
		Unsettled: s.names.unsettled, InRole: s.grant.TargetRole() != "", CursorsRun: s.cursorsRun(),
		PathAfter: func(list []string) ([]string, error) {
			private = true
			return s.pathAfter(ctx, list)
		},
	}
	if private {
		options.TempRelations = func(name string) bool { return s.temp[name] }
		options.Created = func(schema, name string) bool { return s.created[schema+"."+name] }
		options.Behind = func(resource string) []sql.Access { return s.behind[resource] }
	}
	done, err := s.analyzing(ctx, text)
	if err != nil {
		return nil, err
	}
	defer done()
	analyzed, err := sql.Analyze(text, cat.Catalog, options)
	if err != nil {
		return nil, err
	}
	statements := make([]*statement, 0, len(analyzed))
	for i := range analyzed {
		statements = append(statements, newStatement(&analyzed[i]))
		private = private || analyzed[i].Runs() != nil
	}
	if !private {
		s.handler.cache.put(key, statements)
	}
	return statements, nil
}

func (s *session) preparedStatement(ctx context.Context, name string) (*sql.Statement, bool) {
	p, err := s.lookup(ctx, name)
	if err != nil || p == nil || p.text == "" {
		return nil, false
	}
	st, _, err := s.current(ctx, p)
	if err != nil || st == nil {
		return nil, false
	}
	return st.Statement, true
}

// current is what a prepared statement means now. The server plans it again
// when the catalog changes, so it is analysed again then, too.
func (s *session) current(ctx context.Context, p *prepared) (*statement, *loaded, error) {
	cat, err := s.catalogFor(ctx, func() bool { return p.parsed == nil || p.parsed.needsNames() })
	if err != nil {
		return nil, nil, err
	}
	if p.parsed == nil || !p.parsed.Pathless {
		if err := s.settleNames(ctx, cat); err != nil {
			return nil, nil, err
		}
	}
	known := p.parsed != nil && p.catalog == cat.Catalog && p.generation == s.generation
	if known && (p.pathKey == s.pathKey || p.parsed.Pathless) && p.parsed.Runs() == nil {
		return p.parsed, cat, nil
	}
	statements, cat, err := s.analyze(ctx, p.text)
	if err != nil {
		return nil, cat, err
	}
	if len(statements) != 1 {
		return nil, cat, &access.Refusal{Reason: access.ReasonProtocol, Message: "a prepared statement must be one statement"}
	}
	st := statements[0]
	if p.inner {
		if st.Effects.Prepared == nil {
			return nil, cat, &access.Refusal{Reason: access.ReasonProtocol, Message: "a prepared statement can no longer be understood"}
		}
		st = newStatement(st.Effects.Prepared)
	}
	p.parsed, p.catalog, p.pathKey, p.generation = st, cat.Catalog, s.pathKey, s.generation
	return st, cat, nil
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
		CheckMasks: s.asking.check, Room: &op.room.permit, Received: s.received, Source: s.source,
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

// refuseText puts a text that cannot be understood, or must not be, on record
// as refused. Its literals are taken out, since nobody knows what they are.
func (s *session) refuseText(ctx context.Context, kind, text string, cause error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err := s.grant.Decide(ctx, access.Ask{
		Operation: record.Operation{
			Protocol: Name, Kind: kind, Statement: withoutLiterals(text),
			Accesses: []policy.Access{{Action: sql.ActionUnknown, Resource: strings.ToLower(kind)}},
		},
		Refuse: fromSQL(cause), Received: s.received, Source: text,
	})
	s.received = time.Time{}
	return err
}

// withoutLiterals keeps a text up to its first quote. Where a literal ends in a
// text that cannot be understood, only the server's lexer could tell.
func withoutLiterals(text string) string {
	if len(text) > record.StatementLimit {
		text = text[:record.StatementLimit]
	}
	for i := range len(text) {
		// A dollar before a digit is a parameter.
		if text[i] == '\'' || text[i] == '$' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') {
			return text[:i] + "…"
		}
	}
	return text
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
