// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pace limits how often something may be done: each kind by itself, or hosts in turn.
package pace

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Paces are limiters of one rate each, by what they limit, and never more than a bound:
// beyond, those are forgotten that nothing was asked of for long enough to have their
// whole burst again, or else the one that was asked least lately. Safe for concurrent
// use.
type Paces[K comparable] struct {
	rate  rate.Limit
	burst int
	most  int

	mu  sync.Mutex // guards all
	all map[K]*pace
}

type pace struct {
	limiter *rate.Limiter
	asked   time.Time
}

// New makes Paces of so many a second, and bursts, for at most so many kinds at a time.
func New[K comparable](perSecond rate.Limit, burst, most int) *Paces[K] {
	return &Paces[K]{rate: perSecond, burst: burst, most: most, all: map[K]*pace{}}
}

// Allow says whether one more is within the pace of its kind.
func (p *Paces[K]) Allow(of K, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.all[of]
	if found == nil {
		if len(p.all) >= p.most {
			p.forget(now)
		}
		found = &pace{limiter: rate.NewLimiter(p.rate, p.burst)}
		p.all[of] = found
	}
	found.asked = now
	return found.limiter.AllowN(now, 1)
}

// Return gives back one that Allow took: what came of it is not to count.
func (p *Paces[K]) Return(of K, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found := p.all[of]; found != nil {
		found.limiter.AllowN(now, -1) // whoever asks next is held to the burst
	}
}

// Len is of how many kinds count is kept.
func (p *Paces[K]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// forget makes room. mu is held.
func (p *Paces[K]) forget(now time.Time) {
	var last K
	var at time.Time
	for of, found := range p.all {
		if found.limiter.TokensAt(now) >= float64(p.burst) {
			delete(p.all, of)
			continue
		}
		if at.IsZero() || found.asked.Before(at) {
			last, at = of, found.asked
		}
	}
	if len(p.all) >= p.most {
		delete(p.all, last)
	}
}
