// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sharing finds credentials that are used from several places: by sessions that
// overlap, or one shortly after the other. It remembers in memory where each proof of
// identity was used, as long as that matters, and never the proof itself.
//
// A place is a network, since one client has several addresses of it. Of a proof that is
// bound to one workload it is the very address, which is that workload's. Networks of IPv4
// and of IPv6 are not compared with each other: one client may have both.
package sharing

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	// DefaultIPv4Bits and DefaultIPv6Bits are the lengths of the prefixes that are one place.
	DefaultIPv4Bits = 24
	DefaultIPv6Bits = 48
	// DefaultWindow is how long after a use another from elsewhere is a finding.
	DefaultWindow = 2 * time.Minute
	// DefaultMaxProofs bounds the proofs that are remembered: some 300 bytes each, so some
	// 20 MiB.
	DefaultMaxProofs = 1 << 16
)

// maxPlaces bounds the places that are remembered of one proof, maxSessions the sessions
// that a Finding names, and keepAtMost how long a finding is remembered of a proof without
// an end.
const (
	maxPlaces   = 16
	maxSessions = 32
	keepAtMost  = 24 * time.Hour
)

// Options of a Detector; zero values mean the defaults.
type Options struct {
	IPv4Bits, IPv6Bits int
	Window             time.Duration
	MaxProofs          int
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Use is one use of a proof.
type Use struct {
	// Proof is its id. Nothing is noted where it is empty, or the Client not known.
	Proof string
	// Until is when the proof ends; zero where it does not say.
	Until  time.Time
	Client netip.Addr
	// Bound says that the proof is that of one workload, which has one address.
	Bound bool
	// By names who noted it, for Finding.By.
	By string
}

// Finding is a proof that is used from another place than before.
type Finding struct {
	Proof string
	// Networks are those that it was used from, in CIDR notation, in the order in which
	// they were first seen; the last is the new one.
	Networks []string
	// Sessions are those that go on with it, sorted, at most 32.
	Sessions []string
	// By is that of the use that led to it.
	By string
}

// Detector is safe for concurrent use. One serves all that takes the same proofs.
type Detector struct {
	options   Options
	untracked atomic.Uint64
	forgotten atomic.Uint64

	mu       sync.Mutex // guards what follows, and all entries
	entries  map[string]*entry
	sweepAt  int
	swept    time.Time
	watchers []func(*Finding)
}

// entry is what is known of one proof.
type entry struct {
	until  time.Time // the latest that a use said
	places []place
	visits map[*Visit]struct{}
	// shared stays once it was found.
	shared atomic.Bool
}

type place struct {
	network netip.Prefix
	last    time.Time
	live    int
}

// sweepFrom is the number of proofs from which those that matter no more are looked for, and
// sweepEvery how often at most where there is no room: to look at all of them for each use
// would keep everybody waiting.
const (
	sweepFrom  = 1 << 10
	sweepEvery = time.Second
)

// New makes a Detector.
func New(o Options) *Detector {
	o = o.whole()
	return &Detector{options: o, entries: map[string]*entry{}, sweepAt: min(sweepFrom, o.MaxProofs)}
}

// whole has the defaults filled in.
func (o Options) whole() Options {
	if o.IPv4Bits <= 0 || o.IPv4Bits > 32 {
		o.IPv4Bits = DefaultIPv4Bits
	}
	if o.IPv6Bits <= 0 || o.IPv6Bits > 128 {
		o.IPv6Bits = DefaultIPv6Bits
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	if o.MaxProofs <= 0 {
		o.MaxProofs = DefaultMaxProofs
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Place is the network of an address, or with bound the very address; false where the
// address is not known.
func (o Options) Place(address netip.Addr, bound bool) (netip.Prefix, bool) {
	address = address.Unmap().WithZone("")
	if !address.IsValid() {
		return netip.Prefix{}, false
	}
	o = o.whole()
	bits := address.BitLen()
	switch {
	case bound:
	case address.Is4():
		bits = o.IPv4Bits
	default:
		bits = o.IPv6Bits
	}
	return netip.PrefixFrom(address, bits).Masked(), true
}

// Apart says whether two places are different ones that can be compared.
func Apart(a, b netip.Prefix) bool { return a != b && a.Addr().Is4() == b.Addr().Is4() }

// Watch has f called with each Finding that Tell tells.
func (d *Detector) Watch(f func(*Finding)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = append(d.watchers, f)
}

// Tell tells all who watch of a Finding, and returns when they have acted on it.
func (d *Detector) Tell(f *Finding) {
	d.mu.Lock()
	watchers := d.watchers
	d.mu.Unlock()
	for _, watch := range watchers {
		watch(f)
	}
}

// Note notes a use. The Finding is nil where it comes from nowhere new; whoever gets one
// puts it on record and calls Tell. The Visit is nil where nothing is noted.
func (d *Detector) Note(use Use) (*Visit, *Finding) {
	network, ok := d.options.Place(use.Client, use.Bound)
	if use.Proof == "" || !ok {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := &Visit{detector: d, use: use, network: network}
	now := d.options.Now()
	e := d.find(use, now)
	if e == nil {
		d.untracked.Add(1)
		return v, nil
	}
	v.entry.Store(e)
	return v, e.note(v, now, d.options.Window)
}

// Proofs is how many are remembered.
func (d *Detector) Proofs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries)
}

// Untracked is how many uses were not noted for want of room, Forgotten how many proofs
// without a session were forgotten before their time to make some.
func (d *Detector) Untracked() uint64 { return d.untracked.Load() }

// Forgotten is described with Untracked.
func (d *Detector) Forgotten() uint64 { return d.forgotten.Load() }

// find returns the entry of a proof, making it; nil where there is no room. mu is held.
func (d *Detector) find(use Use, now time.Time) *entry {
	until := use.Until
	if until.IsZero() {
		until = now.Add(keepAtMost)
	}
	if e := d.entries[use.Proof]; e != nil {
		// What proves one caller may be renewed, or say another time of another use.
		if until.After(e.until) {
			e.until = until
		}
		return e
	}
	if n := len(d.entries); n >= d.sweepAt && (n < d.options.MaxProofs || now.Sub(d.swept) >= sweepEvery) {
		for proof, e := range d.entries {
			if e.over(now, d.options.Window) {
				delete(d.entries, proof)
			}
		}
		d.swept, d.sweepAt = now, min(max(sweepFrom, 2*len(d.entries)), d.options.MaxProofs)
	}
	if len(d.entries) >= d.options.MaxProofs && !d.evict(now) {
		return nil
	}
	e := &entry{until: until, visits: map[*Visit]struct{}{}}
	d.entries[use.Proof] = e
	return e
}

// evictLook is how many entries are looked at for one that may go.
const evictLook = 64

// evict makes room for one: by a proof that matters no more, or by forgetting one that is
// neither shared nor in use. A map shows them in no order that anybody could aim at. mu is
// held.
func (d *Detector) evict(now time.Time) bool {
	looked, idle := 0, ""
	for proof, e := range d.entries {
		if e.over(now, d.options.Window) {
			delete(d.entries, proof)
			return true
		}
		if !e.shared.Load() && len(e.visits) == 0 {
			idle = proof
		}
		looked++
		if looked == evictLook {
			break
		}
	}
	if idle == "" {
		return false
	}
	delete(d.entries, idle)
	d.forgotten.Add(1)
	return true
}
