// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sshd_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/sshd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func signer(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// config trusts the plain host key, which a client of a server that has a certificate for it
// is not shown unless it asks.
func config(server *sshd.Server, name string, method ssh.AuthMethod) *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{method}, HostKeyCallback: ssh.FixedHostKey(server.HostKey), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
}

// dial logs in and closes at the test's end.
func dial(t *testing.T, server *sshd.Server, config *ssh.ClientConfig) *ssh.Client {
	t.Helper()
	client, err := ssh.Dial("tcp", server.Address(), config)
	if err != nil {
		log, _ := server.Log()
		t.Fatalf("%v; sshd says:\n%s", err, log)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func output(t *testing.T, client *ssh.Client, command string) string {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.CombinedOutput(command)
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func me(t *testing.T) string {
	t.Helper()
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return current.Username
}

// TestServer is what anybody can do: oneself is let in, by key.
func TestServer(t *testing.T) {
	own, authority := signer(t), signer(t)
	server := sshd.StartT(t, sshd.Options{
		Accounts: []sshd.Account{{Name: me(t), AuthorizedKeys: []ssh.PublicKey{own.PublicKey()}}}, HostAuthority: authority,
		Config: []string{"AcceptEnv DOORWARD_TEST"},
	})
	t.Run("the host key is known", func(t *testing.T) {
		client := dial(t, server, config(server, me(t), ssh.PublicKeys(own)))
		if got := output(t, client, "id -un"); got != me(t) {
			t.Errorf("in as %q", got)
		}
	})
	t.Run("the host key is certified", func(t *testing.T) {
		checker := &ssh.CertChecker{IsHostAuthority: func(key ssh.PublicKey, _ string) bool {
			return string(key.Marshal()) == string(authority.PublicKey().Marshal())
		}}
		certified := config(server, me(t), ssh.PublicKeys(own))
		certified.HostKeyAlgorithms, certified.HostKeyCallback = []string{ssh.CertAlgoED25519v01}, checker.CheckHostKey
		dial(t, server, certified)
	})
	t.Run("settings win", func(t *testing.T) {
		session, err := dial(t, server, config(server, me(t), ssh.PublicKeys(own))).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		if err := session.Setenv("DOORWARD_TEST", "1"); err != nil {
			t.Error(err)
		}
	})
	t.Run("SFTP is there", func(t *testing.T) {
		session, err := dial(t, server, config(server, me(t), ssh.PublicKeys(own))).NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		in, err := session.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.RequestSubsystem("sftp"); err != nil {
			t.Fatal(err)
		}
		// SSH_FXP_INIT, and the type of its answer, SSH_FXP_VERSION.
		answer := make([]byte, 5)
		if _, err := in.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(answer); err != nil || answer[4] != 2 {
			t.Errorf("%v: %v", answer, err)
		}
	})
	t.Run("others are not let in", func(t *testing.T) {
		client, err := ssh.Dial("tcp", server.Address(), config(server, me(t), ssh.PublicKeys(signer(t))))
		if err == nil {
			client.Close()
			t.Fatal("anybody is let in")
		}
		if _, err := server.AwaitLog(t.Context(), "Failed publickey for "+me(t)); err != nil {
			t.Error(err)
		}
	})
}

// TestAccounts are those of root's servers: the machine's own are untouched.
func TestAccounts(t *testing.T) {
	before, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	server := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: "deploy", Password: "p"}, {Name: "root", Password: "r"}}})
	for name, password := range map[string]string{"deploy": "p", "root": "r"} {
		client := dial(t, server, config(server, name, ssh.Password(password)))
		if got := output(t, client, "id -un; pwd; echo x >file"); got != name+"\n"+server.Home(name) {
			t.Errorf("%s: in as %q", name, got)
		}
		if _, err := os.Stat(filepath.Join(server.Home(name), "file")); err != nil {
			t.Error(err)
		}
	}
	if after, err := os.ReadFile("/etc/passwd"); err != nil || string(after) != string(before) {
		t.Errorf("the machine's accounts changed: %v", err)
	}
}

// TestStop: sessions end with a server that root runs, and its files are gone.
func TestStop(t *testing.T) {
	server, err := sshd.Start(t.Context(), sshd.Options{Accounts: []sshd.Account{{Name: "deploy", Password: "p"}}})
	if errors.Is(err, sshd.ErrNotRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	client := dial(t, server, config(server, "deploy", ssh.Password("p")))
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	_ = client.Wait() // returns once the session is cut
	if _, err := os.Stat(server.Home("deploy")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
}

// TestStartRefused: what cannot be started says why.
func TestStartRefused(t *testing.T) {
	server, err := sshd.Start(t.Context(), sshd.Options{Config: []string{"NoSuchKeyword yes"}})
	if err == nil {
		_ = server.Stop()
		t.Fatal("a wrong configuration starts")
	}
	if !strings.Contains(err.Error(), "NoSuchKeyword") {
		t.Errorf("%v, want sshd's own words", err)
	}
}
