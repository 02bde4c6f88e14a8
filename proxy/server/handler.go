// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
)

// Protocols is the Handler of an endpoint whose protocol is known only when its
// first snapshot has come.
type Protocols struct {
	all   map[string]protocol.Protocol
	peers protocol.Peers // nil where there are none

	mu      sync.Mutex // guards what follows
	name    string
	current protocol.Handler
}

var (
	_ protocol.Handler        = (*Protocols)(nil)
	_ protocol.PeerUser       = (*Protocols)(nil)
	_ protocol.PatientHandler = (*Protocols)(nil)
)

// NewProtocols makes a Handler of the protocols that this build has.
func NewProtocols(all []protocol.Protocol) *Protocols {
	p := &Protocols{all: map[string]protocol.Protocol{}}
	for _, one := range all {
		p.all[one.Name()] = one
	}
	return p
}

// UsePeers implements protocol.PeerUser. It is called before Use.
func (p *Protocols) UsePeers(peers protocol.Peers) { p.peers = peers }

// Use serves the protocol of this name from the next connection on. An unknown
// one serves nobody.
func (p *Protocols) Use(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == p.name && p.current != nil {
		return nil
	}
	p.name, p.current = name, nil
	found := p.all[name]
	if found == nil {
		return fmt.Errorf("protocol unknown to this proxy: %q: upgrade the proxy to the manager's version", name)
	}
	p.current = found.NewHandler()
	if user, ok := p.current.(protocol.PeerUser); ok && p.peers != nil {
		user.UsePeers(p.peers)
	}
	return nil
}

// LoginTimeout implements protocol.PatientHandler: zero where the protocol in use is none.
func (p *Protocols) LoginTimeout() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if patient, ok := p.current.(protocol.PatientHandler); ok {
		return patient.LoginTimeout()
	}
	return 0
}

// UsesHostKeys says whether callers of the protocol in use know the proxy by SSH host keys.
func (p *Protocols) UsesHostKeys() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, ok := p.all[p.name].(protocol.HostKeyUser)
	return ok && user.UsesHostKeys()
}

// Serve hands a connection to the protocol in use.
func (p *Protocols) Serve(ctx context.Context, conn net.Conn, entry *access.Entry) error {
	p.mu.Lock()
	handler := p.current
	p.mu.Unlock()
	if handler == nil {
		return entry.Reject(ctx, "the proxy has no protocol to serve: no snapshot yet, or one of an unknown protocol")
	}
	return handler.Serve(ctx, conn, entry)
}
