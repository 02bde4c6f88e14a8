// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"container/list"
	"sync"
)

// crowd bounds the clients that have proven nothing yet. Where it is full, the
// oldest client of the host with the most clients must go: a host that opens
// connections and says nothing loses its own, and others still get in.
type crowd struct {
	limit int

	mu    sync.Mutex // guards everything below
	size  int
	hosts map[string]*list.List // of *guest, oldest first
}

type guest struct {
	host    string
	evict   func()
	element *list.Element
}

func newCrowd(limit int) *crowd {
	return &crowd{limit: limit, hosts: map[string]*list.List{}}
}

// enter adds a client; evict is called, once at most, where it must go. leave
// may be called more than once.
func (c *crowd) enter(host string, evict func()) (leave func()) {
	c.mu.Lock()
	var victim *guest
	if c.size >= c.limit {
		victim = c.largest().Front().Value.(*guest) //nolint:forcetypeassert // only guests are in it
		c.remove(victim)
	}
	g := &guest{host: host, evict: evict}
	queue := c.hosts[host]
	if queue == nil {
		queue = list.New()
		c.hosts[host] = queue
	}
	g.element = queue.PushBack(g)
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
func (c *crowd) largest() *list.List {
	var found *list.List
	for _, queue := range c.hosts {
		if found == nil || queue.Len() > found.Len() {
			found = queue
		}
	}
	return found
}

// remove takes a client out, where it is still in. mu is held.
func (c *crowd) remove(g *guest) {
	if g.element == nil {
		return
	}
	queue := c.hosts[g.host]
	queue.Remove(g.element)
	g.element = nil
	c.size--
	if queue.Len() == 0 {
		delete(c.hosts, g.host)
	}
}

func (c *crowd) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}
