// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"net"
	"sync"

	"github.com/doorward/doorward/proxy/pace"
)

// mostConnections there are at a time, mostOfHost of one host, so that none keeps the
// others out.
const (
	mostConnections = 256
	mostOfHost      = 64
)

// bounded is a listener that closes at once what is more than there may be.
type bounded struct {
	net.Listener

	mu    sync.Mutex // guards what follows
	all   int
	hosts map[string]int
}

func newBounded(listener net.Listener) *bounded {
	return &bounded{Listener: listener, hosts: map[string]int{}}
}

// Accept returns the next connection that there is room for.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := pace.HostOf(conn.RemoteAddr().String())
		if b.enter(host) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { b.leave(host) })}, nil
		}
		_ = conn.Close()
	}
}

func (b *bounded) enter(host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= mostConnections || b.hosts[host] >= mostOfHost {
		return false
	}
	b.all++
	b.hosts[host]++
	return true
}

func (b *bounded) leave(host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	b.hosts[host]--
	if b.hosts[host] == 0 {
		delete(b.hosts, host)
	}
}

// counted leaves when it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
