// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// TestExitWhileMoreComes: a program that has ended, and something that it started which says more
// and more, keep the target's other requests from nothing; how a program ended is said once, in
// words that draw on no terminal (checklist 19), and also where the target leaves at once.
func TestExitWhileMoreComes(t *testing.T) {
	t.Run("stays", func(t *testing.T) { exitWhileMoreComes(t, rogueProgram) })
	t.Run("leaves", func(t *testing.T) {
		exitWhileMoreComes(t, func(tb testing.TB, serve func(ssh.Channel, <-chan *ssh.Request)) *daemon {
			tb.Helper()
			return rogueTarget(tb, func(_ ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
				serveFirst(channels, requests, serve)
			})
		})
	})
}

func exitWhileMoreComes(t *testing.T, target func(testing.TB, func(ssh.Channel, <-chan *ssh.Request)) *daemon) {
	t.Helper()
	answered, again := make(chan int, 1), make(chan bool, 1)
	b := newBench(t, target(t, func(channel ssh.Channel, wanted <-chan *ssh.Request) {
		_ = (<-wanted).Reply(true, nil)
		go ssh.DiscardRequests(wanted)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for !within(stop, 50*time.Millisecond) {
				if _, err := channel.Write([]byte("more\n")); err != nil {
					return
				}
			}
		}()
		_, _ = channel.SendRequest(requestKilled, false, ssh.Marshal(killedMessage{Signal: "TERM", Message: "\x1b[2Jgone\xff", Language: "\x1b"}))
		n := 0
		for ; n < 40; n++ { // more than the library holds
			if _, err := channel.SendRequest(requestKeepAlive, true, nil); err != nil {
				break
			}
		}
		answered <- n
		ok, _ := channel.SendRequest(requestStatus, true, ssh.Marshal(statusMessage{0}))
		again <- ok
		close(stop)
		<-stopped
		_ = channel.Close()
	}))
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start("uptime"); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-answered:
		if n != 40 {
			t.Errorf("%d signs of life were answered", n)
		}
	case <-time.After(30 * time.Second):
		t.Error("signs of life were not answered while something spoke on")
	}
	var killed *ssh.ExitError
	if err := program.Wait(); !errors.As(err, &killed) || killed.Signal() != "TERM" || !strings.Contains(killed.Msg(), "gone") || strings.Contains(killed.Error(), "\x1b") {
		t.Errorf("told %q", err)
	}
	if <-again {
		t.Error("a second end was taken")
	}
	if r := b.result(t, "uptime"); r.ErrorCode != "signal TERM" {
		t.Errorf("result %+v", r)
	}
}

