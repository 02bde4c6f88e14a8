// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/doorward/doorward/proxy/record"
)

// upper is a server that answers everything it got, in capitals, once the client has said all.
func upper(tb testing.TB, network, address string) net.Listener {
	tb.Helper()
	var listen net.ListenConfig
	ln, err := listen.Listen(tb.Context(), network, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				all, _ := io.ReadAll(conn)
				_, _ = conn.Write(bytes.ToUpper(all))
			}()
		}
	}()
	return ln
}

// ask says something through a connection, ends its side and reads the answer.
func ask(conn net.Conn, text string) (string, error) {
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return "", err
		}
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// bothWays is what is on record of so many bytes each way.
func bothWays(n int64) []record.Transfer {
	return []record.Transfer{{Direction: record.ToTarget, Bytes: n}, {Direction: record.ToCaller, Bytes: n}}
}

// TestForward: connections from the target to other places, by destination, with byte counts.
func TestForward(t *testing.T) {
	b := newBench(t, startDaemon(t))
	tcp := upper(t, "tcp", "127.0.0.1:0")
	socket := upper(t, "unix", filepath.Join(t.TempDir(), "s"))
	where := tcp.Addr().String()
	b.allow(t, "forward "+where, "forward "+socket.Addr().String())
	client := b.mustDial(t)
	for network, address := range map[string]string{"tcp": where, "unix": socket.Addr().String()} {
		conn, err := client.Dial(network, address)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		big := strings.Repeat("abc", 1<<20)
		if answer, err := ask(conn, big); err != nil || answer != strings.ToUpper(big) {
			t.Errorf("%s: %d bytes, %v", network, len(answer), err)
		}
		if r := b.result(t, "forward "+address); r.Outcome != succeeded || !slices.Equal(r.Transfers, bothWays(3<<20)) {
			t.Errorf("%s: result %+v", network, r)
		}
	}
	for _, elsewhere := range []string{"127.0.0.1:22", "localhost:80", "[::1]:80"} {
		if _, err := client.Dial("tcp", elsewhere); err == nil || !strings.Contains(err.Error(), "no AccessPolicy allows") {
			t.Errorf("%s: %v", elsewhere, err)
		}
	}
	if _, err := client.Dial("unix", "/run/docker.sock"); err == nil {
		t.Error("another socket was opened")
	}
	for what, payload := range map[string][]byte{
		"a host with a line feed":   ssh.Marshal(directMessage{Host: "127.0.0.1\n", Port: 80, OriginHost: "x"}),
		"a port beyond all":         ssh.Marshal(directMessage{Host: "127.0.0.1", Port: 65536 + 22, OriginHost: "x"}),
		"an empty host":             ssh.Marshal(directMessage{Port: 80, OriginHost: "x"}),
		"more than there should be": append(ssh.Marshal(directMessage{Host: "127.0.0.1", Port: 80, OriginHost: "x"}), 1),
	} {
		if _, _, err := client.OpenChannel(channelDirect, payload); err == nil || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := client.OpenChannel(channelDirectSocket, ssh.Marshal(directSocketMessage{Path: filepath.Dir(socket.Addr().String()) + "/../x"})); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("a path that climbs: %v", err)
	}
	// What nobody listens at: the target's word is passed on, and the outcome on record.
	b.allow(t, "forward *")
	if _, err := client.Dial("tcp", "127.0.0.1:1"); err == nil {
		t.Error("a closed port was reached")
	}
	if r := b.result(t, "forward 127.0.0.1:1"); r.Outcome != failed {
		t.Errorf("result %+v", r)
	}
}

// TestOpenSSHForwards: -W, -L and -D of OpenSSH's client.
func TestOpenSSHForwards(t *testing.T) {
	b := newBench(t, startDaemon(t))
	where := upper(t, "tcp", "127.0.0.1:0").Addr().String()
	b.allow(t, "forward "+where)
	if out, errs, status := finish(t, b.ssh(t, "-W", where, "GATEWAY"), "through"); out != "THROUGH" || status != 0 {
		t.Errorf("-W: %q %q %d", out, errs, status)
	}
	if _, errs, status := finish(t, b.ssh(t, "-W", "127.0.0.1:22", "GATEWAY"), ""); status == 0 || !strings.Contains(errs, "administratively prohibited") {
		t.Errorf("-W elsewhere: %q %d", errs, status)
	}
	local := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	stop := background(t, b.ssh(t, "-N", "-L", local+":"+where, "GATEWAY"))
	defer stop()
	var answer string
	await(t, "-L", func() bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", local)
		if err != nil {
			return false
		}
		answer, err = ask(conn, "local")
		return err == nil && answer != ""
	})
	if answer != "LOCAL" {
		t.Errorf("-L: %q", answer)
	}
}

