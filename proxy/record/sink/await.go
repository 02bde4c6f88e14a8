// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRemote says that no sink is off this machine.
var ErrNoRemote = errors.New("no remote sink")

// Await returns nil once a remote sink has acknowledged the record of an index.
// While it waits, no remote sink lets records gather. It fails with ErrNoRemote
// where there is no such sink, and else with the end of ctx, saying how each
// remote sink is doing.
func (s *Shipper) Await(ctx context.Context, index int64) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	for first := true; ; first = false {
		s.mu.Lock()
		remote := false
		for _, w := range s.workers {
			if !w.Remote {
				continue
			}
			remote = true
			if w.Feed.Acknowledged() > index {
				s.mu.Unlock()
				return nil
			}
			if first {
				nudge(w.urgent)
			}
		}
		if s.acknowledged == nil {
			s.acknowledged = make(chan struct{})
		}
		acknowledged := s.acknowledged
		s.mu.Unlock()
		if !remote {
			return ErrNoRemote
		}
		select {
		case <-acknowledged:
		case <-ctx.Done():
			return fmt.Errorf("record %d acknowledged by no remote sink: %w: %s", index, context.Cause(ctx), s.troubles())
		}
	}
}

// troubles says how each remote sink is doing.
func (s *Shipper) troubles() string {
	var all []string
	for _, status := range s.Status() {
		switch {
		case !status.Remote:
		case status.LastError != nil:
			all = append(all, fmt.Sprintf("sink %q: %v", status.Name, status.LastError))
		default:
			all = append(all, fmt.Sprintf("sink %q is slow: %d records behind", status.Name, status.Lag))
		}
	}
	return strings.Join(all, "; ")
}

// announce wakes those who wait. The lock is held.
func (s *Shipper) announce() {
	if s.acknowledged != nil {
		close(s.acknowledged)
		s.acknowledged = nil
	}
}
