// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	timers []*time.Timer
	active atomic.Int64 // unix nanoseconds of the last operation

	// masks caches the caller's masks under one state.
	masks atomic.Pointer[maskState]

	// mu guards the fields below.
	mu     sync.Mutex
	lastID uint64
	open   []*Permit // decided or held, not done
	closed bool
}

type maskState struct {
	state *state
	list  []policy.Mask
	rules mask.Rules
}

// newGrant registers a session, within the Connection's limit.
func newGrant(gate *Gate, st *state, c *Caller, _ policy.Decision) (*Grant, error) {
	now := time.Now()
	ctx, cancel := context.WithCancelCause(context.Background())
	g := &Grant{
		gate: gate, id: newSessionID(gate.config.Connection.Name), principal: c.principal, client: c.entry.client,
		started: now, opened: st, ctx: ctx, cancel: cancel,
	}
	g.active.Store(now.UnixNano())
	end := sessionEnd(now, st, c.principal)
	if !end.IsZero() && !end.After(now) {
		cancel(ErrExpired)
		return nil, &Refusal{Reason: ReasonCredential, Message: "the token has expired", Hint: "Get a new token from your identity provider."}
	}

	gate.mu.Lock()
	defer gate.mu.Unlock()
	if limit := int(st.snapshot.Session.MaxConcurrent); limit > 0 && len(gate.sessions) >= limit {
		cancel(nil)
		return nil, &Refusal{
			Reason:  ReasonLimit,
			Message: fmt.Sprintf("connection %q already has %d sessions on this proxy, its limit (spec.session.maxConcurrent)", gate.config.Connection.Name, limit),
			Hint:    fmt.Sprintf("Wait for one to end, or see who has them: kubectl -n %s get auditsessions", gate.config.Connection.Namespace),
		}
	}
	gate.sessions[g.id] = g
	if !end.IsZero() {
		g.timers = append(g.timers, time.AfterFunc(end.Sub(now), func() { g.End(ErrExpired) }))
	}
	if idle := time.Duration(st.snapshot.Session.IdleTimeoutSeconds) * time.Second; idle > 0 {
		g.watchIdle(idle)
	}
	return g, nil
}

// watchIdle ends the session once nothing was decided for the bound while
// nothing ran. One timer that re-arms itself costs the hot path one store.
func (g *Grant) watchIdle(bound time.Duration) {
	var timer *time.Timer
	timer = time.AfterFunc(bound, func() {
		quiet := time.Since(time.Unix(0, g.active.Load()))
		g.mu.Lock()
		busy := len(g.open) > 0
		if g.closed {
			g.mu.Unlock()
			return
		}
		if busy {
			quiet = 0
		}
		if quiet < bound {
			timer.Reset(bound - quiet)
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		g.End(ErrIdle)
	})
	g.timers = append(g.timers, timer)
}

// Session is the session's id, also the name of its AuditSession object.
func (g *Grant) Session() string { return g.id }

// Principal is the proven caller.
func (g *Grant) Principal() identity.Principal { return g.principal }

// Connection names the Connection of the session.
func (g *Grant) Connection() snapshot.Connection { return g.opened.snapshot.Connection }

// Context ends when the session must; context.Cause says why, in words fit for
// the caller.
func (g *Grant) Context() context.Context { return g.ctx }

// End ends the session with a cause. The protocol sees it on Context, tells
// the caller and calls Close.
func (g *Grant) End(cause error) { g.cancel(cause) }

// Dial reaches the target under the configuration the session was opened with.
func (g *Grant) Dial(ctx context.Context) (Upstream, error) {
	up, err := g.gate.config.Dialer.Dial(ctx, g.opened.snapshot)
	if err != nil {
		return Upstream{}, unavailable(
			fmt.Sprintf("the target of connection %q cannot be reached", g.gate.config.Connection.Name),
			"Run: "+g.gate.describe(), err)
	}
	return up, nil
}

// TLS is how the target's certificate is verified; nil where the Connection
// says Disabled. Without it no clear-text or MD5 password may be sent.
func (g *Grant) TLS(target snapshot.Target) (*tls.Config, error) {
	settings := g.opened.snapshot.TLS
	if settings.Mode == "Disabled" {
		return nil, nil //nolint:nilnil // nil is tls.Config's own word for "no TLS"
	}
	config := &tls.Config{ServerName: settings.ServerName, MinVersion: tls.VersionTLS12}
	if config.ServerName == "" {
		config.ServerName = target.Host
	}
	if settings.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(settings.CA)) {
			return nil, unavailable("the CA bundle of spec.tls.ca holds no certificate", "Run: "+g.gate.describe(), nil)
		}
	}
	return config, nil
}

// Close ends the session for good: what is still open has an unknown outcome,
// and the end is put on record. The reason is the cause of the Context where
// the session was ended, else what the protocol says.
func (g *Grant) Close(reason string) {
	if !g.unregister() {
		return
	}
	if cause := context.Cause(g.ctx); cause != nil {
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
		Result: &record.Result{Outcome: "Ended", Duration: time.Since(g.started)},
	})
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
	g.mu.Unlock()
	for _, timer := range g.timers {
		timer.Stop()
	}
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
	fresh := &maskState{state: st, list: list, rules: mask.Compile(list)}
	g.masks.Store(fresh)
	return fresh
}

// judge says why the session may not go on under a new state, or nil.
func (g *Grant) judge(ctx context.Context, next *state) error {
	was, is := g.opened.snapshot, next.snapshot
	if was.Connection.UID != is.Connection.UID || was.Protocol != is.Protocol ||
		was.TLS != is.TLS || !reflect.DeepEqual(was.Targets, is.Targets) {
		return fmt.Errorf("%w: connection %q now leads elsewhere", ErrRevoked, is.Connection.Name)
	}
	decision, err := next.engine.Connect(ctx, g.principal)
	if err != nil || decision.Effect == policy.Deny {
		return fmt.Errorf("%w: %s may no longer use connection %q", ErrRevoked, g.principal.UserName, is.Connection.Name)
	}
	masks := g.masksUnder(next)
	for _, permit := range g.openPermits() {
		if err := permit.judge(ctx, next, masks); err != nil {
			return err
		}
	}
	return nil
}
