// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/snapshot"
)

// TestIdle: what silence is the caller's.
func TestIdle(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		doing  func(t *testing.T, g *Grant)
		ends   bool
	}{
		"nothing":            {reason: "the caller says nothing", doing: func(*testing.T, *Grant) {}, ends: true},
		"dials":              {reason: "the caller waits for the target", doing: func(_ *testing.T, g *Grant) { g.dialing() }},
		"dialed":             {reason: "the caller may speak", doing: func(_ *testing.T, g *Grant) { g.dialing()() }, ends: true},
		"an operation":       {reason: "the caller waits for its answer", doing: operate},
		"awaits the caller":  {reason: "the target waits for more", doing: func(t *testing.T, g *Grant) { t.Helper(); operate(t, g); g.Awaits(true) }, ends: true},
		"awaited the caller": {reason: "the caller waits for its answer", doing: func(t *testing.T, g *Grant) { t.Helper(); operate(t, g); g.Awaits(true); g.Awaits(false) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, allowing)
			w.apply(allowing, func(s *snapshot.Snapshot) { s.Session.IdleTimeoutSeconds = 3600 })
			g := w.authorize()
			tc.doing(t, g)
			g.active.Store(time.Now().Add(-2 * time.Hour).UnixNano())
			g.checkIdle()
			if ended := errors.Is(context.Cause(g.Context()), ErrIdle); ended != tc.ends {
				t.Errorf("%s: the session ended: %t, want %t", tc.reason, ended, tc.ends)
			}
		})
	}
}

func operate(t *testing.T, g *Grant) {
	t.Helper()
	if _, err := g.Decide(context.Background(), statement()); err != nil {
		t.Fatal(err)
	}
}
