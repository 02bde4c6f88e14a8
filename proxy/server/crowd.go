// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"slices"
	"sync"

	"github.com/doorward/doorward/proxy/pace"
)

// crowd bounds the clients that have proven nothing yet. Where it is full, the
// oldest client of the host with the most clients must go: a host that opens
// connections and says nothing loses its own, and others still get in.
type crowd struct {
	limit int

	mu    sync.Mutex // guards everything below
	size  int
	hosts map[string][]*guest // oldest first
}

type guest struct {
	host  string
	evict func()
}

func newCrowd(limit int) *crowd {
	return &crowd{limit: limit, hosts: map[string][]*guest{}}
}

// enter adds a client of an address; evict is called, once at most, where it must go. leave
// may be called more than once.
func (c *crowd) enter(address string, evict func()) (leave func()) {
	host := pace.HostOf(address)
	c.mu.Lock()
	var victim *guest
	if c.size >= c.limit {
		victim = c.largest()[0]
		c.remove(victim)
	}
	g := &guest{host: host, evict: evict}
	c.hosts[host] = append(c.hosts[host], g)
	c.size++
	c.mu.Unlock()
	if victim != nil {
		victim.evict()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.remove(g)
	}
}

// largest is the queue of the host with the most clients. mu is held; there is one.
func (c *crowd) largest() []*guest {
	var found []*guest
	for _, queue := range c.hosts {
		if len(queue) > len(found) {
			found = queue
		}
	}
	return found
}

// remove takes a client out, where it is still in. mu is held.
func (c *crowd) remove(g *guest) {
	queue := c.hosts[g.host]
	i := slices.Index(queue, g)
	if i < 0 {
		return
	}
	c.size--
	if len(queue) == 1 {
		delete(c.hosts, g.host)
		return
	}
	c.hosts[g.host] = slices.Delete(queue, i, i+1)
}

func (c *crowd) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}
