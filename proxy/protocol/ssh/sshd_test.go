// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/user"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/sshd"
)

// loginUser is the account at the test's target: the one that runs the tests, whose files both
// sides may use.
var loginUser = func() string {
	me, err := user.Current()
	if err != nil {
		panic(err)
	}
	return me.Username
}()

// daemon is a target: a real sshd, or a rogue.
type daemon struct {
	target snapshot.Target
	// hostKey is its line for spec.options.hostKeys; key is what logs in there.
	hostKey string
	key     ssh.Signer
	server  *sshd.Server // nil for a rogue
}

// startDaemon starts sshd with one account.
func startDaemon(tb testing.TB, lines ...string) *daemon {
	tb.Helper()
	key, _ := newKey(tb)
	server := sshd.StartT(tb, sshd.Options{
		Accounts: []sshd.Account{{Name: loginUser, AuthorizedKeys: []ssh.PublicKey{key.PublicKey()}}},
		Config:   append(lines, "Subsystem echo /bin/cat", "AcceptEnv FOO", "GatewayPorts clientspecified"),
	})
	d := &daemon{
		target:  snapshot.Target{Host: server.Host, Port: int32(server.Port)},
		hostKey: authorizedKey(server.HostKey), key: key, server: server,
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("sshd:\n%s", d.log(tb))
		}
	})
	return d
}

// log is what sshd has logged.
func (d *daemon) log(tb testing.TB) string {
	tb.Helper()
	log, err := d.server.Log()
	if err != nil {
		tb.Error(err)
	}
	return log
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

func freePort(tb testing.TB) int {
	tb.Helper()
	port, err := proc.FreePort(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
