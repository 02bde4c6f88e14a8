// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"

	"github.com/doorward/doorward/proxy/access"
)

// innerOf is the prepared statement that an EXECUTE leads to, or nil: the target
// looks it up by name when the portal runs, not when it is bound.
func (s *session) innerOf(ctx context.Context, source *prepared) (*prepared, error) {
	if source.parsed == nil || source.parsed.Effects.Executes == "" {
		return nil, nil //nolint:nilnil // nothing is executed by name
	}
	return s.lookup(ctx, source.parsed.Effects.Executes)
}

var replacedRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "the prepared statement behind this portal is another than when the portal was bound, so that the proxy cannot tell where its rows come from",
	Hint:    "Bind again after the change.",
}

// ahead decides what a portal runs before the target sees its Bind: there it is
// planned, which runs functions that count as immutable and the checks of
// domains of its parameters. Any other statement is decided at its Execute. It
// returns the message to forward.
func (s *session) ahead(ctx context.Context, name string, p *portal, raw []byte) ([]byte, error) {
	s.dropEarly(name)
	if p.source.text == "" {
		return raw, nil
	}
	st, cat, err := s.current(ctx, p.source)
	if err != nil {
		return nil, s.refuseText(ctx, "Bind", p.source.text, err)
	}
	if !st.CallsWhenPlanned() && !s.changing() && !p.source.types.call(cat.Catalog) {
		return raw, nil
	}
	// While the operation is held, the client is watched, which moves what was read.
	raw = bytes.Clone(raw)
	op, err := s.decide(ctx, st, cat, p, false, true)
	if err != nil {
		return nil, err
	}
	s.early[name] = early{p, op}
	return raw, nil
}

// early is what was decided for the first Execute of a portal.
type early struct {
	portal *portal
	*operation
}

// takeEarly returns what was decided when a portal was bound, once, and nil
// where that was not needed or no longer means the same.
func (s *session) takeEarly(name string, p *portal, st *statement, cat *loaded) *operation {
	e, ok := s.early[name]
	if !ok || e.portal != p || e.statement != st || e.catalog.Catalog != cat.Catalog {
		return nil
	}
	delete(s.early, name)
	return e.operation
}

// dropEarly says of what was decided for a portal, and not executed, that it
// did not run. A later Execute is decided anew.
func (s *session) dropEarly(name string) {
	if e, ok := s.early[name]; ok {
		e.done(dropped, "")
		delete(s.early, name)
	}
}

// dropAllEarly is dropEarly for all portals, at the end of a segment.
func (s *session) dropAllEarly() {
	for name := range s.early {
		s.dropEarly(name)
	}
}

// fetchable refuses FETCH and MOVE of what is a portal of the protocol, or may
// still be one at the target.
func (s *session) fetchable(ctx context.Context, st *statement) error {
	bound := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bound[st.Effects.Fetches] != nil
	}
	if st.Effects.Fetches == "" {
		return nil
	}
	// The answers that are owed may end its transaction, and tell what cursor it is.
	if err := s.idle(ctx); err != nil {
		return err
	}
	if bound() {
		return portalRefusal
	}
	return nil
}

// portalRefusal: FETCH and MOVE would run what is bound to the portal, also an
// UPDATE ... RETURNING, past the decision and the record of its Execute.
var portalRefusal = &access.Refusal{
	Reason: access.ReasonProtocol, Code: stateFeatureNotSupported,
	Message: "FETCH and MOVE are for cursors that were declared in SQL, not for portals that Bind made",
	Hint:    "Read the portal with Execute.",
}
