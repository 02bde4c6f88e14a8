// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"net"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
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

// TestAdvisory: under the real engine, the advisory detector ends a shell for what a rule denies by
// name, and not for what no rule allows, what needs an approval, or what a module denies.
func TestAdvisory(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	authority, trusted, err := sshd.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	target := sshd.StartT(t, sshd.Options{Accounts: []sshd.Account{{Name: me.Username}}, TrustedUserCAs: []gossh.PublicKey{trusted}})
	config, err := SSH(target, me.Username, authority, map[string]any{"advisory": "EndSession"})
	if err != nil {
		t.Fatal(err)
	}
	everyone := []policy.Subject{{Kind: policy.Everyone}}
	config.Policies = []policy.Policy{
		{Name: "on-call", UID: "p-1", Generation: 3, Subjects: everyone, Rules: []policy.Rule{
			{Name: "shell", Effect: policy.Allow, Actions: []string{"shell"}},
			{
				Name: "asks", Effect: policy.RequireApproval, Actions: []string{"exec"}, Resources: []string{"whoami"},
				Approval: &policy.ApprovalTerms{Approvers: []policy.Subject{{Kind: policy.Group, Name: "sre"}}, Minimum: 1, TimeoutSeconds: 600},
			},
		}},
		{Name: "module", UID: "p-2", Generation: 1, Subjects: everyone, Rego: "package doorward.policy\n\ndeny contains \"not by exec\" if input.operation.accesses[_].action == \"exec\"\n"},
		{Name: "slips", UID: "p-3", Generation: 5, Cluster: true, Subjects: everyone, Rules: []policy.Rule{
			{Name: "no-uptime", Effect: policy.Deny, Actions: []string{"exec"}, Resources: []string{"uptime"}, Properties: []string{"otherUser"}, Message: "not as somebody else"},
		}},
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
	client, err := gossh.Dial("tcp", net.JoinHostPort(g.Host, strconv.Itoa(g.Port)), &gossh.ClientConfig{
		User: me.Username, Auth: []gossh.AuthMethod{gossh.Password("token")}, HostKeyCallback: gossh.FixedHostKey(g.HostKey),
		HostKeyAlgorithms: []string{gossh.KeyAlgoED25519}, Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	shell := func(lines string) (told string, err error) {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		program.Stdin, program.Stderr = strings.NewReader(lines), &errs
		if err = program.Shell(); err == nil {
			err = program.Wait()
		}
		return errs.String(), err
	}
	if told, err := shell("id\nwhoami\nuptime\n$unset\nexit 0\n"); err != nil {
		t.Errorf("honest lines: %v: %s", err, told)
	}
	told, err := shell("sudo -n -u nobody uptime\nsleep 60\n")
	if err == nil || !strings.Contains(told, `rule "no-uptime" of ClusterAccessPolicy "slips" (generation 5): not as somebody else`) {
		t.Errorf("a line that a rule denies: %v: %s", err, told)
	}
}