// background runs a client until stop is called.
func background(tb testing.TB, command *exec.Cmd) (stop func()) {
	tb.Helper()
	var errs lockedBuffer
	command.Stderr = &errs
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = command.Wait()
	}()
	return func() {
		_ = command.Process.Kill()
		<-done
		if tb.Failed() {
			tb.Logf("%v: %s", command.Args, &errs)
		}
	}
}

// TestListen: the target listens for the client, and passes connections on, each a decision.
func TestListen(t *testing.T) {
	b := newBench(t, startDaemon(t))
	port := freePort(t)
	place := fmt.Sprintf("127.0.0.1:%d", port)
	b.allow(t, "listen 127.0.0.1:*", "accept "+place)
	client := b.mustDial(t)
	if ln, err := client.Listen("tcp", "0.0.0.0:0"); err == nil {
		_ = ln.Close()
		t.Error("listening at all addresses was allowed")
	}
	ln, err := client.Listen("tcp", place)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := b.mustDial(t).Listen("tcp", place); err == nil {
		_ = second.Close()
		t.Error("two listen at one place")
	}
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		_, _ = conn.Write(bytes.ToUpper(all))
	}()
	var dialer net.Dialer
	conn, err := dialer.DialContext(deadline(t), "tcp", place)
	if err != nil {
		t.Fatal(err)
	}
	from := conn.LocalAddr().String()
	if answer, err := ask(conn, "remote"); err != nil || answer != "REMOTE" {
		t.Errorf("%q %v", answer, err)
	}
	if r := b.result(t, "accept "+place+" from "+from); r.Outcome != succeeded || !slices.Equal(r.Transfers, bothWays(6)) {
		t.Errorf("result %+v", r)
	}
	// Another client cannot cancel it (checklist 5).
	other := b.mustDial(t)
	if ok, _, err := other.SendRequest(requestUnlisten, true, ssh.Marshal(placeMessage{"127.0.0.1", uint32(port)})); ok || err != nil {
		t.Errorf("another's listener was canceled: %v %v", ok, err)
	}
	if conn, err = dialer.DialContext(deadline(t), "tcp", place); err != nil {
		t.Errorf("the listener is gone: %v", err)
	} else {
		_ = conn.Close()
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if r := b.result(t, "listen "+place); r.Outcome != succeeded {
		t.Errorf("result %+v", r)
	}
	// With any port, connections are of the one that the target chose, and need their own Allow.
	ln, err = client.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err = dialer.DialContext(deadline(t), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := ask(conn, "x"); answer != "" {
		t.Errorf("%q came through", answer)
	}
	b.Log.Await(deadline(t), t, "refusal", func(e record.Event) bool {
		return e.Type == record.OperationDecided && strings.HasPrefix(e.Operation.Statement, "accept "+ln.Addr().String()) && e.Decision.Effect == "Deny"
	})
	// Without a listener, nothing that the target opens comes through.
	ln, err = client.ListenUnix(filepath.Join(t.TempDir(), "sock"))
	if err == nil {
		_ = ln.Close()
		t.Error("a socket was listened at without a rule")
	}
}

// TestOpenSSHRemote: -R of OpenSSH's client.
func TestOpenSSHRemote(t *testing.T) {
	b := newBench(t, startDaemon(t))
	where := upper(t, "tcp", "127.0.0.1:0").Addr().String()
	place := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	defer background(t, b.ssh(t, "-N", "-R", place+":"+where, "GATEWAY"))()
	var answer string
	await(t, "-R", func() bool {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", place)
		if err != nil {
			return false
		}
		answer, err = ask(conn, "remote")
		return err == nil && answer != ""
	})
	if answer != "REMOTE" {
		t.Errorf("-R: %q", answer)
	}
}

// TestAgent: the agent is passed on where both its request and its channels are allowed.
func TestAgent(t *testing.T) {
	b := newBench(t, startDaemon(t))
	keyring := agent.NewKeyring()
	_, private := newKey(t)
	key, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.Add(agent.AddedKey{PrivateKey: key, Comment: "mine"}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		allow []string
		want  string
	}{
		"allowed":          {[]string{"exec *", "agent", "accept agent"}, "mine"},
		"not its channels": {[]string{"exec *", "agent"}, ""},
		"not asked for":    {[]string{"exec *", "accept agent"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b.allow(t, test.allow...)
			client := b.mustDial(t)
			if err := agent.ForwardToAgent(client, keyring); err != nil {
				t.Fatal(err)
			}
			program, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			err = agent.RequestAgentForwarding(program)
			if asked := len(test.allow) > 1 && test.allow[1] == "agent"; (err == nil) != asked {
				t.Errorf("request: %v", err)
			}
			out, _ := program.Output("ssh-add -l")
			if strings.Contains(string(out), "mine") != (test.want != "") {
				t.Errorf("%q", out)
			}
		})
	}
}
