// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// NewVerifier makes the Verifier of a snapshot's identity providers, and of the
// credentials that the manager issues to those whom they prove.
type NewVerifier func(ctx context.Context, s *snapshot.Snapshot) (identity.Verifier, error)

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
	// Trouble, where set, is told what went wrong behind a refusal that is not the
	// caller's doing: the caller is not told, and the operators must be.
	Trouble func(refusal string, cause error)
	// Observers are told what happens; there may be none.
	Observers []Observer
	// Instance is the id of the proxy. Tag tells its connections from those of other
	// instances of the Connection, six characters of TagAlphabet; a random one where
	// empty.
	Instance, Tag string
	// Sharing finds credentials that are used from several places. All gates of a proxy
	// have one; where it is nil, the gate has its own.
	Sharing *sharing.Detector
	// ReproveEvery is how often the proof of a live session's caller is asked for again
	// where an API server reviews tokens; 3 minutes where zero.
	ReproveEvery time.Duration
	// Siblings returns all live instances of the Connection; nil where there is no
	// other.
	Siblings func(context.Context) ([]Sibling, error)
}

// Bounds of spec.proxy.maxStalenessSeconds, enforced whatever a snapshot says.
const (
	defaultStaleness = 5 * time.Minute
	longestStaleness = time.Hour
)

// Gate is the entrance to one Connection. Safe for concurrent use.
type Gate struct {
	config Config
	// state is what is in force; nil until the first snapshot was applied.
	state atomic.Pointer[state]
	// until is the instant at which the proof of freshness runs out; nil where
	// there is none.
	until atomic.Pointer[time.Time]

	// windows counts what callers take within the windows of their limits.
	windows *windowTable
	// targets remembers which targets were of no use.
	targets targets

	// approved are the approvals of scope Session.
	approved *sessionApprovals

	// reproofs has room for those that are under way.
	reproofs chan struct{}

	// findings counts the credentials that were found shared.
	findings atomic.Uint64

	// foreign is what is known of logins at the targets.
	foreign *foreign

	// applying makes one snapshot follow the other.
	applying sync.Mutex

	// mu guards the fields below.
	mu       sync.Mutex
	sessions map[string]*Grant
	// tls are the serving configurations by the protocols they name: one each,
	// since a copy for each client would forget the keys of its session tickets.
	tls map[string]*tls.Config
	// proof is when the snapshot in force was last proven to be the current one.
	proof time.Time
	timer *time.Timer
	// hits and misses are those of engines that are no longer in force.
	hits, misses uint64
	// draining refuses new sessions; closed refuses everything.
	draining, closed bool
}

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
	if config.Tag == "" {
		config.Tag = randomText(TagLength)
	}
	if config.ReproveEvery <= 0 {
		config.ReproveEvery = reproveEvery
	}
	if config.Sharing == nil {
		config.Sharing = sharing.New(sharing.Options{})
	}
	g := &Gate{config: config, reproofs: make(chan struct{}, maxReproofs), windows: newWindowTable(), foreign: newForeign(), approved: newSessionApprovals(), sessions: map[string]*Grant{}}
	config.Sharing.Watch(g.shared)
	return g, nil
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
// the snapshot's bound passes without another, the gate stays open. The age is
// what the proof had lost on its way; an older proof than the last changes nothing.
func (g *Gate) Heartbeat(age time.Duration) {
	st := g.state.Load()
	if st == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if proof := time.Now().Add(-max(age, 0)); proof.After(g.proof) {
		g.proof = proof
		g.arm(st)
	}
}

// arm sets the instant at which the gate closes. mu is held.
func (g *Gate) arm(st *state) {
	if g.closed || g.proof.IsZero() {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	until := g.proof.Add(staleness(st.snapshot.MaxStalenessSeconds))
	g.until.Store(&until)
	g.timer = time.AfterFunc(time.Until(until), g.expire)
}

func staleness(seconds int32) time.Duration {
	if seconds <= 0 {
		return defaultStaleness
	}
	return min(time.Duration(seconds)*time.Second, longestStaleness)
}

// fresh asks the clock that counts on and the clock on the wall: the first
// stands still while a machine sleeps, the second may be set.
func (g *Gate) fresh() bool { return g.freshAt(time.Now()) }

func (g *Gate) freshAt(now time.Time) bool {
	until := g.until.Load()
	return until != nil && now.Before(*until) && now.Round(0).Before(until.Round(0))
}

// expire ends all sessions, unless a newer proof came while the timer fired.
func (g *Gate) expire() {
	if g.fresh() {
		return
	}
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

// Drain refuses new sessions from now on and leaves the live ones alone.
func (g *Gate) Drain() {
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
}

// Close ends all live sessions with a cause and stops the gate's timer. The
// sessions' own goroutines are waited for by the server.
func (g *Gate) Close(cause error) {
	g.mu.Lock()
	g.draining, g.closed = true, true
	g.until.Store(nil)
	if g.timer != nil {
		g.timer.Stop()
	}
	g.mu.Unlock()
	g.approved.stop()
	for _, grant := range g.live() {
		grant.End(cause)
	}
}

// Ready says why no session could be opened now, or nil.
func (g *Gate) Ready() error {
	_, err := g.admit()
	return err
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

// admit returns the state in force to a caller that has no session yet.
func (g *Gate) admit() (*state, error) {
	g.mu.Lock()
	draining := g.draining
	g.mu.Unlock()
	if draining {
		return nil, &Refusal{
			Reason: ReasonDraining, Message: ErrDraining.Error(), Hint: "Connect again; another proxy, or the next one, will answer.", cause: ErrDraining,
		}
	}
	return g.open()
}

// open returns the state in force, or why nothing may pass.
func (g *Gate) open() (*state, error) { return g.openAt(time.Now()) }

// openAt is open by what the clocks have just said.
func (g *Gate) openAt(now time.Time) (*state, error) {
	st := g.state.Load()
	if st == nil {
		return nil, unavailable(
			fmt.Sprintf("connection %q has no configuration yet", g.config.Connection.Name),
			"Run: "+g.describe(), nil)
	}
	if !g.freshAt(now) {
		return nil, unavailable(ErrStale.Error(), "Check that the manager runs; then: "+g.describe(), ErrStale)
	}
	return st, nil
}

func (g *Gate) describe() string {
	return fmt.Sprintf("kubectl -n %s describe connection %s", g.config.Connection.Namespace, g.config.Connection.Name)
}

// Entry admits one accepted connection to the road.
func (g *Gate) Entry(client net.Addr) *Entry {
	return &Entry{gate: g, client: client.String(), accepted: time.Now()}
}

func recordConnection(c snapshot.Connection) record.Connection {
	return record.Connection{Namespace: c.Namespace, Name: c.Name, UID: c.UID}
}
