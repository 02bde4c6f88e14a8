// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"net/netip"
	"time"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
)

// view is a state as one session sees it: what its policies make of the caller, at
// the time and from where he is. Immutable.
type view struct {
	*state
	at       time.Time // when it was made
	shared   bool      // the caller's credential was found shared by then
	standing policy.Standing
	list     []policy.Mask
	rules    mask.Rules
	names    []string
	limits   *limitSet
	// shadow is nil where policies in mode Audit would change no mask.
	shadow *shadow
}

// holds says that the clock has not changed yet which policies apply.
func (v *view) holds(now time.Time) bool {
	until := v.standing.Until()
	return until.IsZero() || now.Before(until)
}

// viewUnder is a state as the session sees it now.
func (g *Grant) viewUnder(ctx context.Context, st *state, now time.Time) (*view, error) {
	at := circumstances(g.client, now)
	at.SharedCredential = g.visit.Shared()
	standing, err := st.engine.Standing(ctx, g.principal, at)
	if err != nil {
		return nil, err
	}
	return g.viewAs(standing, st, at), nil
}

func (g *Grant) viewAs(standing policy.Standing, st *state, at policy.Circumstances) *view {
	v := &view{state: st, at: at.Time, shared: at.SharedCredential, standing: standing, list: standing.Masks(), limits: g.limitsOf(standing)}
	v.rules = mask.Compile(v.list, st.snapshot.MaskKey.Bytes())
	v.names = v.rules.Names()
	v.shadow = newShadow(standing.AuditMasks(), v.list, st.snapshot.MaskKey.Bytes())
	return v
}

// circumstances are what policies look at besides the caller. An address that is
// none, such as that of a socket in the file system, is not known.
func circumstances(client string, now time.Time) policy.Circumstances {
	address, _ := netip.ParseAddrPort(client)
	return policy.Circumstances{Time: now, Client: address.Addr().Unmap()}
}

// current is what is in force for the session now, or why nothing may pass.
func (g *Grant) current(ctx context.Context, now time.Time) (*view, error) {
	st, err := g.gate.openAt(now)
	if err != nil {
		return nil, err
	}
	known := g.view.Load()
	if known.state == st && known.holds(now) && known.shared == g.visit.Shared() {
		return known, nil
	}
	// Whoever judges the session may be about to end it for these: until then nothing
	// may be decided by the new policies for what was opened under others.
	if err := g.fits(st); err != nil {
		return nil, g.endedBy(err)
	}
	fresh, err := g.viewUnder(ctx, st, now)
	if err != nil {
		return nil, undecided(notEvaluated, err)
	}
	if err := g.keepsRole(fresh); err != nil {
		return nil, g.endedBy(err)
	}
	// Whoever judged the session meanwhile knows better.
	g.view.CompareAndSwap(known, fresh)
	return fresh, nil
}

// endedBy ends the session, and says so.
func (g *Grant) endedBy(cause error) error {
	g.End(cause)
	return g.ended()
}

// renew judges the session when the clock changes its policies: what was allowed at
// certain times only is over when they are.
func (g *Grant) renew() {
	g.gate.applying.Lock()
	defer g.gate.applying.Unlock()
	if st := g.gate.state.Load(); g.ctx.Err() == nil {
		if err := g.judge(context.Background(), st); err != nil {
			g.End(err)
		}
	}
}
