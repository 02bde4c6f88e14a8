// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/ssh/command"
	"github.com/doorward/doorward/proxy/protocol/ssh/command/commandtest"
	"github.com/doorward/doorward/test/gateway"
	"github.com/doorward/doorward/test/sshd"
)

// logbook is a target that runs nothing: it writes down what it is to run.
type logbook struct {
	path string
	*gateway.Gateway
	client *gossh.Client
}

// newLogbook starts one behind a gateway with one policy, and logs in.
func newLogbook(t *testing.T, rules []policy.Rule) *logbook {
	t.Helper()
	dir := t.TempDir()
	l := &logbook{path: filepath.Join(dir, "log")}
	script := filepath.Join(dir, "write-down")
	text := fmt.Sprintf("#!/bin/sh\nprintf %%s \"$SSH_ORIGINAL_COMMAND\" | base64 -w 0 >>'%s'\necho >>'%s'\n", l.path, l.path)
	authority, trusted, err := sshd.NewAuthority()
	if err := errors.Join(err, os.WriteFile(script, []byte(text), 0o755), os.WriteFile(l.path, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	target, err := sshd.Start(t.Context(), sshd.Options{
		Accounts: []sshd.Account{{Name: shared.account}}, TrustedUserCAs: []gossh.PublicKey{trusted}, Config: []string{"ForceCommand " + script},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Stop(); err != nil {
			t.Error(err)
		}
	})
	config, err := gateway.SSH(target, shared.account, authority, map[string]any{"environment": commandtest.Environment})
	if err != nil {
		t.Fatal(err)
	}
	config.Policies = []policy.Policy{{
		Name: "exec-only", UID: "uid-exec-only", Generation: 1, Subjects: []policy.Subject{{Kind: "User", Name: gateway.UserName}}, Rules: rules,
	}}
	if l.Gateway, err = gateway.Start(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	l.client, err = gossh.Dial("tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)), &gossh.ClientConfig{
		User: shared.account, Auth: []gossh.AuthMethod{gossh.Password("token")}, HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		HostKeyCallback: gossh.FixedHostKey(l.HostKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.client.Close() })
	return l
}

// run asks for a line, and returns its status and what was said.
func (l *logbook) run(t *testing.T, line string) (int, string) {
	t.Helper()
	program, err := l.client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	var said bytes.Buffer
	program.Stdout, program.Stderr, program.Stdin = io.Discard, &said, strings.NewReader("")
	err = program.Run(line)
	if exit := (*gossh.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitStatus(), said.String()
	}
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return 0, said.String()
}

// came are the lines that came to the target.
func (l *logbook) came(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for encoded := range strings.Lines(string(text)) {
		line, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// TestEvasions: of all lines that would do something else than an exec-only policy allows, none comes
// to the target, and each caller is told why (checklist 8).
func TestEvasions(t *testing.T) {
	l := newLogbook(t, []policy.Rule{
		{
			Name: "some", Effect: policy.Allow, Actions: []string{"exec"},
			Resources: []string{"uptime", "ls", "cat", "grep", "ps", "df", "sort", "/bin/ls", "/usr/bin/uptime", "/bin/cat"},
		},
		{Name: "files", Effect: policy.Allow, Actions: []string{"read"}, Resources: []string{"*"}},
		{Name: "nowhere", Effect: policy.Allow, Actions: []string{"write"}, Resources: []string{"/dev/null"}},
	})
	refused := 0
	for _, e := range commandtest.Evasions() {
		if slices.Contains(e.Harmless, command.Sh) {
			continue
		}
		if status, said := l.run(t, e.Line); status != 126 || !strings.HasPrefix(said, "Doorward: ") {
			t.Errorf("%q (%s) ended with %d: %q", e.Line, e.Reason, status, said)
		}
		refused++
	}
	if came := l.came(t); len(came) > 0 {
		t.Errorf("of %d lines, %d came to the target: %q", refused, len(came), came)
	}
	if status, said := l.run(t, "uptime"); status != 0 || !slices.Equal(l.came(t), []string{"uptime"}) {
		t.Errorf("what is allowed ended with %d: %s", status, said)
	}
	t.Logf("%d evasive lines were refused", refused)
}

// TestHonestLines: where the programs are allowed, lines of daily work come to the target as they are.
func TestHonestLines(t *testing.T) {
	l := newLogbook(t, []policy.Rule{{
		Name: "work", Effect: policy.Allow, Actions: []string{"exec", "read", "write", "upload", "download"}, Resources: []string{"*"},
	}})
	var want []string
	for _, h := range commandtest.Honest() {
		if len(h.In) > 0 && !slices.Contains(h.In, command.Sh) {
			continue
		}
		if status, said := l.run(t, h.Line); status != 0 {
			t.Errorf("%q (%s) ended with %d: %s", h.Line, h.Reason, status, said)
		}
		want = append(want, h.Line)
	}
	if came := l.came(t); !slices.Equal(came, want) {
		t.Errorf("%d lines of %d came to the target: %q", len(came), len(want), came)
	}
	t.Logf("%d honest lines came to the target", len(want))
}
