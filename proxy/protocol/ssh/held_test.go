// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"errors"
	"io"
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

// TestTypedWhileHeld: Ctrl-C at a terminal takes back what is held, and what is typed before that is
// decided reaches the program.
func TestTypedWhileHeld(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(protocoltest.HoldAction(actionExec))
	b.Apply(t)
	client := b.mustDial(t)
	start := func() (*ssh.Session, io.Writer, *bytes.Buffer, *protocoltest.Pending) {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		keys, err := program.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		shown := &bytes.Buffer{}
		program.Stdout = shown
		if err := program.RequestPty("xterm", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
			t.Fatal(err)
		}
		if err := program.Start("head -n 2"); err != nil {
			t.Fatal(err)
		}
		return program, keys, shown, <-b.Approvals.Asked
	}
	press := func(to io.Writer, keys string) {
		if _, err := io.WriteString(to, keys); err != nil {
			t.Fatal(err)
		}
	}

	program, keys, _, asked := start()
	press(keys, "abc\x03")
	ended := (*ssh.ExitError)(nil)
	if err := program.Wait(); !errors.As(err, &ended) || ended.ExitStatus() != statusInterrupted {
		t.Errorf("interrupted: %v", err)
	}
	select {
	case <-asked.Withdrawn:
	case <-deadline(t).Done():
		t.Error("the request stands")
	}

	// The connection goes on.
	program, keys, shown, asked := start()
	press(keys, "one\n")
	asked.Approve()
	press(keys, "two\n")
	if err := program.Wait(); err != nil || shown.String() != "one\r\ntwo\r\n" {
		t.Errorf("approved: %v, %q", err, shown)
	}
}
