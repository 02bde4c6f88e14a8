// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/protocol/protocoltest"
	"github.com/doorward/doorward/proxy/record"
)

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
	_, errs, status := finish(t, b.client(t, "sftp", "-o", "BatchMode=no", "-b", "-", "GATEWAY"), strings.Repeat("-rm "+there+"\n", 2*maxExplained)+"rm "+there+"\n")
	if status == 0 || !strings.Contains(errs, "Permission denied") || !strings.Contains(errs, "no AccessPolicy allows "+protocoltest.UserName+" to remove "+there) {
		t.Errorf("rm: %q %d", errs, status)
	}
	// A client that never reads its standard error is not to be held up by it.
	if n := strings.Count(errs, "Doorward: "); n != maxExplained {
		t.Errorf("%d refusals were told: %q", n, errs)
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
