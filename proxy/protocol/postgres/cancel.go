// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/access"
)

// cancelKey is what a client must know to cancel what a session runs. It is
// the proxy's own: the target's key never leaves the proxy.
type cancelKey struct {
	process uint32
	secret  [4]byte // the length that protocol 3.0 has
}

// Bounds on cancel requests from one address.
const (
	cancelsPerSecond = 10
	cancelBurst      = 20
	// maxLimiters bounds the addresses that are remembered.
	maxLimiters = 4096
	// cancelBound is how long passing a cancel request on may take.
	cancelBound = 5 * time.Second
)

// remember gives a session its key.
func (h *handler) remember(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		var random [8]byte
		// crypto/rand.Read never fails on supported platforms (Go 1.24).
		_, _ = rand.Read(random[:])
		s.key = cancelKey{process: binary.BigEndian.Uint32(random[:4]) &^ (1 << 31), secret: [4]byte(random[4:])}
		if _, taken := h.sessions[s.key]; !taken && s.key.process != 0 {
			h.sessions[s.key] = s
			return
		}
	}
}

func (h *handler) forget(s *session) {
	h.mu.Lock()
	delete(h.sessions, s.key)
	h.mu.Unlock()
}

// allowCancel bounds how often one address may try.
func (h *handler) allowCancel(client string) bool {
	host, _, err := net.SplitHostPort(client)
	if err != nil {
		host = client
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	limiter := h.limiters[host]
	if limiter == nil {
		if len(h.limiters) >= maxLimiters {
			clear(h.limiters)
		}
		limiter = rate.NewLimiter(cancelsPerSecond, cancelBurst)
		h.limiters[host] = limiter
	}
	return limiter.Allow()
}

// cancel handles a cancel request. The client hears nothing, as the protocol
// has it, so that it cannot tell a right key from a wrong one.
func (h *handler) cancel(ctx context.Context, client string, packet []byte, entry *access.Entry) error {
	if !h.allowCancel(client) {
		return nil
	}
	if len(packet) != 4+8 {
		return entry.Reject(ctx, "cancel request of a wrong length")
	}
	key := cancelKey{process: binary.BigEndian.Uint32(packet[4:]), secret: [4]byte(packet[8:])}
	h.mu.Lock()
	s := h.sessions[key]
	h.mu.Unlock()
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
