// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol"
)

// cancelKey is what a client must know to cancel what a session runs. It is
// the proxy's own: the target's key never leaves the proxy.
type cancelKey struct {
	process uint32
	secret  []byte
}

// The lengths of the secret in protocol 3.0, and in 3.2, as the server has them.
const (
	shortSecret = 4
	longSecret  = 32
)

// Bounds on cancel requests from one address.
const (
	cancelsPerSecond = 10
	cancelBurst      = 20
	// maxLimiters bounds the addresses that are remembered.
	maxLimiters = 4096
	// cancelBound is how long passing a cancel request on may take.
	cancelBound = 5 * time.Second
)

// remember gives a session its key. The process is the target's own where no
// other session here has the same: clients compare it with pg_backend_pid() and
// with the sender of a notification, and end sessions by it. The secret is the
// proxy's own in any case; it is drawn until the key leads peers to this proxy.
func (h *handler) remember(s *session, long bool) {
	process := s.target.pid
	for {
		key := h.drawKey(process, long)
		h.mu.Lock()
		if _, taken := h.sessions[process]; !taken && process != 0 {
			s.key = key
			h.sessions[process] = s
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		var random [4]byte
		_, _ = rand.Read(random[:])
		process = binary.BigEndian.Uint32(random[:]) &^ (1 << 31)
	}
}

// mostDraws bounds the search for a key that leads here: one in 256 does. Without
// it, the session can be canceled through this proxy only.
const mostDraws = 1 << 13

// drawKey draws a secret. To all who cannot tell where a key leads, every secret is
// as likely as any other.
func (h *handler) drawKey(process uint32, long bool) cancelKey {
	key := cancelKey{process: process, secret: make([]byte, shortSecret)}
	if long {
		key.secret = make([]byte, longSecret)
	}
	for range mostDraws {
		// crypto/rand.Read never fails on supported platforms (Go 1.24).
		_, _ = rand.Read(key.secret)
		if h.peers == nil || h.peers.Leads(key.bytes()) {
			break
		}
	}
	return key
}

// bytes are the key as a cancel request has it.
func (k cancelKey) bytes() []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(k.secret)), k.process), k.secret...)
}

func (h *handler) forget(s *session) {
	h.mu.Lock()
	delete(h.sessions, s.key.process)
	h.mu.Unlock()
}

// keyed returns the session of a key, or nil.
func (h *handler) keyed(process uint32, secret []byte) *session {
	h.mu.Lock()
	s := h.sessions[process]
	h.mu.Unlock()
	if s == nil || subtle.ConstantTimeCompare(s.key.secret, secret) != 1 {
		return nil
	}
	return s
}

// allowCancel bounds how often one address, or one network of IPv6, may try.
func (h *handler) allowCancel(client string) bool {
	from := client
	if parsed, err := netip.ParseAddrPort(client); err == nil {
		addr := parsed.Addr().Unmap().WithZone("")
		if from = addr.String(); addr.Is6() {
			// A host has a whole /64 to come from. The error is for other lengths.
			prefix, _ := addr.Prefix(64)
			from = prefix.String()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	limiter := h.limiters[from]
	if limiter == nil {
		if len(h.limiters) >= maxLimiters {
			clear(h.limiters)
		}
		limiter = rate.NewLimiter(cancelsPerSecond, cancelBurst)
		h.limiters[from] = limiter
	}
	return limiter.Allow()
}

// cancel handles a cancel request. The client hears nothing, as the protocol
// has it, so that it cannot tell a right key from a wrong one.
func (h *handler) cancel(ctx context.Context, client string, packet []byte, entry *access.Entry) error {
	if !h.allowCancel(client) {
		return nil
	}
	if len(packet) < 8+shortSecret || len(packet) > 8+maxCancelKey {
		return entry.Reject(ctx, "cancel request of a wrong length")
	}
	key := packet[4:]
	ctx, stop := context.WithTimeout(ctx, cancelBound)
	defer stop()
	switch known, err := h.cancelHere(ctx, key); {
	case known:
		return err
	case h.peers != nil && h.peers.Ask(ctx, key):
		return nil
	default:
		return entry.Reject(context.WithoutCancel(ctx), "cancel request with an unknown key")
	}
}

// cancelHere cancels what the session of a key does, where the key is known here.
func (h *handler) cancelHere(ctx context.Context, key []byte) (known bool, err error) {
	if len(key) < 4+shortSecret {
		return false, nil
	}
	s := h.keyed(binary.BigEndian.Uint32(key), key[4:])
	if s == nil {
		return false, nil
	}
	if s.cancelHold() {
		return true, nil
	}
	return true, s.target.cancelRunning(ctx, s.grant)
}

// UsePeers implements protocol.PeerUser.
func (h *handler) UsePeers(peers protocol.Peers) { h.peers = peers }

// peerProtocols are the ALPN protocols that peers come with.
func (h *handler) peerProtocols() []string {
	if h.peers == nil {
		return nil
	}
	return []string{h.peers.Protocol()}
}

// answerPeer serves another proxy, to which a client brought the key of a session
// that may be here. It is not asked further.
func (h *handler) answerPeer(ctx context.Context, peer *tls.Conn, entry *access.Entry) error {
	err := h.peers.Answer(ctx, peer, func(ctx context.Context, key []byte) bool {
		ctx, stop := context.WithTimeout(ctx, cancelBound)
		defer stop()
		// The client hears nothing of what fails, here and there.
		known, _ := h.cancelHere(ctx, key)
		return known
	})
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return entry.Reject(ctx, "a client that came as a peer: "+err.Error())
	}
	return nil
}
