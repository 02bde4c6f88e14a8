// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"testing"
)

// neighbours are the peers of a handler, without a network between them.
type neighbours struct {
	other *handler
	mark  byte
	asked int
	leads int // keys that were looked at
}

func (*neighbours) Protocol() string { return "peer" }

func (n *neighbours) Leads(key []byte) bool {
	n.leads++
	return key[len(key)-1] == n.mark
}

func (n *neighbours) Ask(ctx context.Context, key []byte) bool {
	n.asked++
	known, _ := n.other.cancelHere(ctx, key)
	return known
}

func (*neighbours) Answer(context.Context, *tls.Conn, func(context.Context, []byte) bool) error {
	return nil
}

// TestCancelKeysLead is checklist 16: every key leads to the proxy that made it,
// keeps the target's process, and is drawn from all secrets that lead there.
func TestCancelKeysLead(t *testing.T) {
	for name, long := range map[string]bool{"Protocol30": false, "Protocol32": true} {
		t.Run(name, func(t *testing.T) {
			h, peers := newHandler(), &neighbours{mark: 77}
			h.UsePeers(peers)
			seen := map[string]bool{}
			for pid := range uint32(50) {
				s := &session{handler: h, target: &upstream{pid: pid + 1}}
				h.remember(s, long)
				if s.key.process != pid+1 || s.key.secret[len(s.key.secret)-1] != 77 {
					t.Fatalf("key %v: want process %d and a secret that leads here", s.key.process, pid+1)
				}
				if seen[string(s.key.secret)] {
					t.Error("two sessions have one secret")
				}
				seen[string(s.key.secret)] = true
				if h.keyed(s.key.process, s.key.secret) != s || h.keyed(s.key.process, append([]byte{0}, s.key.secret...)) != nil {
					t.Error("the key does not lead to its session, or another does")
				}
			}
			if peers.asked > 0 {
				t.Error("peers were asked for keys")
			}
		})
	}
	// Where no key leads here, a session still has one.
	h := newHandler()
	h.UsePeers(&never{})
	s := &session{handler: h, target: &upstream{pid: 1}}
	h.remember(s, false)
	if bytes.Equal(s.key.secret, make([]byte, shortSecret)) || h.keyed(1, s.key.secret) != s {
		t.Errorf("secret %v without a way", s.key.secret)
	}
}

// never is a place that no key leads to, as while there is no certificate.
type never struct{ neighbours }

func (*never) Leads([]byte) bool { return false }

// TestPeersAreAskedOnce: what a peer brought is not taken to further peers, and a
// key that is known here is taken to none.
func TestPeersAreAskedOnce(t *testing.T) {
	a, b := newHandler(), newHandler()
	toB, toA := &neighbours{other: b}, &neighbours{other: a}
	a.UsePeers(toB)
	b.UsePeers(toA)
	if known, err := b.cancelHere(t.Context(), []byte{0, 0, 0, 1, 1, 2, 3, 4}); known || err != nil {
		t.Errorf("an unknown key: %v, %v", known, err)
	}
	if a.peers.Ask(t.Context(), []byte{0, 0, 0, 1, 1, 2, 3, 4}) || toA.asked != 0 {
		t.Errorf("what a peer brought was asked for %d times, want never", toA.asked)
	}
	if known, err := a.cancelHere(t.Context(), []byte{1}); known || err != nil {
		t.Errorf("a key that is too short: %v, %v", known, err)
	}
}
