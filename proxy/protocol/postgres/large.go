// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"

	"github.com/doorward/doorward/proxy/access"
)

// Analysis takes time and memory in proportion to the tokens of a text, some
// hundred bytes for each. What large texts may take together is bounded here.
const (
	// largeStatement is the size of a text, in bytes, from which on one is
	// analysed at a time, and not kept for others.
	largeStatement = 256 << 10
	// maxPreparedText bounds the texts of a session's prepared statements together.
	maxPreparedText = 8 << 20
)

// analyzing waits until a text may be analysed. The caller calls done afterwards.
// Only the requests pump calls it; what a text executes by name is analysed within.
func (s *session) analyzing(ctx context.Context, text string) (done func(), err error) {
	if len(text) < largeStatement || s.large {
		return func() {}, nil
	}
	select {
	case s.handler.large <- struct{}{}:
		s.large = true
		return func() {
			s.large = false
			<-s.handler.large
		}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// room says whether the session may hold one more prepared statement of a text.
func (s *session) room(text string) *access.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.prepared) >= maxPrepared {
		return limitRefusal
	}
	if len(text) < largeStatement/8 {
		return nil
	}
	held := len(text)
	for _, p := range s.prepared {
		held += len(p.text)
	}
	if held > maxPreparedText {
		return limitRefusal
	}
	return nil
}
