// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/protocoltest"
)

// TestExec: what comes of command lines, with OpenSSH's client.
func TestExec(t *testing.T) {
	b := newBench(t, startDaemon(t))
	for name, test := range map[string]struct {
		line, stdin   string
		out, errs     string
		status        int
		outcome, code string
	}{
		"output":       {line: "echo hello", out: "hello\n", outcome: succeeded},
		"both streams": {line: "echo out; echo err >&2", out: "out\n", errs: "err\n", outcome: succeeded},
		"exit status":  {line: "echo before; exit 7", out: "before\n", status: 7, outcome: failed, code: "exit 7"},
		"signal":       {line: "kill -TERM $$", status: 255, outcome: failed, code: "signal TERM"},
		"input":        {line: "cat -n", stdin: "a\nb\n", out: "     1\ta\n     2\tb\n", outcome: succeeded},
		"input unread": {line: "head -c 3", stdin: strings.Repeat("abc", 1<<18), out: "abc", outcome: succeeded},
		"left behind":  {line: "(sleep 3; echo late) & echo now", out: "now\nlate\n", outcome: succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, status := finish(t, b.ssh(t, "GATEWAY", test.line), test.stdin)
			if out != test.out || errs != test.errs || status != test.status {
				t.Errorf("out %q, err %q, status %d", out, errs, status)
			}
			if r := b.result(t, test.line); r.Outcome != test.outcome || r.ErrorCode != test.code {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestDenied: what is not allowed does not run, and the caller is told why and how else.
func TestDenied(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.allow(t, "exec /usr/bin/uptime", "exec cat", "exec journalctl")
	canaryFile := filepath.Join(t.TempDir(), "ran")
	for line, want := range map[string]string{
		"touch " + canaryFile:                              "no AccessPolicy allows " + protocoltest.UserName + " to exec touch",
		"cat /dev/null; touch " + canaryFile:               "exec touch",
		"cat $(touch " + canaryFile + ")":                  "exec touch",
		"echo dG91Y2g= | base64 -d | sh":                   "exec base64",
		"cat x | sh":                                       "What the line does is not plain",
		"cat > " + canaryFile:                              "write " + canaryFile,
		"sudo touch " + canaryFile:                         "exec",
		"python3 -c 'open(\"" + canaryFile + "\", \"w\")'": "exec python3",
	} {
		t.Run(line, func(t *testing.T) {
			_, errs, status := finish(t, b.ssh(t, "GATEWAY", line), "touch "+canaryFile+"\n")
			if status != statusRefused || !strings.Contains(errs, want) {
				t.Errorf("status %d, told %q, want %q", status, errs, want)
			}
		})
	}
	out, errs, status := finish(t, b.ssh(t, "GATEWAY"), "touch "+canaryFile+"\n")
	if status != statusRefused || !strings.Contains(errs, "shell") {
		t.Errorf("a shell: %q %q %d", out, errs, status)
	}
	// Checklist 8: who may run some commands has no terminal's shell.
	_, errs, status = finish(t, b.ssh(t, "-tt", "GATEWAY"), "touch "+canaryFile+"\n")
	if status != statusRefused || !strings.Contains(errs, "shell") {
		t.Errorf("a shell with a terminal: %q %d", errs, status)
	}
	// Nor what begins a pager where there is a terminal, from which one starts anything.
	_, errs, status = finish(t, b.ssh(t, "-tt", "GATEWAY", "journalctl -u nginx"), "")
	if status != statusRefused || !strings.Contains(errs, "not plain") {
		t.Errorf("a pager: %q %d", errs, status)
	}
	if _, err := os.Stat(canaryFile); err == nil {
		t.Error("something ran")
	}
	if out, errs, status := finish(t, b.ssh(t, "GATEWAY", "/usr/bin/uptime | cat"), ""); status != 0 || !strings.Contains(out, "load") {
		t.Errorf("what is allowed: %q %q %d", out, errs, status)
	}
	if log := b.daemon.log(t); strings.Count(log, "Starting session") != 1 {
		t.Errorf("the target started more than what is allowed: %s", log)
	}
}

// await waits until something is so.
func await(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	ctx := deadline(tb)
	for !is() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestHeld: a command waits for approval, the caller is told how, and nothing else opens
// meanwhile (checklist 5).
func TestHeld(t *testing.T) {
	b := newBench(t, startDaemon(t))
	b.Engine.Set(func(op policy.Operation) policy.Decision {
		return protocoltest.HoldAction(op.Accesses[0].Action)(op)
	})
	b.Apply(t)
	client := b.mustDial(t)
	begin := func() (*ssh.Session, *lockedBuffer, *lockedBuffer) {
		program, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, errs := &lockedBuffer{}, &lockedBuffer{}
		program.Stdout, program.Stderr = out, errs
		return program, out, errs
	}
	program, out, errs := begin()
	done := make(chan error, 1)
	go func() { done <- program.Run("uptime") }()
	asked := <-b.Approvals.Asked
	await(t, "notice", func() bool { return strings.Contains(errs.String(), "kubectl -n shop patch approvalrequest request-1") })
	// Meanwhile: another program and a forward wait, and are decided when it is their turn.
	other, _, _ := begin()
	second := make(chan error, 1)
	go func() { second <- other.Run("id") }()
	forwarded := make(chan error, 1)
	go func() {
		conn, err := client.Dial("tcp", "127.0.0.1:1")
		if err == nil {
			_ = conn.Close()
		}
		forwarded <- err
	}()
	select {
	case <-b.Approvals.Asked:
		t.Error("a second operation was asked about while one was held")
	case err := <-second:
		t.Errorf("a second program: %v", err)
	case err := <-forwarded:
		t.Errorf("a forward: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if strings.Contains(b.daemon.log(t), "Starting session") {
		t.Error("something runs at the target")
	}
	asked.Approve()
	if err := <-done; err != nil || !strings.Contains(out.String(), "load") {
		t.Errorf("approved: %v %q", err, out)
	}
	for range 2 {
		(<-b.Approvals.Asked).Deny("not now")
	}
	if err := <-second; err == nil {
		t.Error("what was denied ran")
	}
	if err := <-forwarded; err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("the forward was told %v", err)
	}
	// A client that leaves takes the request back.
	third, _, _ := begin()
	go func() { _ = third.Run("whoami") }()
	asked = <-b.Approvals.Asked
	_ = third.Close()
	<-asked.Withdrawn
}

// TestMany: many programs run beside each other in one connection.
func TestMany(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	const n = 24
	errs := make(chan error, n)
	for i := range n {
		go func() {
			program, err := client.NewSession()
			if err != nil {
				errs <- err
				return
			}
			out, err := program.Output(fmt.Sprintf("head -c %d /dev/zero", 100000+i))
			if err == nil && len(out) != 100000+i {
				err = fmt.Errorf("%d bytes", len(out))
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestEnvironment: variables are operations; what changes what commands do is unknown.
func TestEnvironment(t *testing.T) {
	b := newBench(t, startDaemon(t), func(_ *protocoltest.Config, o map[string]any) { o["environment"] = []string{"FOO"} })
	b.allow(t, "env *", "exec *")
	client := b.mustDial(t)
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"LANG": true, "FOO": true, "LD_PRELOAD": false, "LC_ALL": true, "a b": false, "BASH_ENV": false} {
		if err := program.Setenv(name, "C.UTF-8"); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := program.Output("printenv FOO LANG")
	if err != nil || string(out) != "C.UTF-8\nC.UTF-8\n" {
		t.Errorf("%q %v", out, err)
	}
	if got := b.decided()["env LD_PRELOAD=C.UTF-8"]; got != "Deny" {
		t.Errorf("LD_PRELOAD: %q", got)
	}
}

// TestOnce: one thing is started on a channel, with what was set before (checklist 5).
func TestOnce(t *testing.T) {
	b := newBench(t, startDaemon(t))
	channel, requests, err := b.mustDial(t).OpenChannel(channelSession, nil)
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	terminal := ssh.Marshal(terminalMessage{Term: "xterm", Columns: 80, Rows: 24})
	for _, try := range []struct {
		kind    string
		payload []byte
		want    bool
	}{
		{requestTerminal, terminal, true},
		{requestTerminal, terminal, false},
		{requestExec, ssh.Marshal(textMessage{"cat"}), true},
		{requestExec, ssh.Marshal(textMessage{"uptime"}), false},
		{requestShell, nil, false},
		{requestSubsystem, ssh.Marshal(textMessage{subsystemSFTP}), false},
		{requestTerminal, terminal, false},
		{requestEnv, ssh.Marshal(envMessage{"LANG", "C"}), false},
		{requestAgent, nil, false},
		{requestX11, ssh.Marshal(x11Message{Protocol: "MIT-MAGIC-COOKIE-1", Cookie: "00"}), false},
		{requestResize, ssh.Marshal(resizeMessage{100, 30, 0, 0}), true},
	} {
		if ok, err := channel.SendRequest(try.kind, true, try.payload); ok != try.want || err != nil {
			t.Errorf("%s: %v %v, want %v", try.kind, ok, err, try.want)
		}
	}
	if got := b.decided(); len(got) != 1 || got["cat"] != "Allow" {
		t.Errorf("decided on %v", got)
	}
	_ = channel.Close()
}

// TestUnspoken: channels and requests that nobody knows are refused and on record (checklist 5).
func TestUnspoken(t *testing.T) {
	b := newBench(t, startDaemon(t))
	client := b.mustDial(t)
	for _, kind := range []string{"tun@openssh.com", "x11", "forwarded-tcpip", "auth-agent@openssh.com", "new"} {
		if _, _, err := client.OpenChannel(kind, nil); err == nil {
			t.Errorf("channel %s was opened", kind)
		}
		if b.decided()["channel "+kind] != "Deny" {
			t.Errorf("channel %s is not on record", kind)
		}
	}
	if ok, _, err := client.SendRequest("streamlocal@new", true, nil); ok || err != nil {
		t.Errorf("global request: %v %v", ok, err)
	}
	program, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := program.SendRequest("x-new", true, nil); ok || err != nil {
		t.Errorf("request: %v %v", ok, err)
	}
	for _, harmless := range []string{requestWinAdjust, "keepalive@example.com"} {
		if ok, err := program.SendRequest(harmless, true, nil); ok || err != nil || b.decided()["request "+harmless] != "" {
			t.Errorf("%s: %v %v", harmless, ok, err)
		}
	}
	if b.decided()["request x-new"] != "Deny" || b.decided()["request streamlocal@new"] != "Deny" {
		t.Errorf("on record: %v", b.decided())
	}
	if ok, _, err := client.SendRequest(requestNoMoreSessions, true, nil); !ok || err != nil {
		t.Errorf("no more sessions: %v %v", ok, err)
	}
	if _, err := client.NewSession(); err == nil {
		t.Error("a session was opened after the client said that it opens none")
	}
}
