// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/egress"
	"github.com/doorward/doorward/proxy/pace"
	"github.com/doorward/doorward/proxy/protocol"
)

// peerProtocol is the ALPN protocol of peers.
const peerProtocol = "doorward-peer"

// Bounds on questions to peers, over all clients together. A flood of keys that
// nobody has costs a hash each: few of them lead to anybody. One key that somebody
// has, and one peer, can use up what is theirs, not what is everybody's.
const (
	keyAsksPerSecond  = 2
	keyAskBurst       = 4
	peerAsksPerSecond = 10
	peerAskBurst      = 20
	asksPerSecond     = 20
	askBurst          = 40
	asksAtOnce        = 8
	// mostKeys and mostPeers are how many are kept count of.
	mostKeys  = 4096
	mostPeers = 256
	// mostAsked is how many peers one key is taken to; their numbers may be equal.
	mostAsked = 3
	// peerBound is how long one peer may take to answer, peerDial to be reached.
	peerBound = 5 * time.Second
	peerDial  = 2 * time.Second
	// peersFresh is how long a list of peers is good for; peersNew, where a key leads
	// to none of them: its proxy may be new. Strangers' keys lead nowhere either, so
	// that the second look is taken newBurst times, and then every newEvery.
	peersFresh = 2 * time.Second
	peersNew   = 500 * time.Millisecond
	newEvery   = 5 * time.Second
	newBurst   = 4
)

// Peer is another proxy of the same Connection.
type Peer struct {
	// Instance is its id.
	Instance string
	// Address is the IP address and port that it serves the Connection on.
	Address string
}

// Peers asks the other proxies of one Connection. A peer is one that has the
// private key of the same serving certificate.
type Peers struct {
	instance string
	local    netip.Addr
	rings    rings
	list     func(context.Context) ([]Peer, error)

	keys   *pace.Paces[[sha256.Size]byte] // by the key's digest
	peers  *pace.Paces[string]            // by instance
	limit  *rate.Limiter                  // of all
	anew   *rate.Limiter                  // of second looks at the list
	asking *semaphore.Weighted

	mu     sync.Mutex // guards known and readAt
	known  []Peer
	readAt time.Time
}

var _ protocol.Peers = (*Peers)(nil)

// NewPeers makes the Peers of an instance. The address is its own, as it reports
// it; list returns all instances, or those that others may be found among.
func NewPeers(instance, address string, source CertificateSource, list func(context.Context) ([]Peer, error)) *Peers {
	p := &Peers{
		instance: instance, rings: rings{source: source, instance: instance}, list: list,
		keys:  pace.New[[sha256.Size]byte](keyAsksPerSecond, keyAskBurst, mostKeys),
		peers: pace.New[string](peerAsksPerSecond, peerAskBurst, mostPeers),
		limit: rate.NewLimiter(asksPerSecond, askBurst), anew: rate.NewLimiter(rate.Every(newEvery), newBurst), asking: semaphore.NewWeighted(asksAtOnce),
	}
	if own, err := netip.ParseAddrPort(address); err == nil {
		p.local = own.Addr()
	}
	return p
}

// Protocol implements protocol.Peers.
func (*Peers) Protocol() string { return peerProtocol }

// Leads implements protocol.Peers.
func (p *Peers) Leads(key []byte) bool {
	r, err := p.rings.newest()
	return err == nil && r.leads(r.own, key)
}

// Ask implements protocol.Peers.
func (p *Peers) Ask(ctx context.Context, key []byte) bool {
	if len(key) > protocol.MaxPeerKey {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, peerBound)
	defer cancel()
	all, err := p.rings.present()
	if err != nil {
		return false
	}
	led := leadsTo(p.others(ctx, peersFresh), all, key)
	if len(led) == 0 && p.age() >= peersNew && p.anew.Allow() {
		led = leadsTo(p.others(ctx, peersNew), all, key)
	}
	if led = p.within(led, key, time.Now()); len(led) == 0 || p.asking.Acquire(ctx, 1) != nil {
		return false
	}
	defer p.asking.Release(1)
	answers := make(chan bool, len(led))
	for _, peer := range led {
		go func() {
			known, err := p.ask(ctx, all, peer, key)
			answers <- known && err == nil
		}()
	}
	known := false
	for range led { // whoever was asked is waited for
		known = <-answers || known
	}
	return known
}

// within are those that may be asked now. Only what leads somewhere counts, and what
// a key or a peer has no leave for takes nothing of the leave of all.
func (p *Peers) within(led []Peer, key []byte, now time.Time) []Peer {
	if len(led) == 0 || !p.keys.Allow(sha256.Sum256(key), now) {
		return nil
	}
	led = slices.DeleteFunc(led, func(peer Peer) bool { return !p.peers.Allow(peer.Instance, now) })
	if len(led) == 0 || !p.limit.AllowN(now, len(led)) {
		return nil
	}
	return led
}

