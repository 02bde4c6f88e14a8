// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import "time"

// Awaits says whether the operation that runs waits for its caller to say more,
// such as copy data, and that the caller was heard just now: from then on
// silence counts as idle, as it does between operations. Only the goroutine that
// decides calls it.
func (g *Grant) Awaits(caller bool) {
	g.active.Store(time.Now().UnixNano())
	g.awaits.Store(caller)
}

// dialing says that the session waits for its target, which is not the caller's
// silence. What it returns says that it no longer does.
func (g *Grant) dialing() (done func()) {
	g.dials.Add(1)
	return func() {
		g.active.Store(time.Now().UnixNano())
		g.dials.Add(-1)
	}
}

// checkIdle ends the session once nothing was decided for the bound while
// nothing ran, or what ran waited for the caller. What is held for approval
// runs. One timer that re-arms itself costs the hot path one store.
func (g *Grant) checkIdle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.idle <= 0 {
		return
	}
	quiet := time.Since(time.Unix(0, g.active.Load()))
	if g.dials.Load() > 0 || len(g.open) > 0 && !g.awaits.Load() {
		quiet = 0
	}
	if quiet < g.idle {
		g.idleTimer.Reset(g.idle - quiet)
		return
	}
	g.End(ErrIdle)
}
