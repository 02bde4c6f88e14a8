// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net"
	"os/exec"
	"os/user"
	"strconv"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/test/sshd"
)

// TestSSH: OpenSSH's client knows the gateway by its host certificate, and is let in at the
// target under a certificate for the caller, whom the target's log names.
func TestSSH(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	authority, trusted, err := sshd.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	target := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: me.Username}}, TrustedUserCAs: []gossh.PublicKey{trusted}})
	config, err := SSH(target, me.Username, authority, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	answer, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-p", strconv.Itoa(g.Port), "-l", me.Username,
		"-o", "UserKnownHostsFile="+g.KnownHostsPath, "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlgorithms="+gossh.CertAlgoED25519v01,
		"-o", "PreferredAuthentications=password", g.Host, "echo through")
	// echo answers with the question: anything is a token here.
	command.Env = append(command.Environ(), "SSH_ASKPASS="+answer, "SSH_ASKPASS_REQUIRE=force")
	if out, err := command.CombinedOutput(); err != nil || string(out) != "through\n" {
		t.Errorf("%s: %v: %s", net.JoinHostPort(g.Host, strconv.Itoa(g.Port)), err, out)
	}
	if _, err := target.AwaitLog(t.Context(), "Accepted publickey for "+me.Username, "ED25519-CERT", "user="+UserName); err != nil {
		t.Error(err)
	}
}
