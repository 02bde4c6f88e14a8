// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// ErrNotWatched is the error of a protocol whose options say that nobody shall
// look at who is logged in.
var ErrNotWatched = errors.New("logins at the target are not watched")

// LookEvery is how often a protocol looks at who is logged in, a fifth more or less.
const LookEvery = 30 * time.Second

// LoginWatch is the proxy's own road to one target, to look at who is logged in
// there. It is for one goroutine.
type LoginWatch struct {
	gate     *Gate
	snapshot *snapshot.Snapshot
	target   snapshot.Target
	told     func(ForeignLogin)
	looked   func(error)
	every    time.Duration
	next     time.Duration
}

// LoginWatchOptions are who hears of a LoginWatch.
type LoginWatchOptions struct {
	// Found is called with each foreign login, once.
	Found func(ForeignLogin)
	// Looked is called after each look; the error is why not all could be told.
	Looked func(error)
	// Every is how often to look; LookEvery where zero.
	Every time.Duration
}

// NewLoginWatch makes the watch of one target of a snapshot.
func (g *Gate) NewLoginWatch(s *snapshot.Snapshot, target snapshot.Target, o LoginWatchOptions) *LoginWatch {
	w := &LoginWatch{gate: g, snapshot: s, target: target, told: o.Found, looked: o.Looked, every: o.Every}
	if w.every <= 0 {
		w.every = LookEvery
	}
	return w
}

// Target is the one to look at.
func (w *LoginWatch) Target() snapshot.Target { return w.target }

// Tag is what this proxy's connections are to be named with: the beginning of
// the last 16 characters of each of its sessions' names.
func (w *LoginWatch) Tag() string { return w.gate.config.Tag }

// Reach connects to the target. That the proxy itself logs in is on record
// before; where the proxy has no proof of freshness it does not.
func (w *LoginWatch) Reach(ctx context.Context) (Upstream, error) {
	g := w.gate
	if _, err := g.open(); err != nil {
		return Upstream{}, err
	}
	if _, err := g.config.Log.Append(ctx, record.Event{
		Type: record.TargetWatched, Connection: recordConnection(w.snapshot.Connection), Revision: w.snapshot.Revision,
		Actor: &identity.Principal{
			Subject: g.config.Instance, UserName: "doorward:proxy:" + g.config.Instance, Kind: identity.Workload, Method: "proxy",
		},
		Attributes: []record.Attribute{{Name: "target", Value: w.target.Address()}},
	}); err != nil {
		return Upstream{}, g.unrecorded("the record could not be written, so nobody looks at the target", err)
	}
	only := *w.snapshot
	only.Targets = []snapshot.Target{w.target}
	up, err := g.config.Dialer.Dial(ctx, &only)
	if err == nil {
		g.reached(w.target, time.Now())
	}
	return up, err
}

// TLS is how the target's certificate is verified, see Grant.TLS.
func (w *LoginWatch) TLS(target snapshot.Target) (*tls.Config, error) {
	return targetTLS(w.snapshot, target, w.gate)
}

// Options are the Connection's spec.options.
func (w *LoginWatch) Options() json.RawMessage { return w.snapshot.Options }

// Next waits for the next look, the first of which is due at once. It returns
// false when the watch is over.
func (w *LoginWatch) Next(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	if w.next > 0 {
		timer := time.NewTimer(w.next)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
	}
	w.next = w.every + time.Duration((rand.Float64()-0.5)*0.4*float64(w.every)) //nolint:gosec // spreads load
	return true
}

// Saw takes what a look has shown: all logins that the options ask for. Those that
// no proxy made go on record, each once.
func (w *LoginWatch) Saw(ctx context.Context, logins []TargetLogin) error {
	w.gate.reached(w.target, time.Now())
	err := w.gate.find(ctx, w.snapshot, w.target, logins, w.told)
	w.looked(err)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}
