// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
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

// TestRequestsWhileHeld: what is asked for in an order, signs of life among them, is answered while an
// operation is held, and what is refused is on record (checklist 5).
func TestRequestsWhileHeld(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(protocoltest.HoldAction(actionExec))
	b.Apply(t)
	client := b.mustDial(t)
	place := ssh.Marshal(placeMessage{"127.0.0.1", uint32(freePort(t))})
	held := func() (*protocoltest.Pending, chan error) {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- program.Run("uptime") }()
		return <-b.Approvals.Asked, done
	}
	answered := func(kind string) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, request := range []string{requestListen, kind, requestKeepAlive} {
				if ok, _, err := client.SendRequest(request, true, place); ok || err != nil {
					t.Errorf("%s: %v %v", request, ok, err)
				}
			}
		}()
		select {
		case <-done:
		case <-deadline(t).Done():
			t.Error("a client that asks for signs of life gets none")
		}
	}
	refused := func(what string) {
		b.Log.Await(deadline(t), t, what, func(e record.Event) bool {
			return e.Type == record.OperationDecided && strings.HasPrefix(e.Operation.Statement, what) && e.Decision.Effect == "Deny"
		})
	}
	asked, done := held()
	answered("new@example.com")
	asked.Approve()
	if err := <-done; err != nil {
		t.Errorf("approved: %v", err)
	}
	refused("listen 127.0.0.1")
	refused("request new@example.com")
	if ok, _, err := client.SendRequest(requestListen, true, place); !ok || err != nil {
		t.Errorf("afterwards: %v %v", ok, err)
	}
	// Also where the client leaves before it could be.
	held()
	answered("other@example.com")
	_ = client.Close()
	refused("request other@example.com")
}
