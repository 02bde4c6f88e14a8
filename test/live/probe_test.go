// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// probeEvery is the pause between two statements of a probe, redialEvery that between
// two attempts to log in. What is measured is late by as much.
const (
	probeEvery  = 20 * time.Millisecond
	redialEvery = 50 * time.Millisecond
)

// insufficient is the SQLSTATE of what a policy refuses (insufficient_privilege).
const insufficient = "42501"

// probe is somebody at work: a session that executes one statement again and again, and
// logs in again where it is ended.
type probe struct {
	proxy     *stack.Proxy
	who       issuer.Request
	statement string

	mu      sync.Mutex // guards what follows
	allowed bool
	since   time.Time // when it became so
	said    error     // what the last refusal said
	changed chan struct{}
}

// startProbe puts somebody to work until the test ends.
func startProbe(t *testing.T, proxy *stack.Proxy, who issuer.Request, statement string) *probe {
	t.Helper()
	p := &probe{proxy: proxy, who: who, statement: statement, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func (p *probe) run(ctx context.Context) {
	var session *stacktest.Session
	defer func() { leave(session) }()
	for ctx.Err() == nil {
		pause := probeEvery
		if session == nil {
			var err error
			if session, err = stacktest.Dial(ctx, world, p.proxy, p.who); err != nil {
				session, pause = nil, redialEvery
				p.tell(false, err)
			}
		}
		if session != nil {
			_, err := session.Run(ctx, p.statement)
			p.tell(err == nil, err)
			var refused *pgconn.PgError
			if err != nil && (!errors.As(err, &refused) || refused.Code != insufficient) {
				leave(session)
				session = nil
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func leave(session *stacktest.Session) {
	if session != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = session.Close(ctx) // it may have been ended
	}
}

// tell keeps when the answer became another.
func (p *probe) tell(allowed bool, said error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if said != nil {
		p.said = said
	}
	if p.since.IsZero() || p.allowed != allowed {
		p.allowed, p.since = allowed, now
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// await waits until the statement is answered, or refused, and returns since when.
func (p *probe) await(t *testing.T, allowed bool) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	for {
		p.mu.Lock()
		is, since, said, changed := p.allowed, p.since, p.said, p.changed
		p.mu.Unlock()
		if is == allowed && !since.IsZero() {
			return since
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s at %s: allowed is %t since %s, want %t; the last refusal was: %v", p.who.User, p.proxy.Instance, is, since, allowed, said)
		}
	}
}

// awaitAll is await for each of several.
func awaitAll(t *testing.T, probes []*probe, allowed bool) []time.Time {
	t.Helper()
	times := make([]time.Time, len(probes))
	for i, p := range probes {
		times[i] = p.await(t, allowed)
	}
	return times
}
