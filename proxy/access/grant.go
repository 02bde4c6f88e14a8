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
	"github.com/doorward/doorward/proxy/identity/sharing"
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
	// visit is the session's use of its caller's credential.
	visit *sharing.Visit
	// sharedAtStart says that the credential was known to be shared then; begun that the
	// start is on record, toldShared that it is on record that the credential is shared.
	sharedAtStart     bool
	begun, toldShared atomic.Bool

	ctx    context.Context //nolint:containedctx // the session's own life, ended by End with its cause
	cancel context.CancelCauseFunc
	active atomic.Int64 // unix nanoseconds of the last operation
	awaits atomic.Bool  // what runs waits for the caller
	dials  atomic.Int32 // that go on

	// view is what the policies make of the caller now; unmasked is a view of opened
	// that masks nothing.
	view     atomic.Pointer[view]
	unmasked *view
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
	// tapes are all recordings by name; nil are those of operations that are done.
	tapes  map[string]*tape
	closed bool
	// end is when the session ends at the latest; zero means never.
	end      time.Time
	endTimer *time.Timer
	// idle is how long nothing may happen; zero means for ever.
	idle      time.Duration
	idleTimer *time.Timer
	// rests are the approvals that the session ends with, each with its timer.
	rests      []*SessionApproval
	restTimers []*time.Timer
	// viewTimer has the session judged anew when the clock changes its policies.
	viewTimer *time.Timer
}

// newGrant registers a session, within the Connection's limit.
func newGrant(gate *Gate, st *state, c *Caller) (*Grant, error) {
	now := time.Now()
	own, cancel := context.WithCancelCause(context.Background())
	g := &Grant{
		gate: gate, id: newSessionID(gate.config.Connection.Name, gate.config.Tag), principal: c.principal, client: c.entry.client,
		started: now, opened: st, visit: c.visit, sharedAtStart: c.at.SharedCredential, ctx: own, cancel: cancel, unmasked: &view{state: st},
	}
	g.active.Store(now.UnixNano())
	at := c.at
	at.Time = now
	v := g.viewAs(c.standing, st, at)
	g.view.Store(v)
	role, err := v.standing.TargetRole()
	if err != nil {
		cancel(err)
		return nil, c.noRole(err)
	}
	g.role = role
	if end := sessionEnd(now, v, &c.principal); expired(&c.principal, now) || !end.IsZero() && !end.After(now) {
		cancel(ErrExpired)
		return nil, &Refusal{Reason: ReasonCredential, Message: "the token has expired", Hint: "Get a new token from your identity provider."}
	}
	if err := g.admit(v); err != nil {
		cancel(err)
		return nil, err
	}
	// Whoever makes the gate stale ends the sessions it sees. This one was not
	// seen where that happened before it was registered.
	if _, err := gate.admit(); err != nil {
		g.discard()
		return nil, err
	}
	g.bound(v)
	return g, nil
}

// admit registers the session with its gate.
func (g *Grant) admit(st *view) error {
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
	if limit := st.limits.concurrent; limit.most > 0 && int64(gate.sessionsOf(&g.principal)) >= limit.most {
		return &Refusal{
			Reason: ReasonLimit, Code: codeLimit, Rules: []policy.RuleRef{limit.policy},
			Message: fmt.Sprintf("%s already has %d sessions on this proxy (limit ConcurrentSessions of %s)", g.principal.UserName, limit.most, nameOf(limit.policy)),
			Hint:    fmt.Sprintf("End one of them; see which: kubectl -n %s get auditsessions", gate.config.Connection.Namespace),
		}
	}
	gate.sessions[g.id] = g
	return nil
}

// sessionsOf is how many live sessions somebody has. mu is held.
func (g *Gate) sessionsOf(who *identity.Principal) int {
	n := 0
	for _, other := range g.sessions {
		if other.principal.Issuer == who.Issuer && other.principal.Subject == who.Subject {
			n++
		}
	}
	return n
}

// bound sets the session's ends as a view wants them.
func (g *Grant) bound(st *view) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.stopTimers()
	if g.end = sessionEnd(g.started, st, &g.principal); !g.end.IsZero() {
		g.endTimer = time.AfterFunc(time.Until(g.end), func() { g.End(ErrExpired) })
	}
	g.idle = time.Duration(st.snapshot.Session.IdleTimeoutSeconds) * time.Second
	if own := time.Duration(st.limits.idle.most) * time.Second; own > 0 && (g.idle == 0 || own < g.idle) {
		g.idle = own
	}
	if g.idle > 0 {
		quiet := time.Since(time.Unix(0, g.active.Load()))
		g.idleTimer = time.AfterFunc(g.idle-quiet, g.checkIdle)
	}
	if until := st.standing.Until(); !until.IsZero() {
		g.viewTimer = time.AfterFunc(time.Until(until), g.renew)
	}
}

