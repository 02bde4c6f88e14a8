// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// TestPeers: a key finds the proxy that made it, past those that did not.
func TestPeers(t *testing.T) {
	n := newTown(t)
	a, b, c := n.settle("a", n.source), n.settle("b", n.source), n.settle("c", n.source)
	key := keyOf(t, b.Peers)
	if c.Leads(key) || a.Leads(key) { // one in 128: draw again
		for c.Leads(key) || a.Leads(key) {
			key = keyOf(t, b.Peers)
		}
	}
	if !a.Ask(t.Context(), key) {
		t.Error("the peer that a key leads to was not found")
	}
	if a.heard() != 0 || b.heard() != 1 || c.heard() != 0 {
		t.Errorf("asked: a %d, b %d, c %d times, want b once", a.heard(), b.heard(), c.heard())
	}
	b.knows = func([]byte) bool { return false }
	if a.Ask(t.Context(), key) {
		t.Error("a key that the peer does not know is known")
	}
	if a.Ask(t.Context(), make([]byte, 1<<10)) {
		t.Error("a key of any length is taken")
	}

	// A session's key leads to its proxy after the certificate was renewed.
	b.knows = func([]byte) bool { return true }
	n.source.current.Store(certificate(t))
	b.Leads(key) // every proxy sees the new one; here only who is asked does
	if !a.Ask(t.Context(), key) {
		t.Error("a key of the former certificate leads nowhere")
	}
}

// TestPeersProveThemselves is checklist 16: who has not the private key of the
// Connection's certificate learns no key, and is not heard.
func TestPeersProveThemselves(t *testing.T) {
	n := newTown(t)
	a := n.settle("a", n.source)
	// Signed by whom it may, for the same name: it is another Connection's.
	other := &shown{}
	other.current.Store(certificate(t))
	impostor := n.settle("b", other)
	asked := 0
	all, err := a.rings.present()
	must(t, err)
	for range 2000 {
		key := make([]byte, 8)
		_, _ = rand.Read(key)
		if all[0].leads(all[0].of("b"), key) {
			asked++
			if a.Ask(t.Context(), key) {
				t.Fatal("an impostor was believed")
			}
		}
	}
	if asked == 0 || impostor.heard() > 0 {
		t.Errorf("of %d keys the impostor heard %d, want none of some", asked, impostor.heard())
	}

	// The other way round: a client that names the protocol and has no proof.
	var dialer net.Dialer
	raw, err := dialer.DialContext(t.Context(), "tcp", n.all[0].Address) // a's
	must(t, err)
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{peerProtocol}})
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	key := keyOf(t, a.Peers)
	_, err = conn.Write(append(append(make([]byte, 32), 0, byte(len(key))), key...))
	must(t, err)
	if rest, err := io.ReadAll(conn); len(rest) > 0 {
		t.Errorf("a client without proof is told %v, %v", rest, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.asked) > 0 || len(a.errs) != 1 || !errors.Is(a.errs[0], ErrNoPeer) {
		t.Errorf("asked %v, errors %v; want %v", a.asked, a.errs, ErrNoPeer)
	}
}

// TestPeersAreNotFlooded is checklist 16: what clients try is not passed on to all,
// nor without a bound where it leads somewhere.
func TestPeersAreNotFlooded(t *testing.T) {
	n := newTown(t)
	a, b := n.settle("a", n.source), n.settle("b", n.source)
	b.knows = func([]byte) bool { return false }
	key := make([]byte, 8)
	const tries = 5000
	led := 0
	for range tries {
		_, _ = rand.Read(key)
		if b.Leads(key) {
			led++
		}
	}
	if led > tries/64 {
		t.Errorf("%d of %d keys that nobody made lead to the peer, want one in 256", led, tries)
	}
	began := time.Now()
	for range 10 * peerAskBurst { // somebody with many sessions
		a.Ask(t.Context(), keyOf(t, b.Peers))
	}
	most := peerAskBurst + int(time.Since(began).Seconds()+1)*peerAsksPerSecond
	if got := b.heard(); got < peerAskBurst/2 || got > most {
		t.Errorf("%d of %d questions reached the peer, want at most %d", got, 10*peerAskBurst, most)
	}
	for range 1000 { // that lead to nobody
		_, _ = rand.Read(key)
		a.Ask(t.Context(), key)
	}
	if got := int(n.listed.Load()); got > int(time.Since(began)/peersNew)+2 {
		t.Errorf("the reports were read %d times in %s", got, time.Since(began))
	}
}

// TestPeersOfOthers is checklist 16: whoever sends the key of a session of their own
// again and again, from however many addresses, takes nothing from the sessions of
// others; and what one peer is flooded with takes nothing from the other peers.
func TestPeersOfOthers(t *testing.T) {
	n := newTown(t)
	a, b, c := n.settle("a", n.source), n.settle("b", n.source), n.settle("c", n.source)
	own := keyOf(t, b.Peers)
	for c.Leads(own) {
		own = keyOf(t, b.Peers)
	}
	began := time.Now()
	for range 10 * askBurst {
		a.Ask(t.Context(), own)
	}
	most := keyAskBurst + int(time.Since(began).Seconds()+1)*keyAsksPerSecond
	if got := b.heard(); got == 0 || got > most {
		t.Errorf("one key was taken to its proxy %d times, want at most %d", got, most)
	}
	other := keyOf(t, b.Peers)
	if !a.Ask(t.Context(), other) {
		t.Error("the cancel request of another session of that proxy was dropped")
	}
	for range 4 * askBurst { // keys that lead to b alone
		if key := keyOf(t, b.Peers); !c.Leads(key) {
			a.Ask(t.Context(), key)
		}
	}
	if !a.Ask(t.Context(), keyOf(t, c.Peers)) {
		t.Error("the cancel request of a session of another proxy was dropped")
	}
	if a.keys.Len() > mostKeys || a.peers.Len() > 2 {
		t.Errorf("%d keys and %d peers are kept count of", a.keys.Len(), a.peers.Len())
	}
}

