// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/access"
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
// proxy's own in any case.
func (h *handler) remember(s *session, long bool) {
	s.key.secret = make([]byte, shortSecret)
	if long {
		s.key.secret = make([]byte, longSecret)
	}
	// crypto/rand.Read never fails on supported platforms (Go 1.24).
	_, _ = rand.Read(s.key.secret)
	h.mu.Lock()
	defer h.mu.Unlock()
	for s.key.process = s.target.pid; ; {
		if _, taken := h.sessions[s.key.process]; !taken && s.key.process != 0 {
			h.sessions[s.key.process] = s
			return
		}
		var random [4]byte
		_, _ = rand.Read(random[:])
		s.key.process = binary.BigEndian.Uint32(random[:]) &^ (1 << 31)
	}
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
	s := h.keyed(binary.BigEndian.Uint32(packet[4:]), packet[8:])
	if s == nil {
		return entry.Reject(ctx, "cancel request with an unknown key")
	}
	if s.cancelHold() {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, cancelBound)
	defer stop()
	return s.target.cancelRunning(ctx, s.grant)
}
