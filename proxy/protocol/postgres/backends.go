// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/snapshot"
)

// maxGone bounds the closed connections that are remembered of one target.
const maxGone = 1 << 16

// backends are the server processes, at each target, of the connections that the
// handler has open, and of those that it closed and a target may still show.
type backends struct {
	mu sync.Mutex // guards at
	at map[snapshot.Target]*processes
}

type processes struct {
	open map[uint32]int // connections by process; a pooler may give one process out twice
	gone map[uint32]time.Time
}

func newBackends() *backends { return &backends{at: map[snapshot.Target]*processes{}} }

// enter remembers a connection until the returned function is called, once.
func (b *backends) enter(target snapshot.Target, pid uint32) (left func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.at[target]
	if p == nil {
		p = &processes{open: map[uint32]int{}, gone: map[uint32]time.Time{}}
		b.at[target] = p
	}
	p.open[pid]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		p.open[pid]--
		if p.open[pid] <= 0 {
			delete(p.open, pid)
		}
		if len(p.gone) >= maxGone {
			clear(p.gone)
		}
		p.gone[pid] = time.Now()
	}
}

// look returns what tells the handler's own connections among those that a target
// shows from now on. It must be called before the target is asked.
func (b *backends) look(target snapshot.Target) *ownBackends {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := &ownBackends{all: b, target: target, began: time.Now(), open: map[uint32]bool{}, gone: map[uint32]time.Time{}}
	own.take(b.at[target])
	return own
}

// ownBackends are the handler's connections to a target from before it was asked
// to after it has answered.
type ownBackends struct {
	all    *backends
	target snapshot.Target
	began  time.Time
	open   map[uint32]bool
	gone   map[uint32]time.Time
}

// take adds what is known now; the backends' mu is held.
func (o *ownBackends) take(p *processes) {
	if p == nil {
		return
	}
	for pid := range p.open {
		o.open[pid] = true
	}
	for pid, at := range p.gone {
		o.gone[pid] = at
	}
}

// answered adds what came meanwhile, and forgets closed connections that the
// target does not show any more.
func (o *ownBackends) answered(shown map[uint32]bool) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	p := o.all.at[o.target]
	o.take(p)
	if p == nil {
		return
	}
	for pid, at := range p.gone {
		if !shown[pid] && at.Before(o.began) {
			delete(p.gone, pid)
		}
	}
}

// has says whether a process that has been there for age is one of them. One that
// began after the handler closed its own is somebody else's.
func (o *ownBackends) has(pid uint32, age time.Duration) bool {
	if o.open[pid] {
		return true
	}
	closed, ok := o.gone[pid]
	return ok && age > time.Since(closed)-time.Second
}
