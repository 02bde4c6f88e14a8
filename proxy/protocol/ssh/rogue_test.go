// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// rogueTarget is a server that does as a test says, for each connection. It takes every login, unless it is edited.
func rogueTarget(tb testing.TB, serve func(ssh.Conn, <-chan ssh.NewChannel, <-chan *ssh.Request), edit ...func(*ssh.ServerConfig)) *daemon {
	tb.Helper()
	var listen net.ListenConfig
	ln, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	host, _ := newKey(tb)
	user, _ := newKey(tb)
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(host)
	for _, e := range edit {
		e(config)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				server, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					return
				}
				serve(server, channels, requests)
				_ = server.Close()
				drop(&peer{server, channels, requests, nil})
			})
		}
	})
	address, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatal(ln.Addr())
	}
	tb.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return &daemon{
		target:  snapshot.Target{Host: "127.0.0.1", Port: int32(address.Port)},
		hostKey: authorizedKey(host.PublicKey()), key: user,
	}
}

// rogueProgram is a target that does as a test says with the first channel, and closes it. The
// end of the connection it leaves to its client, as sshd does.
func rogueProgram(tb testing.TB, serve func(ssh.Channel, <-chan *ssh.Request)) *daemon {
	tb.Helper()
	return rogueTarget(tb, func(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
		serveFirst(channels, requests, serve)
		_ = conn.Wait()
	})
}

// serveFirst does as a test says with the first channel of a client, and closes it.
func serveFirst(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request, serve func(ssh.Channel, <-chan *ssh.Request)) {
	go ssh.DiscardRequests(requests)
	asked := <-channels
	if asked == nil {
		return
	}
	channel, wanted, err := asked.Accept()
	if err != nil {
		return
	}
	serve(channel, wanted)
	_ = channel.Close()
}

// TestRogueTarget: what the target opens was asked for by this client, or is refused (checklist 5).
func TestRogueTarget(t *testing.T) {
	opened := make(chan string, 16)
	over := make(chan struct{})
	d := rogueTarget(t, func(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
		go ssh.DiscardRequests(requests)
		for _, try := range []struct {
			kind string
			data any
		}{
			{channelForwarded, directMessage{Host: "127.0.0.1", Port: 80, OriginHost: "x"}},
			{channelForwardedSocket, forwardedSocketMessage{Path: "/s"}},
			{channelAgent, nil},
			{channelX11, originMessage{"x", 1}},
			{channelSession, nil},
			{channelDirect, directMessage{Host: "127.0.0.1", Port: 80, OriginHost: "x"}},
		} {
			var data []byte
			if try.data != nil {
				data = ssh.Marshal(try.data)
			}
			if _, _, err := conn.OpenChannel(try.kind, data); err == nil {
				opened <- try.kind
			}
		}
		close(opened)
		for asked := range channels {
			_ = asked.Reject(ssh.ConnectionFailed, "\x1b[2Jdrawn "+strings.Repeat("x", 4000))
		}
		<-over
	})
	b := newBench(t, d)
	client := b.mustDial(t)
	keep := client.HandleChannelOpen(channelForwarded)
	for kind := range opened {
		t.Errorf("channel %s reached the client", kind)
	}
	select {
	case asked := <-keep:
		t.Errorf("the client was asked for %s", asked.ChannelType())
	default:
	}
	for statement := range b.decided() {
		if strings.HasPrefix(statement, "accept") {
			t.Errorf("%q was decided on, which nobody had asked for", statement)
		}
	}
	_, err := client.Dial("tcp", "127.0.0.1:9")
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `drawn`) || len(err.Error()) > 2*maxWords {
		t.Errorf("the client was told %.200q", err)
	}
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Run("uptime"); err == nil {
		t.Error("a target that opens no session ran something")
	}
	close(over)
}

// TestTargetGone: the client is told when its target leaves.
func TestTargetGone(t *testing.T) {
	leave := make(chan struct{})
	b := newBench(t, rogueTarget(t, func(_ ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
		serveFirst(channels, requests, func(channel ssh.Channel, wanted <-chan *ssh.Request) {
			request := <-wanted
			_ = request.Reply(true, nil)
			_, _ = channel.Write([]byte("begun"))
			<-leave
		})
	}))
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, errs := &lockedBuffer{}, &lockedBuffer{}
	program.Stdout, program.Stderr = out, errs
	if err := program.Start("uptime"); err != nil {
		t.Fatal(err)
	}
	await(t, "output", func() bool { return out.String() == "begun" })
	close(leave)
	_ = program.Wait()
	if !strings.Contains(errs.String(), errTargetGone.Error()) {
		t.Errorf("told %q", errs)
	}
	if r := b.result(t, "uptime"); r.Outcome != unknown {
		t.Errorf("result %+v", r)
	}
}

