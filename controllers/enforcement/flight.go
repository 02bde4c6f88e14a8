// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package enforcement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
)

// flights share one proof among all who wait for it, so that whoever makes many requests
// does not have others wait for a proof of each. The zero value is ready.
type flights struct {
	mu   sync.Mutex // guards next
	next *flight    // has not taken off: whoever finds it can still board
}

// flight is one proof. Its results are there once done is closed.
type flight struct {
	done     chan struct{}
	interval interval
	err      error
}

// shared proves enforcement by a proof that begins after the call did, and returns the
// interval that it found.
func (p *Prover) shared(ctx context.Context) (interval, error) {
	for {
		f, pilot := p.flights.board()
		if pilot {
			p.fly(ctx, f)
			return f.interval, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return interval{}, ctx.Err()
		}
		// Another's end is not that of those who waited with it.
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) {
			return f.interval, f.err
		}
	}
}

// fly makes the proof of a flight. Whatever becomes of it, nobody waits for it forever, and
// those who did have no proof.
func (p *Prover) fly(ctx context.Context, f *flight) {
	f.err = errors.New("cannot prove that admission is enforced: the proof came to no end")
	defer close(f.done)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flights.takeOff()
	err := p.prove(ctx)
	f.interval, f.err = p.interval, err
}

// board joins the next flight; true makes the caller fly it.
func (s *flights) board() (*flight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		return s.next, false
	}
	s.next = &flight{done: make(chan struct{})}
	return s.next, true
}

func (s *flights) takeOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = nil
}

// stands says whether an interval goes on.
func (p *Prover) stands(i interval) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval == i
}

// Interval proves enforcement now and names the interval that it is proven for: the same
// name means that it was not interrupted in between.
func (p *Prover) Interval(ctx context.Context) (string, error) {
	i, err := p.shared(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(i.Fingerprint + "\n" + string(i.UID)))
	return hex.EncodeToString(sum[:]), nil
}
