// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
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

// fetchable refuses FETCH and MOVE of what is a portal of the protocol, or may
// still be one at the target.
func (s *session) fetchable(ctx context.Context, st *statement) error {
	bound := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bound[st.Effects.Fetches] != nil
	}
	if st.Effects.Fetches == "" || !bound() {
		return nil
	}
	// The answers that are owed may end its transaction.
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
