// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/identity"
)

// How often the proof of a live session's caller is asked for again, a fifth more or less;
// how soon where there was no answer; how long one may take; and how many are asked for at
// the same time.
const (
	reproveEvery   = 3 * time.Minute
	reproveRetry   = 20 * time.Second
	reproveTimeout = 10 * time.Second
	maxReproofs    = 8
)

// ErrUnreviewed is the end of a session where nobody has been able to tell for too long
// whether its caller's token still holds.
var ErrUnreviewed = errors.New("the API server could not be asked about the token for longer than spec.proxy.maxStalenessSeconds")

// reproof asks again and again whether a session's caller is still proven: an API server
// refuses the token of a pod that is gone, and the token itself may last for a year.
type reproof struct {
	grant      *Grant
	credential identity.Credential

	mu sync.Mutex // guards what follows
	// next asks, and bound ends the session where no answer has come for too long, whatever
	// keeps it away: also the others who are asked about first.
	next, bound *time.Timer
	// answered is when somebody last said that the caller is still proven.
	answered time.Time
}

// reprove begins to ask, where an API server has reviewed the caller's token.
func (g *Grant) reprove(credential identity.Credential) {
	if !reviewed(g.opened.snapshot, g.principal.Provider) {
		return
	}
	r := &reproof{grant: g, credential: credential, answered: time.Now()}
	r.again(spread(g.gate.config.ReproveEvery))
	r.overdue()
	context.AfterFunc(g.ctx, r.stop)
}

// spread is a time and up to a fifth more or less, so that sessions that began together do
// not ask together.
func spread(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.4*float64(d)) //nolint:gosec // spreads load
}

func (r *reproof) again(after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grant.ctx.Err() == nil {
		r.next = time.AfterFunc(after, r.ask)
	}
}

// overdue ends the session where the last answer is too old, and else looks again when it
// will be. It returns the time until then, by the snapshot in force.
func (r *reproof) overdue() time.Duration {
	g := r.grant
	r.mu.Lock()
	defer r.mu.Unlock()
	most := g.gate.config.ReproveEvery*6/5 + staleness(g.gate.state.Load().snapshot.MaxStalenessSeconds)
	left := time.Until(r.answered.Add(most))
	switch {
	case g.ctx.Err() != nil:
	case left <= 0:
		g.End(ErrUnreviewed)
	case r.bound == nil:
		r.bound = time.AfterFunc(left, func() { r.overdue() })
	default:
		r.bound.Reset(left)
	}
	return left
}

func (r *reproof) proven() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered = time.Now()
}

// stop ends the asking. A session that was over before it began has no timers.
func (r *reproof) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, timer := range []*time.Timer{r.next, r.bound} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// ask asks once, and ends the session or asks again later.
func (r *reproof) ask() {
	g := r.grant
	select {
	case g.gate.reproofs <- struct{}{}:
		defer func() { <-g.gate.reproofs }()
	case <-g.ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, reproveTimeout)
	defer cancel()
	st := g.gate.state.Load()
	_, err := st.verifier.Verify(ctx, r.credential)
	switch {
	case g.ctx.Err() != nil:
	case err == nil:
		r.proven()
		r.overdue()
		r.again(spread(g.gate.config.ReproveEvery))
	case errors.Is(err, identity.ErrRejected):
		g.End(fmt.Errorf("%w: the token of %s is not accepted any more: %w", ErrRevoked, g.principal.UserName, err))
	default:
		if r.overdue() > 0 {
			r.again(spread(min(reproveRetry, g.gate.config.ReproveEvery)))
		}
	}
}
