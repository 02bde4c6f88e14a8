// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/snapshot"
)

// How long a target that was of no use is tried last: the pause doubles with
// each failure in a row, so that an address that is gone for good rarely costs
// a session the time it takes to find out.
const (
	firstPause = 10 * time.Second
	mostPause  = 2 * time.Minute
)

// targets remembers which of a Connection's targets were of no use a moment
// ago. It orders and never leaves one out: when all fail, all are tried.
type targets struct {
	mu    sync.Mutex
	known map[snapshot.Target]pause
}

type pause struct {
	length time.Duration
	until  time.Time
}

// order returns the targets in the order to try them in: as given, those that
// failed a moment ago last.
func (t *targets) order(given []snapshot.Target, now time.Time) []snapshot.Target {
	t.mu.Lock()
	defer t.mu.Unlock()
	ordered := make([]snapshot.Target, 0, len(given))
	var last []snapshot.Target
	for _, target := range given {
		if now.Before(t.known[target].until) {
			last = append(last, target)
		} else {
			ordered = append(ordered, target)
		}
	}
	return append(ordered, last...)
}

// good forgets what a target has failed at.
func (t *targets) good(target snapshot.Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, target)
}

// bad remembers that a target was of no use. Failures that come while it is
// tried last anyway do not make the pause longer.
func (t *targets) bad(target snapshot.Target, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, found := t.known[target]
	switch {
	case now.Before(p.until):
		return
	case !found:
		if len(t.known) >= maxKnownTargets {
			clear(t.known)
		}
		p.length = firstPause
	default:
		p.length = min(2*p.length, mostPause)
	}
	p.until = now.Add(p.length)
	if t.known == nil {
		t.known = map[snapshot.Target]pause{}
	}
	t.known[target] = p
}

// maxKnownTargets bounds what is remembered over the revisions of a Connection,
// each of which names at most 8 targets.
const maxKnownTargets = 64
