// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"strings"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
)

// extended handles a message of the extended query protocol. The error is a
// refusal, errMalformed, or the session's end.
func (s *session) extended(ctx context.Context, kind byte, raw []byte) error {
	content := raw[headerLength:]
	switch kind {
	case msgParse:
		m, err := decodeParse(content)
		if err != nil {
			return err
		}
		return s.parse(ctx, m, raw)
	case msgBind:
		m, err := decodeBind(content)
		if err != nil {
			return err
		}
		return s.bind(ctx, m, raw)
	case msgExecute:
		m, err := decodeExecute(content)
		if err != nil {
			return err
		}
		// While the operation is held, the client is watched, which moves what was read.
		s.held = append(s.held[:0], raw...)
		s.received = s.grant.Mark()
		return s.execute(ctx, m, s.held)
	}
	m, err := decodeTarget(content)
	if err != nil {
		return err
	}
	if kind == msgDescribe {
		return s.describe(ctx, m, raw)
	}
	return s.close(m, raw)
}

// parse takes a statement that nothing runs yet. It is not recorded where it
// would be allowed; each Execute is.
func (s *session) parse(ctx context.Context, m parseMessage, raw []byte) error {
	if strings.HasPrefix(m.name, reservedName) {
		return s.refuseText(ctx, "Parse", m.text, &access.Refusal{Reason: access.ReasonProtocol, Code: "42602", Message: "this statement name is reserved"})
	}
	statements, cat, err := s.analyze(ctx, m.text)
	if err != nil {
		return s.refuseText(ctx, "Parse", m.text, err)
	}
	p := &prepared{name: m.name, text: m.text, catalog: cat.Catalog, pathKey: s.pathKey, generation: s.generation, types: declared(m.types)}
	switch len(statements) {
	case 0:
		// No text that could be read otherwise is sent.
		p.text = ""
		raw = appendMessage(nil, msgParse, []byte(m.name), []byte{0, 0}, m.types)
	case 1:
		p.parsed = statements[0]
		if err := s.preview(ctx, p.parsed, cat); err != nil {
			return err
		}
		if other := p.parsed.Effects.Forward; other != "" {
			raw = appendMessage(nil, msgParse, append([]byte(m.name), 0), append([]byte(other), 0), m.types)
		}
	default:
		return s.refuseText(ctx, "Parse", m.text, &access.Refusal{
			Reason: access.ReasonProtocol, Code: "42601", Message: "cannot insert multiple commands into a prepared statement",
		})
	}
	if m.name != "" {
		if _, err := s.lookup(ctx, m.name); err != nil {
			return err
		}
		if refusal := s.room(m.text); refusal != nil {
			return s.refuseText(ctx, "Parse", m.text, refusal)
		}
	}
	return s.forward(&expected{kind: awaitParse, changes: [][]*change{{{name: m.name, after: p}}}}, raw)
}

// preview refuses a statement that could not run. The refusal is recorded.
func (s *session) preview(ctx context.Context, st *statement, cat *loaded) error {
	if s.never(st) == nil {
		effect, err := s.grant.Preview(ctx, policy.Operation{Accesses: st.operation.Accesses, Properties: st.operation.Properties})
		if err == nil && effect != policy.Deny {
			return nil
		}
	}
	op, err := s.decide(ctx, st, cat, nil, false, false)
	if err != nil {
		return err
	}
	// The rules changed in between; nothing runs yet.
	op.done(dropped, "")
	return nil
}

