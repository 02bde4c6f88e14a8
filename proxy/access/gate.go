// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// NewVerifier makes the Verifier of a snapshot's identity providers.
type NewVerifier func(ctx context.Context, providers []snapshot.IdentityProvider) (identity.Verifier, error)

// Config are the parts a Gate is made of. All are required.
type Config struct {
	// Connection names the object served; its UID and generation come with the snapshot.
	Connection  snapshot.Connection
	Log         record.Log
	NewEngine   policy.NewEngine
	NewVerifier NewVerifier
	Approvals   Approvals
	Dialer      Dialer
	// TLS is the certificate shown to clients.
	TLS *tls.Config
}

// Gate is the entrance to one Connection. Safe for concurrent use.
type Gate struct {
	config Config
	// state is what is in force; nil until the first snapshot was applied.
	state atomic.Pointer[state]

	// mu guards the fields below.
	mu       sync.Mutex
	sessions map[string]*Grant
	stale    *time.Timer

	// fresh says that the proof of freshness has not run out.
	fresh atomic.Bool
}

// state is everything that changes together with a snapshot. Immutable.
type state struct {
	snapshot *snapshot.Snapshot
	engine   policy.Engine
	verifier identity.Verifier
}

// Why live sessions are ended; the cause of the Grant's context.
var (
	// ErrRevoked: a policy that the session rested on went away.
	ErrRevoked = errors.New("access was revoked")
	// ErrStale: the proxy has had no proof of freshness for too long.
	ErrStale = errors.New("the proxy lost contact with its manager for longer than spec.proxy.maxStalenessSeconds")
	// ErrExpired: the caller's proof of identity or the session's bound ended.
	ErrExpired = errors.New("the session reached its end")
	// ErrIdle: the session was idle for longer than allowed.
	ErrIdle = errors.New("the session was idle for too long")
	// ErrTerminated: somebody set spec.terminate on the AuditSession.
	ErrTerminated = errors.New("the session was terminated")
	// ErrDraining: the proxy shuts down.
	ErrDraining = errors.New("the proxy is shutting down")
	// ErrRecord: the log takes no more records.
	ErrRecord = errors.New("the record could not be written")
)

// NewGate makes a closed Gate: everything is refused until Apply and Heartbeat.
func NewGate(config Config) (*Gate, error) {
	switch {
	case config.Log == nil, config.NewEngine == nil, config.NewVerifier == nil,
		config.Approvals == nil, config.Dialer == nil, config.TLS == nil:
		return nil, errors.New("cannot make a gate: a part is missing")
	}
	return &Gate{config: config, sessions: map[string]*Grant{}}, nil
}

// Apply puts a snapshot in force. On error the former one stays in force. The
// new state is on record before it decides anything; then each live session is
// judged again, and ended where its rights went away.
func (g *Gate) Apply(ctx context.Context, s *snapshot.Snapshot) error {
	next := &state{snapshot: s}
	var err error
	if next.engine, err = g.config.NewEngine(ctx, s.Policies); err != nil {
		return g.refuseSnapshot(ctx, s, fmt.Errorf("cannot compile the policies of revision %d: %w", s.Revision, err))
	}
	if next.verifier, err = g.config.NewVerifier(ctx, s.IdentityProviders); err != nil {
		return g.refuseSnapshot(ctx, s, fmt.Errorf("cannot set up the identity providers of revision %d: %w", s.Revision, err))
	}
	if _, err := g.config.Log.Append(ctx, record.Event{
		Type: record.SnapshotApplied, Connection: recordConnection(s.Connection), Revision: s.Revision,
	}); err != nil {
		return fmt.Errorf("cannot record revision %d: %w", s.Revision, err)
	}
	g.state.Store(next)
	g.judge(ctx, next)
	return nil
}

func (g *Gate) refuseSnapshot(ctx context.Context, s *snapshot.Snapshot, cause error) error {
	_, err := g.config.Log.Append(ctx, record.Event{
		Type: record.SnapshotRefused, Connection: recordConnection(s.Connection), Revision: s.Revision, Reason: cause.Error(),
	})
	return errors.Join(cause, err)
}

// judge ends every session that the new state would not have let run.
func (g *Gate) judge(ctx context.Context, next *state) {
	for _, grant := range g.live() {
		if err := grant.judge(ctx, next); err != nil {
			grant.End(err)
		}
	}
}

func (g *Gate) live() []*Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	grants := make([]*Grant, 0, len(g.sessions))
	for _, grant := range g.sessions {
		grants = append(grants, grant)
	}
	return grants
}

// Heartbeat takes proof that the snapshot in force is the current one: until
// the given bound passes without another, the gate stays open. The age is what
// the proof had lost on its way.
func (g *Gate) Heartbeat(age time.Duration) {
	st := g.state.Load()
	if st == nil {
		return
	}
	left := time.Duration(st.snapshot.MaxStalenessSeconds)*time.Second - age
	if left <= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fresh.Store(true)
	if g.stale != nil {
		g.stale.Stop()
	}
	g.stale = time.AfterFunc(left, g.expire)
}

func (g *Gate) expire() {
	g.fresh.Store(false)
	for _, grant := range g.live() {
		grant.End(ErrStale)
	}
}

// Terminate ends one session by name; false where it is not live here.
func (g *Gate) Terminate(session, reason string) bool {
	g.mu.Lock()
	grant := g.sessions[session]
	g.mu.Unlock()
	if grant == nil {
		return false
	}
	grant.End(fmt.Errorf("%w: %s", ErrTerminated, reason))
	return true
}

// Close ends all live sessions with a cause and stops the gate's timer. The
// sessions' own goroutines are waited for by the server.
func (g *Gate) Close(cause error) {
	g.fresh.Store(false)
	g.mu.Lock()
	if g.stale != nil {
		g.stale.Stop()
	}
	g.mu.Unlock()
	for _, grant := range g.live() {
		grant.End(cause)
	}
}

// Sessions is the number of live sessions.
func (g *Gate) Sessions() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.sessions)
}

// Revision is the revision in force, 0 before the first.
func (g *Gate) Revision() int64 {
	if st := g.state.Load(); st != nil {
		return st.snapshot.Revision
	}
	return 0
}

// open returns the state in force, or why nothing may pass.
func (g *Gate) open() (*state, error) {
	st := g.state.Load()
	if st == nil {
		return nil, unavailable(
			fmt.Sprintf("connection %q has no configuration yet", g.config.Connection.Name),
			"Run: "+g.describe(), nil)
	}
	if !g.fresh.Load() {
		return nil, unavailable(ErrStale.Error(), "Check that the manager runs; then: "+g.describe(), ErrStale)
	}
	return st, nil
}

func (g *Gate) describe() string {
	return fmt.Sprintf("kubectl -n %s describe connection %s", g.config.Connection.Namespace, g.config.Connection.Name)
}

// Entry admits one accepted connection to the road.
func (g *Gate) Entry(client net.Addr) *Entry {
	return &Entry{gate: g, client: client.String()}
}

func recordConnection(c snapshot.Connection) record.Connection {
	return record.Connection{Namespace: c.Namespace, Name: c.Name, UID: c.UID}
}
