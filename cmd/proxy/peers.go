// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/doorward/doorward/proxy/server"
)

// meet tells others where this instance listens, and lets it ask them.
func (c *connection) meet(listener net.Addr) {
	c.reporter.Address = c.proxy.reachable(listener)
	c.protocols.UsePeers(server.NewPeers(c.proxy.options.instance, c.reporter.Address, c.certificates, c.peers))
}

// reachable is how others reach a port of this process.
func (p *proxy) reachable(listener net.Addr) string {
	if host := p.options.advertise; host != "" {
		if _, port, err := net.SplitHostPort(listener.String()); err == nil {
			return net.JoinHostPort(host, port)
		}
	}
	return listener.String()
}

// peers are the live instances of the Connection, this one among them.
func (c *connection) peers(ctx context.Context) ([]server.Peer, error) {
	live, err := c.reporter.Instances(ctx)
	if err != nil {
		return nil, err
	}
	peers := make([]server.Peer, 0, len(live))
	for _, r := range live {
		peers = append(peers, server.Peer{Instance: r.Instance, Address: r.Address})
	}
	return peers, nil
}

func checkAdvertise(address string) error {
	if address == "" {
		return nil
	}
	if ip, err := netip.ParseAddr(address); err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
		return fmt.Errorf("invalid --advertise-address: want the IP address that other proxies of the Connection reach this one by: %q", address)
	}
	return nil
}