func (s *session) bind(ctx context.Context, m bindMessage, raw []byte) error {
	source, err := s.lookup(ctx, m.statement)
	if err != nil {
		return err
	}
	if source == nil {
		return s.refuseText(ctx, "Bind", "", &access.Refusal{
			Reason: access.ReasonProtocol, Code: stateInvalidStatement, Message: "prepared statement \"" + oneLine(m.statement) + "\" does not exist",
		})
	}
	p := &portal{source: source, parameters: m.parameters, segment: s.segment}
	if p.inner, err = s.innerOf(ctx, source); err != nil {
		return err
	}
	if m.parameters > 0 {
		p.digest, p.values = keepParameters(m.values)
	}
	s.mu.Lock()
	full := len(s.bound) >= maxPortals
	s.mu.Unlock()
	if full {
		return s.refuseText(ctx, "Bind", "", limitRefusal)
	}
	if raw, err = s.ahead(ctx, m.portal, p, raw); err != nil {
		return err
	}
	p.pathKey, p.moving = s.pathKey, s.moving
	p.bind = expected{kind: awaitBind, portal: p, name: m.portal}
	return s.forward(&p.bind, raw)
}

func (s *session) describe(ctx context.Context, m targetMessage, raw []byte) error {
	if m.kind == 'S' {
		source, err := s.lookup(ctx, m.name)
		if err != nil {
			return err
		}
		if source == nil {
			return s.refuseText(ctx, "Describe", "", &access.Refusal{
				Reason: access.ReasonProtocol, Code: stateInvalidStatement, Message: "prepared statement \"" + oneLine(m.name) + "\" does not exist",
			})
		}
		return s.forward(&expected{kind: awaitDescribeStatement}, raw)
	}
	p, err := s.lookupPortal(ctx, m.name)
	if err != nil {
		return err
	}
	if p == nil {
		// A cursor that was declared in SQL is a portal too; to describe it runs nothing.
		if err := s.idle(ctx); err != nil {
			return err
		}
		if _, err := s.declared(m.name); err == nil {
			return s.forward(&expected{kind: awaitDescribePortal}, raw)
		}
		return s.noPortal(ctx, "Describe", m.name)
	}
	p.described = p.described || s.wantColumns
	e := &p.describe
	if e.portal != nil {
		e = &expected{} // the first may still be owed
	}
	*e = expected{kind: awaitDescribePortal, portal: p, keep: s.wantColumns}
	return s.forward(e, raw)
}

func (s *session) noPortal(ctx context.Context, kind, name string) error {
	return s.refuseText(ctx, kind, "", &access.Refusal{
		Reason: access.ReasonProtocol, Code: stateInvalidCursor, Message: "portal \"" + oneLine(name) + "\" does not exist",
		Hint: "Use FETCH for cursors that were declared in SQL.",
	})
}

// execute decides what the portal runs, each time anew.
func (s *session) execute(ctx context.Context, m executeMessage, raw []byte) error {
	p, err := s.lookupPortal(ctx, m.portal)
	if err != nil {
		return err
	}
	if p == nil {
		return s.noPortal(ctx, "Execute", m.portal)
	}
	if p.source.text == "" {
		return s.forward(&expected{kind: awaitExecute, portal: p}, raw)
	}
	st, cat, err := s.current(ctx, p.source)
	if err != nil {
		return s.refuseText(ctx, "Execute", p.source.text, err)
	}
	refusal := s.full(st)
	if s.moved && st.needsNames() {
		refusal = movedRefusal
	}
	now, err := s.innerOf(ctx, p.source)
	if err != nil {
		return err
	}
	if now != p.inner {
		refusal = replacedRefusal
	}
	if p.pathKey != s.pathKey && !st.Pathless {
		refusal = repathedRefusal
	}
	if p.moving != s.moving && !st.Pathless {
		refusal = reboundRefusal
	}
	if refusal != nil {
		return s.refuseText(ctx, st.Kind, st.Text, refusal)
	}
	if err := s.fetchable(ctx, st); err != nil {
		return s.refuseText(ctx, st.Kind, st.Text, err)
	}
	op := s.takeEarly(m.portal, p, st, cat)
	if op == nil {
		if op, err = s.decide(ctx, st, cat, p, s.readsOnly(st), true); err != nil {
			return err
		}
	}
	changes, err := s.effects(ctx, st)
	if err != nil {
		op.done(dropped, "")
		return err
	}
	e := &op.room.execute
	*e = expected{kind: awaitExecute, portal: p, one: [1]*operation{op}}
	e.operations = e.one[:]
	e.waited = e.counted()
	if len(changes) > 0 {
		e.changes = [][]*change{changes}
	}
	if s.wantColumns && (!p.described || p.inner != nil) {
		// Where the rows come from, or how they read, must be known before they come. Those of
		// EXECUTE come from where it leads now, not at an earlier Describe.
		p.described = true
		name := append([]byte{'P'}, m.portal...)
		if err := s.forward(&expected{kind: awaitDescribePortal, portal: p, keep: true, internal: true}, appendMessage(nil, msgDescribe, name, []byte{0})); err != nil {
			op.done(dropped, "")
			return err
		}
	}
	if !s.push(e) {
		op.done(dropped, "")
		return nil
	}
	s.executed = true
	if _, err := s.toTarget.Write(raw); err != nil {
		return err
	}
	if e.waited {
		if _, err := s.toTarget.Write(flushMessage); err != nil {
			return err
		}
		err := s.awaitAnswer(ctx, e)
		s.skipping = s.skipping || err == nil && e.broken
		return err
	}
	if st.Effects.CopyIn {
		return s.awaitCopy(ctx, e)
	}
	return nil
}

