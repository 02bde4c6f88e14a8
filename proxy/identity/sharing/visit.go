// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sharing

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// Visit is a use that may become a session. A nil one is of a proof that nobody follows,
// and never shared.
type Visit struct {
	detector *Detector
	use      Use
	network  netip.Prefix
	// entry is changed with the detector's mu held, and read without it: others look at a
	// session before it is open.
	entry atomic.Pointer[entry]
	// The detector's mu guards what follows.
	session string
	open    bool
}

// Shared says whether the proof was found to be used from several places.
func (v *Visit) Shared() bool {
	if v == nil {
		return false
	}
	e := v.entry.Load()
	return e != nil && e.shared.Load()
}

// Networks are those that the proof was used from, in CIDR notation, as far as they are
// remembered.
func (v *Visit) Networks() []string {
	if v == nil {
		return nil
	}
	v.detector.mu.Lock()
	defer v.detector.mu.Unlock()
	if e := v.entry.Load(); e != nil {
		return e.networks()
	}
	return nil
}

// Open says that a session goes on with the proof until Leave. It is called once. The Finding
// is as that of Note, and nil where Note has told all there is: what was neither shared nor
// in use may have been forgotten since then, and found its way back from elsewhere.
func (v *Visit) Open(session string) *Finding {
	if v == nil {
		return nil
	}
	d := v.detector
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.options.Now()
	e := d.find(v.use, now)
	if e == nil {
		d.untracked.Add(1)
		return nil
	}
	var finding *Finding
	if v.entry.Swap(e) != e {
		finding = e.note(v, now, d.options.Window)
	}
	v.session, v.open = session, true
	e.visits[v] = struct{}{}
	at := e.at(v.network, now)
	at.live++
	at.last = now
	return finding
}

// Leave says that the session is over. It may be called more than once.
func (v *Visit) Leave() {
	if v == nil {
		return
	}
	d := v.detector
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.open {
		return
	}
	v.open = false
	e := v.entry.Load()
	delete(e.visits, v)
	at := e.at(v.network, d.options.Now())
	at.live = max(at.live-1, 0)
	at.last = d.options.Now()
}

// note notes a use and says what it leads to. The detector's mu is held.
func (e *entry) note(v *Visit, now time.Time, window time.Duration) *Finding {
	known := slices.ContainsFunc(e.places, func(p place) bool { return p.network == v.network })
	elsewhere := slices.ContainsFunc(e.places, func(p place) bool {
		return Apart(p.network, v.network) && (p.live > 0 || now.Sub(p.last) <= window)
	})
	at := e.at(v.network, now)
	at.last = now
	if !elsewhere || known && e.shared.Load() {
		return nil
	}
	e.shared.Store(true)
	f := &Finding{Proof: v.use.Proof, Networks: e.networks(), By: v.use.By}
	if i := slices.Index(f.Networks, v.network.String()); i >= 0 {
		f.Networks = append(slices.Delete(f.Networks, i, i+1), v.network.String())
	}
	for visit := range e.visits {
		f.Sessions = append(f.Sessions, visit.session)
	}
	slices.Sort(f.Sessions)
	f.Sessions = f.Sessions[:min(len(f.Sessions), maxSessions)]
	return f
}

// at is the place of a network, making it: where there are too many, instead of the one
// that was used the longest ago. One with a session is kept, so that the new one may have no
// room; then it is not kept.
func (e *entry) at(network netip.Prefix, now time.Time) *place {
	for i := range e.places {
		if e.places[i].network == network {
			return &e.places[i]
		}
	}
	fresh := place{network: network, last: now}
	if len(e.places) < maxPlaces {
		e.places = append(e.places, fresh)
		return &e.places[len(e.places)-1]
	}
	oldest := -1
	for i := range e.places {
		if e.places[i].live == 0 && (oldest < 0 || e.places[i].last.Before(e.places[oldest].last)) {
			oldest = i
		}
	}
	if oldest < 0 {
		return &fresh
	}
	e.places[oldest] = fresh
	return &e.places[oldest]
}

func (e *entry) networks() []string {
	all := make([]string, len(e.places))
	for i := range e.places {
		all[i] = e.places[i].network.String()
	}
	return all
}

// over says that a proof matters no more: nobody uses it, and either its end has come, or
// it was not found shared and its uses are long past. The detector's mu is held.
func (e *entry) over(now time.Time, window time.Duration) bool {
	if len(e.visits) > 0 {
		return false
	}
	if e.shared.Load() {
		return !now.Before(e.until)
	}
	return !slices.ContainsFunc(e.places, func(p place) bool { return now.Sub(p.last) <= window })
}
