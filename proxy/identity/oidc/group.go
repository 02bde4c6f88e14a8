// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"sync"
)

// group runs goroutines that end with it. Unlike a plain WaitGroup it can be
// closed while others still want to start one.
type group struct {
	ctx    context.Context //nolint:containedctx // the goroutines outlive the calls that start them
	cancel context.CancelFunc

	mu      sync.Mutex // guards closed and the start of goroutines
	closed  bool
	running sync.WaitGroup
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// run starts f with the group's context; it returns false, and does not, where
// the group is closed.
func (g *group) run(f func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.running.Go(func() { f(g.ctx) })
	return true
}

// close cancels what runs and waits for it.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.running.Wait()
}