// leadsTo are those of the peers that a key leads to.
func leadsTo(peers []Peer, all []*ring, key []byte) (led []Peer) {
	for _, peer := range peers {
		for _, r := range all {
			if len(led) < mostAsked && r.leads(r.of(peer.Instance), key) {
				led = append(led, peer)
				break
			}
		}
	}
	return led
}

// age is how long ago the list was read.
func (p *Peers) age() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.readAt)
}

// others are the peers as they were reported, at most that long ago.
func (p *Peers) others(ctx context.Context, within time.Duration) []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.readAt) < within {
		return p.known
	}
	p.readAt = time.Now()
	all, err := p.list(ctx)
	if err != nil {
		return p.known // the API server is away; those that were there may still be
	}
	p.known = nil
	for _, peer := range all {
		if peer.Instance != p.instance && p.dialable(peer.Address) {
			p.known = append(p.known, peer)
		}
	}
	return p.known
}

// dialable says whether an address can be a peer's. Reports can be written by
// others than proxies: none leads this proxy to itself, to the machine that it runs
// on or to the services of its surroundings (checklist 25).
func (p *Peers) dialable(address string) bool {
	found, err := netip.ParseAddrPort(address)
	if err != nil || found.Port() == 0 || found.Addr().Zone() != "" {
		return false
	}
	addr := found.Addr().Unmap()
	if addr.IsLoopback() {
		return p.local.Unmap().IsLoopback()
	}
	return addr.IsGlobalUnicast() && egress.CheckRemote(addr) == nil
}

// ask takes a key to one peer. Nothing is said before the peer has proven that it
// has a certificate of this Connection: the present one, or a former one that it still
// shows while a new one is on its way to all.
func (p *Peers) ask(ctx context.Context, all []*ring, peer Peer, key []byte) (bool, error) {
	var common *ring
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: peerDial}, Config: &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{peerProtocol},
		// More than a name and a signature is asked for: the very bytes.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, r := range all {
				if len(state.PeerCertificates) > 0 && bytes.Equal(state.PeerCertificates[0].Raw, r.certificate.Certificate[0]) {
					common = r
					return nil
				}
			}
			return errors.New("the certificate is not this connection's")
		},
	}}
	conn, err := dialer.DialContext(ctx, "tcp", peer.Address)
	if err != nil {
		return false, fmt.Errorf("cannot reach peer %q: %w", peer.Instance, err)
	}
	defer conn.Close()
	secured, ok := conn.(*tls.Conn)
	if !ok { // tls.Dialer says that it is one
		return false, errors.New("cannot ask a peer: no TLS")
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	proof, err := common.proof(secured.ConnectionState(), key)
	if err != nil {
		return false, err
	}
	question := binary.BigEndian.AppendUint16(proof, uint16(len(key))) //nolint:gosec // bounded by Ask
	if _, err := conn.Write(append(question, key...)); err != nil {
		return false, fmt.Errorf("cannot ask peer %q: %w", peer.Instance, err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return false, fmt.Errorf("cannot hear peer %q: %w", peer.Instance, err)
	}
	return answer[0] == 1, nil
}

// Answer implements protocol.Peers.
func (p *Peers) Answer(ctx context.Context, peer *tls.Conn, take func(context.Context, []byte) bool) error {
	ctx, cancel := context.WithTimeout(ctx, peerBound)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = peer.SetDeadline(time.Unix(1, 0)) })()
	var head [sha256.Size + 2]byte
	if _, err := io.ReadFull(peer, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint16(head[sha256.Size:])
	if n > protocol.MaxPeerKey {
		return fmt.Errorf("invalid question of a peer: %d bytes, limit %d", n, protocol.MaxPeerKey)
	}
	key := make([]byte, n)
	if _, err := io.ReadFull(peer, key); err != nil {
		return err
	}
	all, err := p.rings.present()
	if err != nil {
		return err
	}
	proven := false
	for _, r := range all {
		proof, err := r.proof(peer.ConnectionState(), key)
		if err != nil {
			return err
		}
		proven = proven || hmac.Equal(proof, head[:sha256.Size])
	}
	if !proven {
		return ErrNoPeer
	}
	answer := []byte{0}
	if take(ctx, key) {
		answer[0] = 1
	}
	if _, err := peer.Write(answer); err != nil {
		return fmt.Errorf("cannot answer a peer: %w", err)
	}
	return nil
}

// ErrNoPeer says that a client named the protocol of peers and is none.
var ErrNoPeer = errors.New("a client came as a peer and could not prove it")
