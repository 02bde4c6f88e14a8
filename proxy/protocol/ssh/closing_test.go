// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"testing"
	"testing/synctest"
	"time"
)

type closer func()

func (c closer) Close() error { c(); return nil }

// TestCloseTarget: what a client sent before it closed its channel is taken for a while; once the
// session is over nothing is (checklist 36).
func TestCloseTarget(t *testing.T) {
	for name, test := range map[string]struct {
		reason string
		over   bool // the session is, and not only the channel
		taken  time.Duration
		want   time.Duration
	}{
		"taken":     {"all that was sent is with the program", false, time.Second, time.Second},
		"not taken": {"a program that reads nothing is not waited for", false, time.Hour, emptyBound},
		"over":      {"who is cut off may have sent more, and send on", true, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				over, taken, closed := make(chan struct{}), make(chan struct{}), time.Duration(-1)
				if test.over {
					close(over)
				}
				time.AfterFunc(test.taken, func() { close(taken) })
				r := &run{program: &program{session: &session{over: over}}}
				r.closeTarget(closer(func() { closed = time.Since(began) }), taken)
				if closed != test.want {
					t.Errorf("closed after %s, want %s: %s", closed, test.want, test.reason)
				}
			})
		})
	}
}