// TestWords: names that go from one side to the other are names (checklist 48).
func TestWords(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	for name, want := range map[string]bool{"xterm-256color": true, "": true, "../../../tmp/x": false, "x;id": false, "x\ny": false, strings.Repeat("x", 65): false} {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if err := program.RequestPty(name, 24, 80, nil); (err == nil) != want {
			t.Errorf("TERM %q: %v", name, err)
		}
		_ = program.Close()
	}
	for cookie, want := range map[string]bool{"0123abcd": true, "0\nadd x": false} {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		ok, err := program.SendRequest(requestX11, true, ssh.Marshal(x11Message{Protocol: "MIT-MAGIC-COOKIE-1", Cookie: cookie}))
		if ok != want || err != nil {
			t.Errorf("cookie %q: %v %v", cookie, ok, err)
		}
		_ = program.Close()
	}
	if _, _, err := client.OpenChannel(channelDirect, ssh.Marshal(directMessage{Host: "127.0.0.1", Port: 80, OriginHost: "x\x1b[2J"})); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("an origin that draws: %v", err)
	}
	for text, want := range map[string]string{"a\x1bb": `a\u{1b}b`, "a\x9b2J": "a\ufffd2J", "\u202ea": `\u{202e}a`, "a\r\nb": "a  b", "ä b": "ä b"} {
		if got := plain(text); got != want {
			t.Errorf("plain(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestListenAnswers: what the target says of a listener is a port, and nothing else reaches the client
// (checklist 19), and listeners are few (checklist 5).
func TestListenAnswers(t *testing.T) {
	answers := make(chan []byte, 1)
	b := newBench(t, rogueTarget(t, func(_ ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
		go func() {
			for range channels {
			}
		}()
		for request := range requests {
			if request.Type == requestListen {
				_ = request.Reply(true, <-answers)
			} else {
				_ = request.Reply(false, nil)
			}
		}
	}))
	b.Engine.Set(func(policy.Operation) policy.Decision {
		return policy.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{protocoltest.Rule}}
	})
	b.Apply(t)
	client := b.mustDial(t)
	for name, test := range map[string]struct {
		port         uint32
		answer, want []byte
		ok           bool
	}{
		"a port":            {0, []byte{0, 0, 0x1f, 0x90}, []byte{0, 0, 0x1f, 0x90}, true},
		"none":              {0, nil, nil, false},
		"zero":              {0, []byte{0, 0, 0, 0}, nil, false},
		"beyond all":        {0, []byte{0, 1, 0, 0}, nil, false},
		"more than asked":   {8081, []byte("\x1b[2J"), nil, true},
		"more than a port":  {0, []byte{0, 0, 0x1f, 0x90, 0}, nil, false},
		"as it should be":   {8082, nil, nil, true},
		"nothing but noise": {8083, []byte(strings.Repeat("x", 1<<10)), nil, true},
	} {
		answers <- test.answer
		ok, got, err := client.SendRequest(requestListen, true, ssh.Marshal(placeMessage{"127.0.0.1", test.port}))
		if ok != test.ok || err != nil || string(got) != string(test.want) {
			t.Errorf("%s: %v %q %v", name, ok, got, err)
		}
	}
	// Listeners are few: 8080 to 8083 are four.
	for n := uint32(4); ; n++ {
		select {
		case answers <- nil:
		default: // the last was not asked
		}
		ok, _, err := client.SendRequest(requestListen, true, ssh.Marshal(placeMessage{"127.0.0.1", 9000 + n}))
		if err != nil || n > maxListeners || !ok && n < maxListeners {
			t.Fatalf("with %d listeners: %v %v", n, ok, err)
		}
		if !ok {
			break
		}
	}
}

// TestNobodyReads: who reads no more says so in OpenSSH's words; those of the target go to clients
// that know them.
func TestNobodyReads(t *testing.T) {
	for name, test := range map[string]struct {
		reason, version string
		want            []string
	}{
		"OpenSSH": {"the client reads no more for the program either", "SSH-2.0-OpenSSH_9.2p1", []string{requestNoOutput, requestStatus}},
		"other":   {"some clients leave over requests that they do not know", "SSH-2.0-Other", []string{requestStatus}},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 8)
			b := newBench(t, rogueProgram(t, func(channel ssh.Channel, wanted <-chan *ssh.Request) {
				defer close(told)
				_ = (<-wanted).Reply(true, nil)
				told <- (<-wanted).Type
				_, _ = channel.SendRequest(requestNoOutput, false, nil)
				_, _ = channel.SendRequest(requestStatus, false, ssh.Marshal(statusMessage{0}))
			}))
			client := b.mustDial(t, func(c *ssh.ClientConfig) { c.ClientVersion = test.version })
			program, requests, err := client.OpenChannel(channelSession, nil)
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := program.SendRequest(requestExec, true, ssh.Marshal(textMessage{"uptime"})); !ok || err != nil {
				t.Fatal(ok, err)
			}
			if _, err := program.SendRequest(requestNoOutput, false, nil); err != nil {
				t.Fatal(err)
			}
			if got := <-told; got != requestNoOutput {
				t.Errorf("the target was told %q", got)
			}
			var got []string
			for request := range requests {
				got = append(got, request.Type)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("the client was told %v, want %v: %s", got, test.want, test.reason)
			}
		})
	}
}

// TestNotStarted: what the target does not start, the client is told so as by the target, and may
// ask for something else, with what was set before.
func TestNotStarted(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.allow(t, "subsystem none", "env LANG", "exec echo", "exec printenv")
	client := b.mustDial(t)
	program, requests, err := client.OpenChannel(channelSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	for _, asked := range []struct {
		kind string
		data any
		want bool
	}{
		{requestEnv, envMessage{"LANG", "C.UTF-8"}, true},
		{requestSubsystem, textMessage{"none"}, false},
		{requestSubsystem, textMessage{"none"}, false},
		{requestExec, textMessage{"printenv LANG"}, true},
		{requestExec, textMessage{"echo more"}, false},
	} {
		if ok, err := program.SendRequest(asked.kind, true, ssh.Marshal(asked.data)); err != nil || ok != asked.want {
			t.Fatalf("%s %v: %v %v", asked.kind, asked.data, ok, err)
		}
	}
	if out, err := io.ReadAll(program); err != nil || string(out) != "C.UTF-8\n" {
		t.Errorf("%q %v", out, err)
	}
	if r := b.result(t, "subsystem none"); r.Outcome != failed {
		t.Errorf("result %+v", r)
	}
	if out, errs, status := finish(t, b.ssh(t, "-s", "GATEWAY", "none"), ""); out != "" || errs != "subsystem request failed on channel 0\r\n" || status != 255 {
		t.Errorf("%q %q %d", out, errs, status)
	}
}
