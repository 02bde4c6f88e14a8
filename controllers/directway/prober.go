// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package directway tries the way round the proxies: it opens TCP connections to
// the targets of isolated Connections from where the manager runs, which is no
// proxy, and closes them again without a byte.
//
// Whoever may read a Connection's status learns by it whether a port is open to the
// manager. So only what spec.targets of an isolated Connection names is tried, which
// admins write; no address of the manager's own host, of its link or of a cloud's
// services to its machines is; one attempt at a time is made for an address, and few a
// second in all.
//
// Namespaces take turns, so that nobody's many addresses that do not answer hold up
// the Connections of others. What was not tried for three intervals is not known.
package directway

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
)

// Bounds of what is tried.
const (
	// DefaultInterval is how often each Connection's targets are tried, a fifth more
	// or less.
	DefaultInterval = 5 * time.Minute
	// goodFor is for how many intervals a result says something.
	goodFor = 3
	// dialTimeout is how long a target may take to answer.
	dialTimeout = 3 * time.Second
	// workers is how many Connections are tried at once, perNamespace how many of one
	// namespace, perSecond how many addresses in a second. Nobody fills all workers:
	// who is due is tried at the next look.
	workers      = 64
	perNamespace = 16
	perSecond    = 50
	// look is how often it is looked at what is due.
	look = 500 * time.Millisecond
)

// Target is what to try for a Connection.
type Target struct {
	// UID tells a Connection from an earlier one of its name.
	UID types.UID
	// Addresses are host:port of the targets.
	Addresses []string
	// Control is host:port of the proxies, which anybody may reach: where the
	// manager cannot, that it cannot reach the target either says nothing.
	Control string
}

// Result is what came of the last attempt.
type Result struct {
	// At is when the attempt began, Until when it says nothing any more of how things
	// are: three intervals later.
	At, Until time.Time
	// From names the place that it was tried from.
	From string
	// Open are the addresses that could be connected to.
	Open []string
	// Closed are those that refused or did not answer.
	Closed []string
	// Untold is why an address could not be told; empty where all could.
	Untold string
	// Control is why the proxies could not be reached either; empty where they
	// could, or where it did not matter.
	Control string
}

// Options of a Prober.
type Options struct {
	// From names the place where the manager runs, for people.
	From string
	// Interval is how often to try; DefaultInterval where zero.
	Interval time.Duration
	// Loopback has addresses of the manager's own host tried too; suites need it.
	Loopback bool
	// Changed, where not nil, is told of each Connection whose Result is another
	// than before, or the first after one that was too old. It must not wait.
	Changed func(connection types.NamespacedName, before, now Result)
}

// Prober tries the direct way. Start must run.
type Prober struct {
	options Options
	limiter *rate.Limiter // waits in the order of their coming
	dial    dialer

	mu      sync.Mutex // guards what follows
	wanted  map[types.NamespacedName]*wanted
	dialing map[string]*attempt // by address
	turns   turns
}

type wanted struct {
	target Target
	due    time.Time
	busy   bool
	result *Result
}

// New makes a Prober.
func New(o Options) *Prober {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	p := &Prober{
		options: o, limiter: rate.NewLimiter(perSecond, perSecond),
		wanted: map[types.NamespacedName]*wanted{}, dialing: map[string]*attempt{}, turns: turns{running: map[string]int{}},
	}
	p.dial = p.dialTCP
	return p
}

// NeedLeaderElection says that one manager tries, not all.
func (p *Prober) NeedLeaderElection() bool { return true }

// Want has a Connection's targets tried from now on, soon where they are new.
func (p *Prober) Want(connection types.NamespacedName, target Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.wanted[connection]; w != nil && w.target.same(target) {
		return
	}
	p.wanted[connection] = &wanted{target: target}
}

func (t Target) same(other Target) bool {
	return t.UID == other.UID && t.Control == other.Control && slices.Equal(t.Addresses, other.Addresses)
}

// Forget has a Connection's targets not tried any more.
func (p *Prober) Forget(connection types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wanted, connection)
}

// Result is what came of the last attempt at a Connection's targets; false where
// there was none yet.
func (p *Prober) Result(connection types.NamespacedName) (Result, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.wanted[connection]; w != nil && w.result != nil {
		return *w.result, true
	}
	return Result{}, false
}

// Start tries until ctx ends.
func (p *Prober) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		for _, connection := range p.due(time.Now()) {
			running.Go(func() {
				defer p.over(connection)
				p.probe(ctx, connection)
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// probe tries one Connection's targets.
func (p *Prober) probe(ctx context.Context, connection types.NamespacedName) {
	p.mu.Lock()
	w := p.wanted[connection]
	p.mu.Unlock()
	if w == nil {
		return
	}
	now := p.try(ctx, w.target)
	if ctx.Err() != nil {
		return // it was told to stop, which says nothing
	}
	p.mu.Lock()
	before := w.result
	w.result, w.busy = &now, false
	w.due = time.Now().Add(p.options.Interval + time.Duration((rand.Float64()-0.5)*0.4*float64(p.options.Interval))) //nolint:gosec // spreads load
	current := p.wanted[connection] == w
	p.mu.Unlock()
	if before == nil {
		before = &Result{}
	}
	if current && p.options.Changed != nil && (!before.same(now) || now.At.After(before.Until)) {
		p.options.Changed(connection, *before, now)
	}
}

// same says whether two results tell the same; when they came is no matter.
func (r Result) same(other Result) bool {
	return r.From == other.From && r.Untold == other.Untold && r.Control == other.Control &&
		slices.Equal(r.Open, other.Open) && slices.Equal(r.Closed, other.Closed)
}
