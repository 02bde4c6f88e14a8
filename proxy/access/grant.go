// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Grant is an open session. One goroutine decides at a time; End, Context and
// the permits may be used from any.
type Grant struct {
	gate      *Gate
	id        string
	principal identity.Principal
	client    string
	started   time.Time
	// opened is the configuration the session was opened under.
	opened *state

	ctx    context.Context //nolint:containedctx // the session's own life, ended by End with its cause
	cancel context.CancelCauseFunc
	active atomic.Int64 // unix nanoseconds of the last operation
	awaits atomic.Bool  // what runs waits for the caller
	dials  atomic.Int32 // that go on

	// masks caches the caller's masks under one state; unmasked are none, of opened.
	masks    atomic.Pointer[maskState]
	unmasked *maskState
	// limits are those in force; whoever judges the session puts them there.
	limits atomic.Pointer[limitSet]
	// role is the role at the target, for the whole session.
	role string

	// memo is how the session's records were encoded before.
	memo record.Memo

	// watchers are told what happens; fixed before the first operation.
	watchers []Watcher

	// part is what digest works with, which is called by the one
	// goroutine that decides.
	part []byte

	// mu guards the fields below.
	mu     sync.Mutex
	lastID uint64
	open   []*Permit // being decided, held or running
	closed bool
	// end is when the session ends at the latest; zero means never.
	end      time.Time
	endTimer *time.Timer
	// idle is how long nothing may happen; zero means for ever.
	idle      time.Duration
	idleTimer *time.Timer
}

type maskState struct {
	state *state
	list  []policy.Mask
	rules mask.Rules
	names []string
}

// newGrant registers a session, within the Connection's limit.
func newGrant(gate *Gate, st *state, c *Caller) (*Grant, error) {
	now := time.Now()
	ctx, cancel := context.WithCancelCause(context.Background())
	g := &Grant{
		gate: gate, id: newSessionID(gate.config.Connection.Name, gate.config.Tag), principal: c.principal, client: c.entry.client,
		started: now, opened: st, ctx: ctx, cancel: cancel, unmasked: &maskState{state: st},
	}
	g.active.Store(now.UnixNano())
	g.limits.Store(g.limitsUnder(st))
	role, err := st.engine.TargetRole(c.principal)
	if err != nil {
		cancel(err)
		return nil, c.noRole(err)
	}
	g.role = role
	if end := sessionEnd(now, st, c.principal); !end.IsZero() && !end.After(now) {
		cancel(ErrExpired)
		return nil, &Refusal{Reason: ReasonCredential, Message: "the token has expired", Hint: "Get a new token from your identity provider."}
	}
	if err := g.admit(st); err != nil {
		cancel(err)
		return nil, err
	}
	// Whoever makes the gate stale ends the sessions it sees. This one was not
	// seen where that happened before it was registered.
	if _, err := gate.admit(); err != nil {
		g.discard()
		return nil, err
	}
	g.bound(st)
	return g, nil
}

// admit registers the session with its gate.
func (g *Grant) admit(st *state) error {
	gate := g.gate
	gate.mu.Lock()
	defer gate.mu.Unlock()
	if limit := int(st.snapshot.Session.MaxConcurrent); limit > 0 && len(gate.sessions) >= limit {
		return &Refusal{
			Reason:  ReasonLimit,
			Message: fmt.Sprintf("connection %q already has %d sessions on this proxy, its limit (spec.session.maxConcurrent)", gate.config.Connection.Name, limit),
			Hint:    fmt.Sprintf("Wait for one to end, or see who has them: kubectl -n %s get auditsessions", gate.config.Connection.Namespace),
		}
	}
	gate.sessions[g.id] = g
	return nil
}

// bound sets the session's ends as a state wants them.
func (g *Grant) bound(st *state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.stopTimers()
	if g.end = sessionEnd(g.started, st, g.principal); !g.end.IsZero() {
		g.endTimer = time.AfterFunc(time.Until(g.end), func() { g.End(ErrExpired) })
	}
	if g.idle = time.Duration(st.snapshot.Session.IdleTimeoutSeconds) * time.Second; g.idle > 0 {
		quiet := time.Since(time.Unix(0, g.active.Load()))
		g.idleTimer = time.AfterFunc(g.idle-quiet, g.checkIdle)
	}
}

