// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// state is everything that changes together with a snapshot. Immutable.
type state struct {
	snapshot *snapshot.Snapshot
	engine   policy.Engine
	verifier identity.Verifier
	// audits count what policies in mode Audit would change.
	audits auditCounters
	// conditional says that some policies hold at certain times only, or from certain
	// addresses.
	conditional bool
}

// Apply puts a snapshot in force. On error the former one stays in force. The
// new state is on record before it decides anything; then each live session is
// judged again, and ended where its rights went away. Where the record cannot
// be written, sessions lose what the new state takes away all the same.
func (g *Gate) Apply(ctx context.Context, s *snapshot.Snapshot) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	if s.Connection.Namespace != g.config.Connection.Namespace || s.Connection.Name != g.config.Connection.Name {
		return g.refuseSnapshot(ctx, s, fmt.Errorf("cannot apply revision %d: it is for connection %q, this gate serves %q", s.Revision,
			s.Connection.Namespace+"/"+s.Connection.Name, g.config.Connection.Namespace+"/"+g.config.Connection.Name))
	}
	if err := masksHaveKey(s); err != nil {
		return g.refuseSnapshot(ctx, s, err)
	}
	next := &state{
		snapshot: s, conditional: slices.ContainsFunc(s.Policies.Policies, func(p policy.Policy) bool { return len(p.When) > 0 }),
	}
	var err error
	if next.engine, err = g.config.NewEngine(ctx, s.Policies, s.About()); err != nil {
		return g.refuseSnapshot(ctx, s, fmt.Errorf("cannot compile the policies of revision %d: %w", s.Revision, err))
	}
	if next.verifier, err = g.config.NewVerifier(ctx, s); err != nil {
		return g.refuseSnapshot(ctx, s, fmt.Errorf("cannot set up the identity providers of revision %d: %w", s.Revision, err))
	}
	if _, err := g.config.Log.Append(ctx, record.Event{
		Type: record.SnapshotApplied, Connection: recordConnection(s.Connection), Revision: s.Revision,
	}); err != nil {
		g.judge(ctx, next)
		return fmt.Errorf("cannot record revision %d: %w", s.Revision, err)
	}
	g.mu.Lock()
	if before := g.state.Load(); before != nil {
		next.audits = before.audits
		hits, misses := cacheStats(before.engine)
		g.hits, g.misses = g.hits+hits, g.misses+misses
	}
	next.audits = newAuditCounters(s.Policies, next.audits)
	g.state.Store(next)
	g.arm(next)
	g.mu.Unlock()
	g.reboundApprovals()
	g.judge(ctx, next)
	return nil
}

// masksHaveKey refuses a snapshot whose masks need the key that it lacks: they
// would show less than is meant, and never the same for the same.
func masksHaveKey(s *snapshot.Snapshot) error {
	if !s.MaskKey.IsZero() {
		return nil
	}
	for _, p := range s.Policies.Policies {
		for _, m := range p.Masks {
			if m.Method.Keyed() {
				return fmt.Errorf("cannot apply revision %d: mask %q of policy %q needs a key and the snapshot has none", s.Revision, m.Name, p.Name)
			}
		}
	}
	return nil
}

func (g *Gate) refuseSnapshot(ctx context.Context, s *snapshot.Snapshot, cause error) error {
	_, err := g.config.Log.Append(ctx, record.Event{
		Type: record.SnapshotRefused, Connection: recordConnection(s.Connection), Revision: s.Revision, Reason: cause.Error(),
	})
	return errors.Join(cause, err)
}

// judge ends every session that the new state would not have let run. A proxy
// that shuts down meanwhile must not call that a revocation.
func (g *Gate) judge(ctx context.Context, next *state) {
	ctx = context.WithoutCancel(ctx)
	for _, grant := range g.live() {
		if err := grant.judge(ctx, next); err != nil {
			grant.End(err)
		}
	}
}

// judgeLate judges a session that was registered while the state changed, and none that
// changes meanwhile: its bounds would be those of the elder one.
func (g *Gate) judgeLate(ctx context.Context, grant *Grant) {
	g.applying.Lock()
	defer g.applying.Unlock()
	if err := grant.judge(context.WithoutCancel(ctx), g.state.Load()); err != nil {
		grant.End(err)
	}
}

// Revision is the revision in force, 0 before the first.
func (g *Gate) Revision() int64 {
	if st := g.state.Load(); st != nil {
		return st.snapshot.Revision
	}
	return 0
}
