// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paces are limiters of one rate each, by what they limit, and never more than most:
// beyond, those are forgotten that nothing was asked of for long enough to have their
// whole burst again, or else the one that was asked least lately.
type paces[K comparable] struct {
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

func newPaces[K comparable](perSecond rate.Limit, burst, most int) *paces[K] {
	return &paces[K]{rate: perSecond, burst: burst, most: most, all: map[K]*pace{}}
}

// allow says whether one more is within the pace of its kind.
func (p *paces[K]) allow(of K, now time.Time) bool {
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

// forget makes room. mu is held.
func (p *paces[K]) forget(now time.Time) {
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