// stopTimers stops both timers. mu is held.
func (g *Grant) stopTimers() {
	for _, timer := range []*time.Timer{g.endTimer, g.idleTimer} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// Session is the session's id, also the name of its AuditSession object.
func (g *Grant) Session() string { return g.id }

// Principal is the proven caller.
func (g *Grant) Principal() identity.Principal { return g.principal }

// Connection names the Connection of the session.
func (g *Grant) Connection() snapshot.Connection { return g.opened.snapshot.Connection }

// TargetRole is the role that the session assumes at the target before its
// first operation and keeps; empty for that of the credential.
func (g *Grant) TargetRole() string { return g.role }

// Context ends when the session must; context.Cause says why, in words fit for
// the caller.
func (g *Grant) Context() context.Context { return g.ctx }

// End ends the session with a cause. The protocol sees it on Context, tells
// the caller and calls Close.
func (g *Grant) End(cause error) { g.cancel(cause) }

// Close ends the session for good: what is still open has an unknown outcome,
// and the end is put on record. The reason is the cause of the Context where
// the session was ended, else what the protocol says.
func (g *Grant) Close(reason string) {
	if !g.unregister() {
		return
	}
	cause := context.Cause(g.ctx)
	if cause != nil {
		reason = cause.Error()
	}
	g.cancel(nil)
	for _, permit := range g.openPermits() {
		permit.Done(record.Result{Outcome: "Unknown"})
	}
	// Nothing waits for the end of a session. Where the log is broken, recovery
	// closes it.
	_ = g.gate.config.Log.AppendLater(record.Event{
		Type: record.SessionEnd, Session: g.id, Connection: recordConnection(g.opened.snapshot.Connection),
		Revision: g.gate.Revision(), Actor: &g.principal, ClientAddress: g.client, Reason: reason,
		Result: &record.Result{Outcome: "Ended", Duration: time.Since(g.started)}, Memo: &g.memo,
	})
	for _, w := range g.watchers {
		w.Closed(endReason(cause), time.Since(g.started))
	}
}

// discard drops a session whose start could not be recorded.
func (g *Grant) discard() {
	g.unregister()
	g.cancel(ErrRecord)
}

func (g *Grant) unregister() bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.closed = true
	g.stopTimers()
	g.mu.Unlock()
	g.gate.mu.Lock()
	delete(g.gate.sessions, g.id)
	g.gate.mu.Unlock()
	return true
}

func (g *Grant) openPermits() []*Permit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*Permit(nil), g.open...)
}

// masksUnder returns the caller's masks under a state.
func (g *Grant) masksUnder(st *state) *maskState {
	if cached := g.masks.Load(); cached != nil && cached.state == st {
		return cached
	}
	list := st.engine.Masks(g.principal)
	fresh := &maskState{state: st, list: list, rules: mask.Compile(list, st.snapshot.MaskKey.Bytes())}
	fresh.names = fresh.rules.Names()
	g.masks.Store(fresh)
	return fresh
}

// ended says that the session is over, or nil.
func (g *Grant) ended() *Refusal {
	if g.ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(g.ctx)
	return &Refusal{Reason: ReasonSessionEnded, Message: cause.Error(), cause: cause}
}

// judge says why the session may not go on under a new state, or nil. What may
// go on gets the new state's bounds.
func (g *Grant) judge(ctx context.Context, next *state) error {
	was, is := g.opened.snapshot, next.snapshot
	if was.Connection.UID != is.Connection.UID || was.Protocol != is.Protocol ||
		was.TLS != is.TLS || !reflect.DeepEqual(was.Targets, is.Targets) {
		return fmt.Errorf("%w: connection %q now leads elsewhere", ErrRevoked, is.Connection.Name)
	}
	// The road does not know what options mean; one may have let this session in.
	if !bytes.Equal(was.Options, is.Options) {
		return fmt.Errorf("%w: the options of connection %q changed", ErrRevoked, is.Connection.Name)
	}
	if !reflect.DeepEqual(proof(was, g.principal.Provider), proof(is, g.principal.Provider)) {
		return fmt.Errorf("%w: IdentityProvider %q is gone or proves its callers in another way", ErrRevoked, g.principal.Provider)
	}
	decision, err := next.engine.Connect(ctx, g.principal)
	if err != nil || decision.Effect == policy.Deny {
		return fmt.Errorf("%w: %s may no longer use connection %q", ErrRevoked, g.principal.UserName, is.Connection.Name)
	}
	if role, err := next.engine.TargetRole(g.principal); err != nil || role != g.role {
		return fmt.Errorf("%w: the role at the target that policies give %s on connection %q changed", ErrRevoked, g.principal.UserName, is.Connection.Name)
	}
	g.limits.Store(g.limitsUnder(next))
	masks := g.masksUnder(next)
	for _, permit := range g.openPermits() {
		if err := permit.judge(ctx, next, masks); err != nil {
			return err
		}
	}
	g.bound(next)
	return nil
}

// proof is what a provider's proof of a caller rests on: all its settings but
// those that only say how it is reached.
func proof(s *snapshot.Snapshot, provider string) *snapshot.IdentityProvider {
	for _, p := range s.IdentityProviders {
		if p.Name != provider {
			continue
		}
		if p.OIDC != nil {
			settings := *p.OIDC
			settings.CertificateAuthority, settings.ClockSkewSeconds = "", 0
			p.OIDC = &settings
		}
		return &p
	}
	return nil
}
