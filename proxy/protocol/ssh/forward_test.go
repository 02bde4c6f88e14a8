// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
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
		if r := b.result(t, "forward "+address); r.Outcome != succeeded || r.Bytes != 2*3<<20 {
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
		if _, _, err := client.OpenChannel(channelDirect, payload); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if _, _, err := client.OpenChannel(channelDirectSocket, ssh.Marshal(directSocketMessage{Path: filepath.Dir(socket.Addr().String()) + "/../x"})); err == nil {
		t.Error("a path that climbs was taken")
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
	if r := b.result(t, "accept "+place+" from "+from); r.Outcome != succeeded || r.Bytes != 12 {
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

// TestFiles: SFTP by OpenSSH's client, scp of both protocols, and what is recorded of them.
func TestFiles(t *testing.T) {
	b := newBench(t, startDaemon(t))
	dir := t.TempDir()
	content := strings.Repeat("content\n", 1<<16)
	local := write(t, filepath.Join(dir, "local"), []byte(content), 0o600)
	there := filepath.Join(dir, "there")
	b.allow(t, "subsystem sftp", "read "+dir+"/*", "write "+there, "stat *", "realpath *", "setstat "+there, "list "+dir, "limits", "home-directory", "users-groups-by-id *",
		"upload "+there+"2", "exec scp")
	if out, errs, status := finish(t, b.client(t, "sftp", "-o", "BatchMode=no", "-b", "-", "GATEWAY"), "put "+local+" "+there+"\nget "+there+" "+there+".back\nls "+dir+"\n"); status != 0 {
		t.Fatalf("sftp: %q %q %d", out, errs, status)
	}
	if got, err := os.ReadFile(there + ".back"); err != nil || string(got) != content {
		t.Errorf("%d bytes came back: %v", len(got), err)
	}
	_, errs, status := finish(t, b.client(t, "sftp", "-o", "BatchMode=no", "-b", "-", "GATEWAY"), "rm "+there+"\n")
	if status == 0 || !strings.Contains(errs, "no AccessPolicy allows") && !strings.Contains(errs, "Permission denied") {
		t.Errorf("rm: %q %d", errs, status)
	}
	if _, err := os.Stat(there); err != nil {
		t.Errorf("what may not be removed: %v", err)
	}
	for name, args := range map[string][]string{"sftp": nil, "old": {"-O"}} {
		to := there
		if name == "old" {
			to = there + "2"
		}
		if out, errs, status := finish(t, b.client(t, "scp", append(args, local, "GATEWAY:"+to)...), ""); status != 0 {
			t.Errorf("scp %s: %q %q %d", name, out, errs, status)
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != content {
			t.Errorf("scp %s: %d bytes came: %v", name, len(got), err)
		}
	}
	// Checklist 7: names that a shell would read as more.
	for _, hostile := range []string{there + "2;touch " + dir + "/pwned", "../../" + there + "2", there + "3"} {
		if _, _, status := finish(t, b.client(t, "scp", "-O", local, "GATEWAY:"+hostile), ""); status == 0 {
			t.Errorf("scp -O to %q went through", hostile)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("a name was run")
	}
	wrote := b.Log.Await(deadline(t), t, "a file", func(e record.Event) bool {
		return e.Type == record.OperationResult && e.Result.Bytes == int64(len(content)) && e.Result.Outcome == succeeded
	})
	if wrote.OperationID == 0 {
		t.Error("no number")
	}
}

// TestControlMaster: many programs of OpenSSH's client on one connection.
func TestControlMaster(t *testing.T) {
	b := newBench(t, startDaemon(t))
	dir, err := os.MkdirTemp("", "cm") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	defer background(t, b.ssh(t, "-M", "-N", "-S", socket, "GATEWAY"))()
	await(t, "master", func() bool { _, err := os.Stat(socket); return err == nil })
	for range 3 {
		if out, errs, status := finish(t, b.ssh(t, "-S", socket, "GATEWAY", "echo again"), ""); out != "again\n" || status != 0 {
			t.Errorf("%q %q %d", out, errs, status)
		}
	}
	if n := len(b.Log.OfType(record.SessionStart)); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestJump: through the gateway to another server (-J), whose bytes nobody here can read.
func TestJump(t *testing.T) {
	d := startDaemon(t)
	b := newBench(t, d)
	b.allow(t, fmt.Sprintf("forward 127.0.0.1:%d", d.target.Port))
	client := b.mustDial(t)
	conn, err := client.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.target.Port))
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(d.hostKey))
	if err != nil {
		t.Fatal(err)
	}
	inner, channels, requests, err := ssh.NewClientConn(conn, "inner", &ssh.ClientConfig{
		User: loginUser, Auth: []ssh.AuthMethod{ssh.PublicKeys(d.key)}, HostKeyCallback: ssh.FixedHostKey(key),
	})
	if err != nil {
		t.Fatal(err)
	}
	second := ssh.NewClient(inner, channels, requests)
	defer second.Close()
	program, err := second.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := program.Output("echo inner"); err != nil || string(out) != "inner\n" {
		t.Errorf("%q %v", out, err)
	}
}

// TestKeepAlive: a client that gives no sign of life is left.
func TestKeepAlive(t *testing.T) {
	b := newBench(t, startDaemon(t), func(_ *protocoltest.Config, o map[string]any) { o["keepAliveSeconds"] = 1 })
	var dialer net.Dialer
	conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Requests are never answered: nobody reads them.
	client, channels, _, err := ssh.NewClientConn(conn, "gateway", &ssh.ClientConfig{
		User: loginUser, Auth: []ssh.AuthMethod{ssh.Password(protocoltest.Token)}, HostKeyCallback: ssh.FixedHostKey(b.hostKey.PublicKey()),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range channels {
		}
	}()
	b.Log.Await(deadline(t), t, "end", func(e record.Event) bool {
		return e.Type == record.SessionEnd && strings.Contains(e.Reason, errSilent.Error())
	})
	_ = client.Close()
	// One that answers stays.
	living := b.mustDial(t)
	select {
	case <-time.After(6 * time.Second):
	case <-context.Background().Done():
	}
	if _, _, err := living.SendRequest(requestKeepAlive, true, nil); err != nil {
		t.Errorf("a living client was left: %v", err)
	}
}

// stalled stops reading when it is told to.
type stalled struct {
	net.Conn
	stop <-chan struct{}
	over <-chan struct{}
}

func (s stalled) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		<-s.over
	default:
	}
	return s.Conn.Read(p)
}

// TestClientThatDoesNotRead: a client that takes nothing keeps no session alive, whether it leaves
// its window closed or its connection full (checklist 4).
func TestClientThatDoesNotRead(t *testing.T) {
	b := newBench(t, startDaemon(t))
	for name, whole := range map[string]bool{"window": false, "connection": true} {
		t.Run(name, func(t *testing.T) {
			stop, over := make(chan struct{}), make(chan struct{})
			defer close(over)
			var dialer net.Dialer
			conn, err := dialer.DialContext(deadline(t), "tcp", b.server.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			inner, channels, requests, err := ssh.NewClientConn(stalled{conn, stop, over}, "gateway", &ssh.ClientConfig{
				User: loginUser, Auth: []ssh.AuthMethod{ssh.Password(protocoltest.Token)}, HostKeyCallback: ssh.FixedHostKey(b.hostKey.PublicKey()),
			})
			if err != nil {
				t.Fatal(err)
			}
			client := ssh.NewClient(inner, channels, requests)
			program, err := client.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := program.StdoutPipe(); err != nil {
				t.Fatal(err)
			}
			before := len(b.Log.OfType(record.SessionEnd))
			if err := program.Start("cat /dev/zero"); err != nil {
				t.Fatal(err)
			}
			if whole {
				close(stop)
			}
			<-time.After(500 * time.Millisecond)
			starts := b.Log.OfType(record.SessionStart)
			if !b.Gate.Terminate(starts[len(starts)-1].Session, "enough") {
				t.Fatal("there is no session")
			}
			await(t, "the end", func() bool { return len(b.Log.OfType(record.SessionEnd)) > before })
		})
	}
}