// TestPeersThatAreNew: a key of a proxy that came after the list was read leads to
// it a moment later.
func TestPeersThatAreNew(t *testing.T) {
	n := newTown(t)
	a := n.settle("a", n.source)
	a.Ask(t.Context(), make([]byte, 8)) // reads the list
	b := n.settle("b", n.source)
	key := keyOf(t, b.Peers)
	began := time.Now()
	for !a.Ask(t.Context(), key) {
		if time.Since(began) > peersFresh {
			t.Fatalf("the proxy is not found %s after it came", time.Since(began))
		}
	}
}

// TestDrawsAreCheap: a session's key takes hundreds of draws, which do not look at
// the certificate's files each time.
func TestDrawsAreCheap(t *testing.T) {
	n := newTown(t)
	p := NewPeers("a", "127.0.0.1:1", n.source, n.list)
	began := time.Now()
	for i := range 2000 {
		p.Leads([]byte{byte(i), byte(i >> 8), 0, 0, 0, 0, 0, 0})
	}
	if got := int(n.source.asked.Load()); got > 1+int(time.Since(began)/ringFresh) {
		t.Errorf("the certificate was looked at %d times in %s", got, time.Since(began))
	}
}

// TestPeersWhileCertificateChanges: the proxies do not see a new certificate at the
// same moment; until all do, those that have it still find the others.
func TestPeersWhileCertificateChanges(t *testing.T) {
	n := newTown(t)
	behind := &shown{}
	behind.current.Store(n.source.current.Load())
	a, b := n.settle("a", n.source), n.settle("b", behind)
	key := keyOf(t, b.Peers)
	for a.Leads(key) {
		key = keyOf(t, b.Peers)
	}
	n.source.current.Store(certificate(t))
	if !a.Ask(t.Context(), key) || b.heard() != 1 {
		t.Errorf("a proxy that shows the former certificate heard of a key of its own %d times, want once", b.heard())
	}
}

// TestPeersThatAreGone: nothing happens, within a bound.
func TestPeersThatAreGone(t *testing.T) {
	n := newTown(t)
	a := n.settle("a", n.source)
	address, err := proc.FreeAddress(t.Context())
	must(t, err)
	silent, err := Listen(t.Context(), "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	gone := NewPeers("gone", address, n.source, n.list)
	mute := NewPeers("mute", address, n.source, n.list)
	n.all = append(n.all, Peer{"gone", address}, Peer{"mute", silent.Addr().String()})
	for _, peer := range []*Peers{gone, mute} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if a.Ask(ctx, keyOf(t, peer)) {
			t.Errorf("%q answered", peer.instance)
		}
		cancel()
	}
}

// TestPeersAddresses is checklist 25: whoever can write reports cannot send a proxy
// to itself, to its machine or to the services of a link.
func TestPeersAddresses(t *testing.T) {
	tests := map[string]struct {
		own, address string
		want         bool
	}{
		"Pod":           {"10.0.0.1:5432", "10.0.0.2:5432", true},
		"PodV6":         {"[2001:db8::1]:5432", "[2001:db8::2]:5432", true},
		"Metadata":      {"10.0.0.1:5432", "169.254.169.254:80", false},
		"LinkLocal":     {"10.0.0.1:5432", "[fe80::1%eth0]:5432", false},
		"Loopback":      {"10.0.0.1:5432", "127.0.0.1:5432", false},
		"MappedLoop":    {"10.0.0.1:5432", "[::ffff:127.0.0.1]:5432", false},
		"OnOneMachine":  {"127.0.0.1:5432", "127.0.0.1:5433", true},
		"Unspecified":   {"10.0.0.1:5432", "[::]:5432", false},
		"Multicast":     {"10.0.0.1:5432", "224.0.0.1:5432", false},
		"Name":          {"10.0.0.1:5432", "localhost:5432", false},
		"NoPort":        {"10.0.0.1:5432", "10.0.0.2", false},
		"PortZero":      {"10.0.0.1:5432", "10.0.0.2:0", false},
		"NothingOfOwn":  {"", "127.0.0.1:5432", false},
		"NothingAtAll":  {"10.0.0.1:5432", "", false},
		"Broadcast":     {"10.0.0.1:5432", "255.255.255.255:1", false},
		"MetadataEC2":   {"10.0.0.1:5432", "[fd00:ec2::254]:80", false},
		"MetadataAli":   {"10.0.0.1:5432", "100.100.100.200:80", false},
		"Wireserver":    {"10.0.0.1:5432", "168.63.129.16:80", false},
		"MappedServer":  {"10.0.0.1:5432", "[::ffff:168.63.129.16]:80", false},
		"MetadataOCI":   {"10.0.0.1:5432", "192.0.0.192:80", false},
		"NAT64Metadata": {"10.0.0.1:5432", "[64:ff9b::a9fe:a9fe]:80", false},
		"NAT64Loopback": {"127.0.0.1:5432", "[64:ff9b::7f00:1]:80", false},
		"NAT64Pod":      {"[2001:db8::1]:5432", "[64:ff9b::a00:2]:5432", true},
		"OwnUnspecific": {"[::]:5432", "10.0.0.2:5432", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := NewPeers("a", tc.own, &shown{}, nil)
			if got := p.dialable(tc.address); got != tc.want {
				t.Errorf("dialable(%q) = %v, want %v", tc.address, got, tc.want)
			}
		})
	}
}