// outlivesUntil is when the session ends at the latest, where that is after its token; zero
// where it is not.
func (g *Grant) outlivesUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.principal.ExpiresAt.IsZero() || !g.end.After(g.principal.ExpiresAt) {
		return time.Time{}
	}
	return g.end
}

// stopTimers stops the session's timers. mu is held.
func (g *Grant) stopTimers() {
	for _, timer := range []*time.Timer{g.endTimer, g.idleTimer, g.viewTimer} {
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
	word := endReason(cause)
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
		Revision: g.gate.Revision(), Actor: &g.principal, ClientAddress: g.client, Reason: reason, ReasonCode: word,
		Approval: g.wentAhead(), Decision: advised(cause),
		Result: &record.Result{Outcome: "Ended", Duration: time.Since(g.started)}, Memo: &g.memo,
	})
	for _, w := range g.watchers {
		w.Closed(word, time.Since(g.started))
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
	for _, timer := range g.restTimers {
		timer.Stop()
	}
	g.mu.Unlock()
	g.visit.Leave()
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
	if err := g.fits(next); err != nil {
		return err
	}
	is := next.snapshot
	v, err := g.viewUnder(ctx, next, time.Now())
	if err != nil {
		return fmt.Errorf("%w: the policies for %s on connection %q cannot be evaluated", ErrRevoked, g.principal.UserName, is.Connection.Name)
	}
	decision, err := v.standing.Connect(ctx)
	if err != nil || decision.Effect == policy.Deny {
		return fmt.Errorf("%w: %s may no longer use connection %q", ErrRevoked, g.principal.UserName, is.Connection.Name)
	}
	if err := g.keepsRole(v); err != nil {
		return err
	}
	if err := g.boundStill(next); err != nil {
		return err
	}
	g.view.Store(v)
	for _, permit := range g.openPermits() {
		if err := permit.judge(ctx, v); err != nil {
			return err
		}
	}
	g.bound(v)
	return nil
}

// fits says why nothing of the session may go on under another state, whatever its
// policies allow, or nil: it leads elsewhere, or was let in by what has changed.
func (g *Grant) fits(next *state) error {
	was, is := g.opened.snapshot, next.snapshot
	if was.Connection.UID != is.Connection.UID || was.Protocol != is.Protocol ||
		was.TLS != is.TLS || !reflect.DeepEqual(was.Targets, is.Targets) {
		return fmt.Errorf("%w: connection %q now leads elsewhere", ErrRevoked, is.Connection.Name)
	}
	// The road does not know what options mean; one may have let this session in.
	if !bytes.Equal(was.Options, is.Options) {
		return fmt.Errorf("%w: the options of connection %q changed", ErrRevoked, is.Connection.Name)
	}
	return proves(was, is, &g.principal)
}

// keepsRole says that policies give another role at the target than the session has.
func (g *Grant) keepsRole(v *view) error {
	if role, err := v.standing.TargetRole(); err != nil || role != g.role {
		return fmt.Errorf("%w: the role at the target that policies give %s on connection %q changed", ErrRevoked, g.principal.UserName, v.snapshot.Connection.Name)
	}
	return nil
}

// proof is what a provider's proof of a caller rests on: all its settings but
// those that only say how it is reached, and what is kept of it.
func proof(s *snapshot.Snapshot, provider string) *snapshot.IdentityProvider {
	for _, p := range s.IdentityProviders {
		if p.Name != provider {
			continue
		}
		p.Claims, p.Login = nil, false
		if p.OIDC != nil {
			settings := *p.OIDC
			settings.DiscoveryURL, settings.CertificateAuthority, settings.ClockSkewSeconds = "", "", 0
			p.OIDC = &settings
		}
		if p.SAML != nil {
			settings := *p.SAML
			settings.ClockSkewSeconds = 0
			p.SAML = &settings
		}
		if p.Kubernetes != nil {
			settings := *p.Kubernetes
			settings.DiscoveryURL, settings.CertificateAuthority = "", ""
			p.Kubernetes = &settings
		}
		return &p
	}
	return nil
}
