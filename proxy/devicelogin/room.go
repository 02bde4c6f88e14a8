// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package devicelogin

import (
	"slices"
	"sync"
)

// room holds those who are waited for, of whom nobody is known yet. Where it is full, the
// eldest of the network that has most makes place for somebody of another: whoever comes in
// great numbers keeps nobody else out.
type room struct {
	mu sync.Mutex // guards guests
	// guests are at most maxWaiting, the eldest first.
	guests []*guest
}

// guest is one of them; leave has him go.
type guest struct {
	network string
	leave   func()
}

// enter takes one more, until exit is called. It says no where there is no place for him.
func (r *room) enter(network string, leave func()) (exit func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.guests) >= maxWaiting {
		count := map[string]int{}
		for _, one := range r.guests {
			count[one.network]++
		}
		// The eldest of those of whom there are most.
		eldest := slices.MaxFunc(r.guests, func(a, b *guest) int { return count[a.network] - count[b.network] })
		if count[network]+1 >= count[eldest.network] {
			return nil, false
		}
		eldest.leave()
		r.remove(eldest)
	}
	mine := &guest{network: network, leave: leave}
	r.guests = append(r.guests, mine)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.remove(mine)
	}, true
}

// remove takes a guest out who is there. mu is held.
func (r *room) remove(who *guest) {
	r.guests = slices.DeleteFunc(r.guests, func(one *guest) bool { return one == who })
}
