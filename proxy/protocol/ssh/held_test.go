// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestHeldIsNotIdle: who waits for an approver is not silent, however short the bound on silence.
func TestHeldIsNotIdle(t *testing.T) {
	const bound = 2
	b := newBench(t, startDaemon(t), func(c *protocoltest.Config, _ map[string]any) {
		c.Session = snapshot.Session{IdleTimeoutSeconds: bound}
	})
	b.Engine.Set(protocoltest.HoldAction(actionExec))
	b.Apply(t)
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- program.Run("uptime") }()
	asked := <-b.Approvals.Asked
	select {
	case reason := <-asked.Withdrawn:
		t.Fatalf("the request was taken back: %s", reason)
	case <-time.After(2 * bound * time.Second):
	}
	asked.Approve()
	if err := <-done; err != nil {
		t.Errorf("approved: %v", err)
	}
}
