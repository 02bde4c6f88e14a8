// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"time"
)

// Bounds of spec.proxy.maxStalenessSeconds, enforced whatever a snapshot says.
const (
	defaultStaleness = 5 * time.Minute
	longestStaleness = time.Hour
)

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