// TestTurnedAway: OpenSSH's client shows why there is no session.
func TestTurnedAway(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.RefuseConnect()
	b.Apply(t)
	for name, args := range map[string][]string{"program": {"GATEWAY", "uptime"}, "shell": {"-tt", "GATEWAY"}, "forward": {"-W", "127.0.0.1:1", "GATEWAY"}} {
		if _, errs, status := finish(t, b.ssh(t, args...), ""); status != 255 || !strings.Contains(errs, "may not use connection") {
			t.Errorf("%s: status %d: %q", name, status, errs)
		}
	}
	if n := b.Dialer.Dials(); n != 0 {
		t.Errorf("the target was dialled %d times", n)
	}
}

// TestIdle: a shell where nothing happens is idle, a command that works is not.
func TestIdle(t *testing.T) {
	b := newBench(t, startDaemon(t), func(c *protocoltest.Config, _ map[string]any) { c.Session = snapshot.Session{IdleTimeoutSeconds: 2} })
	if out, errs, status := finish(t, b.ssh(t, "GATEWAY", "sleep 5; echo woke"), ""); out != "woke\n" || status != 0 {
		t.Errorf("%q %q %d", out, errs, status)
	}
	program, err := b.mustDial(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}
	errs := &lockedBuffer{}
	program.Stderr = errs
	in, _ := program.StdinPipe()
	defer in.Close()
	if err := program.Shell(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait()
	if !strings.Contains(errs.String(), access.ErrIdle.Error()) {
		t.Errorf("told %q", errs)
	}
}

// TestPlainShell: a shell without a terminal shows nothing of what is sent to it, so that is recorded.
func TestPlainShell(t *testing.T) {
	b := newBench(t, startDaemon(t))
	if out, errs, status := finish(t, b.ssh(t, "-T", "GATEWAY"), "echo a-word | tr a-z A-Z\n"); !strings.Contains(out, "A-WORD") || status != 0 {
		t.Fatalf("%q %q %d", out, errs, status)
	}
	b.result(t, "shell")
	text := ""
	for _, part := range b.recordings() {
		text += part.Data
	}
	if !strings.Contains(text, `"i","echo a-word`) || !strings.Contains(text, `"o","A-WORD`) {
		t.Errorf("recorded %q", text)
	}
}

// TestReadStatements: what a line does without a target, to try policies.
func TestReadStatements(t *testing.T) {
	reader, ok := New().(protocol.StatementReader)
	if !ok {
		t.Fatal("it reads no statements")
	}
	got, err := reader.ReadStatements("uptime\n\ncat x | sh\n")
	if err != nil || len(got) != 2 || got[0].Operation.Accesses[0] != (policy.Access{Action: "exec", Resource: "uptime"}) || len(got[0].Assumed) != 1 || len(got[1].Assumed) < 2 {
		t.Errorf("%+v %v", got, err)
	}
}

// TestEnds: what is on record of sessions that end, and that no credential is (checklist 49).
func TestEnds(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start("sleep 600"); err != nil {
		t.Fatal(err)
	}
	b.Log.Await(deadline(t), t, "decision", func(e record.Event) bool { return e.Type == record.OperationDecided })
	began := time.Now()
	_ = client.Close()
	b.Log.Await(deadline(t), t, "end", func(e record.Event) bool { return e.Type == record.SessionEnd })
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("a client that left was noticed after %s", took)
	}
	if r := b.result(t, "sleep 600"); r.Outcome != unknown {
		t.Errorf("result %+v", r)
	}
	for _, document := range b.Log.Documents(t) {
		if strings.Contains(document.Reason, canary) || document.Operation != nil && strings.Contains(document.Operation.Statement, canary) {
			t.Errorf("the password is on record: %+v", document)
		}
	}
}

// TestAbandonedProgram: a program whose client left its channel, while the session goes on, runs
// as long as the target has it run, and what came of it is on record.
func TestAbandonedProgram(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	const line = "exec >/dev/null 2>&1 </dev/null; sleep 2; exit 3"
	if err := program.Start(line); err != nil {
		t.Fatal(err)
	}
	_ = program.Close()
	if r := b.result(t, line); r.Exit == nil || r.Exit.Status != 3 {
		t.Errorf("result %+v", r)
	}
	if _, err := client.NewSession(); err != nil {
		t.Errorf("the session is over: %v", err)
	}
}