func (s *session) close(m targetMessage, raw []byte) error {
	e := &expected{kind: awaitClose}
	if m.kind == 'S' {
		e.changes = [][]*change{{{name: m.name, after: &prepared{name: m.name, gone: true}}}}
	} else {
		s.mu.Lock()
		delete(s.portals, m.name)
		e.portal, e.name = s.bound[m.name], m.name
		s.mu.Unlock()
	}
	return s.forward(e, raw)
}

// forward notes that an answer is owed and passes the message on.
func (s *session) forward(e *expected, raw []byte) error {
	if !s.push(e) {
		return nil
	}
	_, err := s.toTarget.Write(raw)
	return err
}

// awaitCopy waits until it is known whether the target takes copy data for a
// message. Until then nothing of the client is read: what it means depends on it.
func (s *session) awaitCopy(ctx context.Context, e *expected) error {
	if e.kind == awaitExecute {
		if _, err := s.toTarget.Write(flushMessage); err != nil {
			return err
		}
	}
	err := s.await(ctx, func() bool {
		s.copying = s.copyIn
		return s.copyIn || !s.owes(e)
	})
	if err == nil {
		s.copyMessage = e
		s.grant.Awaits(s.copying)
	}
	return err
}

// owes says whether a message has not been answered. The session's mu is held.
func (s *session) owes(e *expected) bool {
	for _, other := range s.queue[s.head:] {
		if other == e {
			return true
		}
	}
	return false
}

// copyRequest handles a message while the target takes copy data.
func (s *session) copyRequest(ctx context.Context, kind byte, raw []byte) error {
	s.mu.Lock()
	ended := !s.copyIn
	s.mu.Unlock()
	if ended {
		// The target gave up the COPY.
		s.copying = false
		s.grant.Awaits(false)
		return s.request(ctx, kind, raw)
	}
	switch kind {
	case msgCopyData:
		_, err := s.toTarget.Write(raw)
		s.grant.Awaits(true)
		return err
	case msgCopyDone, msgCopyFail:
		s.mu.Lock()
		s.copyIn = false
		s.mu.Unlock()
		s.copying = false
		if _, err := s.toTarget.Write(raw); err != nil {
			return err
		}
		// Another COPY may follow in the same text.
		return s.awaitCopy(ctx, s.copyMessage)
	case msgFlush, msgSync:
		return nil // the server ignores them here, too
	default:
		return s.breach(ctx, "CopyData", violation("message %q arrived while COPY FROM STDIN runs", kind))
	}
}
