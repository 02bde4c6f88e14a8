// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net"
	"net/netip"
	"testing"
)

// remote is a connection from an address.
type remote struct {
	net.Conn
	from   string
	closed bool
}

func (r *remote) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(r.from))
}
func (r *remote) Close() error { r.closed = true; return nil }

// coming are connections that come one after the other.
type coming struct {
	net.Listener
	queue []*remote
}

func (c *coming) Accept() (net.Conn, error) {
	if len(c.queue) == 0 {
		return nil, net.ErrClosed
	}
	next := c.queue[0]
	c.queue = c.queue[1:]
	return next, nil
}

// TestConnectionsOfOneHost (checklist 38): one host has so many connections, and keeps nobody
// else out; a trusted proxy, through which many come, has more.
func TestConnectionsOfOneHost(t *testing.T) {
	trusted := netip.MustParseAddr("192.0.2.9")
	from := &coming{}
	l := newBoundedListener(from, func(a netip.Addr) bool { return a == trusted })
	add := func(address string) *remote {
		r := &remote{from: address}
		from.queue = append(from.queue, r)
		return r
	}
	var open []net.Conn
	accept := func() {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	for range maxOfHost {
		add("[2001:db8::1]:1")
		accept()
	}
	excess := add("[2001:db8::2]:1") // of the same network, which one host has
	other := add("192.0.2.1:1")
	accept()
	if !excess.closed || other.closed {
		t.Errorf("one more of the host is closed: %t, another is not: %t", excess.closed, !other.closed)
	}
	for range maxOfHost + 1 {
		add("192.0.2.9:1")
		accept()
	}
	_ = open[0].Close()
	_ = open[0].Close() // counts once
	again := add("[2001:db8::1]:2")
	accept()
	if again.closed {
		t.Error("one that was closed makes room")
	}
	excess = add("[2001:db8::1]:3")
	if _, err := l.Accept(); err == nil || !excess.closed {
		t.Error("a second close made room for another")
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	_ = again.Close()
	if len(l.open) > 0 {
		t.Errorf("hosts are not forgotten: %v", l.open)
	}
}

// TestURLWithDefaultPort: browsers leave it out of Host.
func TestURLWithDefaultPort(t *testing.T) {
	parsed, err := CheckSettings(Settings{Address: ":8443", URL: "https://Login.example.org:443"})
	if err != nil || parsed.Host != "login.example.org" {
		t.Errorf("got %v, %v", parsed, err)
	}
}
