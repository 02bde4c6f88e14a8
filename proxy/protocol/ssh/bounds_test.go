// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

// asker is a client that asks for channels until its connection is closed.
type asker struct {
	ssh.Conn
	closed chan struct{}
}

func (a asker) Close() error {
	close(a.closed)
	return nil
}

// asks is a channel that is asked for.
type asks struct{ ssh.NewChannel }

func (asks) Reject(ssh.RejectionReason, string) error { return nil }

// TestTurnedAwayForLong: who gets no session and asks on and on is cut (checklist 4).
func TestTurnedAwayForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, channels, requests := asker{closed: make(chan struct{})}, make(chan ssh.NewChannel), make(chan *ssh.Request)
		go func() {
			defer close(channels)
			for !within(client.closed, leaveBound/2) {
				select {
				case channels <- asks{}:
				case <-client.closed:
				}
			}
		}()
		began := time.Now()
		turnAway(t.Context(), &peer{client, channels, requests, nil}, &access.Refusal{Message: "no"})
		if took := time.Since(began); took != turnBound {
			t.Errorf("it was answered for %s", took)
		}
	})
}

// leaver is a side that leaves while a channel is opened, of which the library never hears.
type leaver struct {
	ssh.Conn
	release chan struct{}
}

func (l leaver) OpenChannel(string, []byte) (ssh.Channel, <-chan *ssh.Request, error) {
	<-l.release
	return nil, nil, errMessage
}

// TestOpenWhileSideLeaves: a session ends, whatever a side that has left was asked for.
func TestOpenWhileSideLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over, side := make(chan struct{}), leaver{release: make(chan struct{})}
		s := &session{over: over}
		time.AfterFunc(time.Second, func() { close(over) })
		if _, _, err := s.openAt(&peer{Conn: side}, channelSession, nil); !errors.Is(err, errOver) {
			t.Errorf("err = %v", err)
		}
		close(side.release)
	})
}

// TestWaitingIsBounded: while an operation is held, what a client asks for besides is kept up to a
// bound (checklist 4).
func TestWaitingIsBounded(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(protocoltest.HoldAction(actionExec))
	b.Apply(t)
	channel, requests, err := b.mustDial(t).OpenChannel(channelSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	if _, err := channel.SendRequest(requestExec, false, ssh.Marshal(textMessage{"uptime"})); err != nil {
		t.Fatal(err)
	}
	asked := <-b.Approvals.Asked
	much := ssh.Marshal(envMessage{"LANG", strings.Repeat("x", 100<<10)})
	for range 2 * maxWaiting / len(much) { // fewer than may wait by number
		if _, err := channel.SendRequest(requestEnv, false, much); err != nil {
			break
		}
	}
	select {
	case <-asked.Withdrawn:
	case <-deadline(t).Done():
		t.Error("the channel is still open")
	}
}

// TestUnstarted: channels on which nothing runs are few, since what is sent on them is kept
// (checklist 4).
func TestUnstarted(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	var open []*ssh.Session
	for range maxUnstarted {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, program)
	}
	refused := func() {
		if program, err := client.NewSession(); err == nil {
			_ = program.Close()
			t.Error("another one was opened")
		}
	}
	refused()
	// One that is closed, and one on which something runs, make room for one each.
	_ = open[0].Close()
	await(t, "room", func() bool {
		_, err := client.NewSession()
		return err == nil
	})
	refused()
	in, err := open[1].StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := open[1].Start("cat"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.NewSession(); err != nil {
		t.Error(err)
	}
	refused()
	// What has run leaves no more room than it took.
	_ = in.Close()
	if err := open[1].Wait(); err != nil {
		t.Error(err)
	}
	refused()
}

// TestFailedLogins: what was tried is on record, also where it was one thing only.
func TestFailedLogins(t *testing.T) {
	b := newBench(t, startDaemon(t))
	tried := func(list ...error) error { return &ssh.ServerAuthError{Errors: list} }
	for name, test := range map[string]struct {
		reason string
		err    error
		want   int
	}{
		"nothing":       {"it left before it asked", tried(), 0},
		"methods":       {"it asked which methods there are", tried(ssh.ErrNoAuth), 0},
		"methods twice": {"it did so twice", tried(ssh.ErrNoAuth, ssh.ErrNoAuth), 0},
		"a key":         {"a key of another authority was signed with", tried(errors.New("foreign")), 1},
		"both":          {"as clients do", tried(ssh.ErrNoAuth, errors.New("foreign")), 1},
		"gone":          {"it hung up", fmt.Errorf("handshake: %w", io.EOF), 0},
		"noise":         {"it sent nonsense", errors.New("nonsense"), 1},
	} {
		before := len(b.Log.OfType(record.AuthenticationFailed))
		l := &login{ctx: t.Context(), entry: b.Gate.Entry(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})}
		if err := l.failed(&opening{}, test.err); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(b.Log.OfType(record.AuthenticationFailed)) - before; got != test.want {
			t.Errorf("%s: %d on record, want %d: %s", name, got, test.want, test.reason)
		}
	}
}

// TestAbandon: a target that does not close a channel holds nobody up, and takes a place.
func TestAbandon(t *testing.T) {
	s, requests := &session{channels: maxChannels - 1}, make(chan *ssh.Request)
	s.abandon(requests)
	if s.enter() {
		t.Error("there is room for another channel")
	}
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		s.abandon(requests)
	}()
	close(requests)
	<-waited
	s.serving.Wait()
	if s.channels != maxChannels-1 {
		t.Errorf("%d channels are left", s.channels)
	}
}

// TestStartedWhileItEnds: what was permitted is not started when the session is over meanwhile
// (checklist 36).
func TestStartedWhileItEnds(t *testing.T) {
	prepared, release, started := make(chan struct{}), make(chan struct{}), make(chan string, 4)
	b := newBench(t, rogueProgram(t, func(_ ssh.Channel, wanted <-chan *ssh.Request) {
		defer close(started)
		for request := range wanted {
			if request.Type == requestTerminal {
				close(prepared)
				<-release
			} else {
				started <- request.Type
			}
			_ = request.Reply(true, nil)
		}
	}))
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.RequestPty("xterm", 24, 80, nil); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = program.Run("uptime")
	}()
	<-prepared
	if !b.Gate.Terminate(b.Log.OfType(record.SessionStart)[0].Session, "enough") {
		t.Fatal("there is no session")
	}
	<-gone // the client was told
	close(release)
	for kind := range started {
		t.Errorf("%s was asked for after the end", kind)
	}
}
