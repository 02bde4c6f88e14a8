// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/snapshot"
)

// loginUser is the account at the test's target: the one that runs the tests.
const loginUser = "root"

// daemon is a real sshd.
type daemon struct {
	target snapshot.Target
	// hostKey is its line for spec.options.hostKeys; key is what logs in there.
	hostKey string
	key     ssh.Signer
	home    string
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newKey makes a key, and its private half as a file's text.
func newKey(tb testing.TB) (ssh.Signer, []byte) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		tb.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func write(tb testing.TB, path string, content []byte, mode os.FileMode) string {
	tb.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		tb.Fatal(err)
	}
	return path
}

// startDaemon starts sshd with further lines of configuration.
func startDaemon(tb testing.TB, lines ...string) *daemon {
	tb.Helper()
	if os.Getuid() != 0 {
		tb.Skip("sshd lets in nobody but its own user unless it is root's")
	}
	dir := tb.TempDir()
	host, hostPEM := newKey(tb)
	user, _ := newKey(tb)
	d := &daemon{key: user, hostKey: authorizedKey(host.PublicKey()), home: dir, log: &lockedBuffer{}}
	port := freePort(tb)
	d.target = snapshot.Target{Host: "127.0.0.1", Port: port}
	write(tb, filepath.Join(dir, "host"), hostPEM, 0o600)
	write(tb, filepath.Join(dir, "authorized"), []byte(authorizedKey(user.PublicKey())+"\n"), 0o600)
	config := strings.Join(append([]string{
		fmt.Sprintf("ListenAddress 127.0.0.1:%d", port), "HostKey " + filepath.Join(dir, "host"),
		"AuthorizedKeysFile " + filepath.Join(dir, "authorized"), "PidFile none", "UsePAM no", "StrictModes no", "PermitRootLogin yes",
		"Subsystem sftp internal-sftp", "Subsystem echo /bin/cat", "AcceptEnv LANG LC_* FOO", "GatewayPorts clientspecified", "MaxSessions 200", "MaxStartups 200",
		"X11Forwarding yes", "LogLevel VERBOSE", "SetEnv SHLVL=5", "PrintMotd no", "PrintLastLog no",
	}, lines...), "\n") + "\n"
	path := write(tb, filepath.Join(dir, "config"), []byte(config), 0o600)
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		tb.Fatal(err)
	}
	command := exec.CommandContext(tb.Context(), "/usr/sbin/sshd", "-D", "-e", "-f", path)
	command.Stderr = d.log
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = command.Wait()
	}()
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		<-exited
		if tb.Failed() {
			tb.Logf("sshd:\n%s", d.log)
		}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for end := time.Now().Add(30 * time.Second); ; {
		var dialer net.Dialer
		conn, err := dialer.DialContext(tb.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return d
		}
		if time.Now().After(end) {
			tb.Fatalf("sshd does not start: %v\n%s", err, d.log)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func freePort(tb testing.TB) int32 {
	tb.Helper()
	var listen net.ListenConfig
	ln, err := listen.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	address, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("address %v", ln.Addr())
	}
	return int32(address.Port)
}
