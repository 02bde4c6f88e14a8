// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// missedProbes is how many times a side may have said nothing when it is looked at, before it
// counts as gone.
const missedProbes = 3

// requestKeepAlive is asked for a sign of life (OpenSSH, PROTOCOL): any answer is one.
const requestKeepAlive = "keepalive@openssh.com"

// keepsAlive says that a request only asks for a sign of life. Each library has its own name.
func keepsAlive(kind string) bool { return strings.HasPrefix(kind, "keepalive@") }

var errSilent = errors.New("no sign of life came for too long")

// watch ends the session when a side is gone, or gives no sign of life.
func (s *session) watch(ctx context.Context, side *peer, gone error) {
	over := make(chan struct{})
	s.serving.Go(func() {
		_ = side.Wait()
		s.cancel(gone)
		close(over)
	})
	every := s.options.keepAlive()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	answered := make(chan struct{}, 1)
	asked, silent, heard := false, 0, side.heard.Load()
	for {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-answered:
			asked = false
		case <-ticker.C:
			// Whatever comes is a sign of life: the question, and the answer, may be behind much
			// else on a slow line.
			silent++
			if now := side.heard.Load(); now != heard {
				silent, heard = 0, now
			}
			if silent > missedProbes {
				s.cancel(fmt.Errorf("%w: %w", gone, errSilent))
				// Nothing that is written comes through.
				_ = side.Close()
				return
			}
			if asked {
				continue // it is still on its way
			}
			asked = true
			s.serving.Go(func() {
				if _, _, err := side.SendRequest(requestKeepAlive, true, nil); err == nil {
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
		}
	}
}
