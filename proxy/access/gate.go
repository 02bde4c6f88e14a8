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

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/sharing"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// NewVerifier makes the Verifier of a snapshot's identity providers, and of the
// credentials that the manager issues to those whom they prove.
type NewVerifier func(ctx context.Context, s *snapshot.Snapshot) (identity.Verifier, error)

// Config are the parts a Gate is made of. All are required but those that say what an empty
// one means.
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
	// HostKeys are the SSH host keys shown to clients, as hostkey.Parse; nil where the
	// proxy has none.
	HostKeys func() ([]ssh.Signer, error)
	// DeviceLogins begins logins by a browser; nil where nobody logs in so.
	DeviceLogins DeviceLogins
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

func (g *Gate) live() []*Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	grants := make([]*Grant, 0, len(g.sessions))
	for _, grant := range g.sessions {
		grants = append(grants, grant)
	}
	return grants
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
