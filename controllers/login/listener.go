// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net"
	"net/netip"
	"sync"

	"github.com/doorward/doorward/proxy/pace"
)

// boundedListener accepts a connection once fewer than its bound are open, and closes those
// of a host that has as many as one may have: one host must not keep all others out.
type boundedListener struct {
	net.Listener
	free chan struct{}
	// exempt are the addresses through which many hosts come.
	exempt func(netip.Addr) bool

	mu   sync.Mutex // guards open
	open map[netip.Addr]int
}

func newBoundedListener(of net.Listener, exempt func(netip.Addr) bool) *boundedListener {
	return &boundedListener{Listener: of, free: make(chan struct{}, maxConnections), exempt: exempt, open: map[netip.Addr]int{}}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		leave, entered := l.enter(conn.RemoteAddr())
		if !entered {
			_ = conn.Close() // nothing was said
			continue
		}
		return &boundedConn{Conn: conn, release: sync.OnceFunc(func() { leave(); <-l.free })}, nil
	}
}

// enter counts a connection of a host, unless it has as many as it may have.
func (l *boundedListener) enter(remote net.Addr) (leave func(), entered bool) {
	to, err := netip.ParseAddrPort(remote.String())
	address := to.Addr().Unmap().WithZone("")
	if err != nil || l.exempt(address) {
		return func() {}, true
	}
	host := pace.Host(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[host] >= maxOfHost {
		return nil, false
	}
	l.open[host]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open[host]--
		if l.open[host] == 0 {
			delete(l.open, host)
		}
	}, true
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
