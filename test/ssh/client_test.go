// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// visitor is somebody with OpenSSH's client.
type visitor struct {
	user string
	// proxy is gone through; that of web where nil.
	proxy *stack.Proxy
	// identity is the file of a key with a certificate; a token is the password where empty.
	identity string
	// known is the known_hosts file; what the manager publishes where empty.
	known string
}

// by is somebody with a token.
func by(user string) visitor { return visitor{user: user} }

// place is what the client is told to go to.
const place = "PLACE"

// command is a program of OpenSSH's, in whose arguments PLACE is the Connection.
func (v visitor) command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	if v.proxy == nil {
		v.proxy = web.Proxy
	}
	if v.known == "" {
		v.known = web.KnownHosts
	}
	host, port, err := net.SplitHostPort(v.proxy.Address)
	stacktest.Must(t, err)
	all := []string{
		"-F", "none", "-o", "Port=" + port, "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + v.known, "-o", "GlobalKnownHostsFile=none",
		"-o", "UpdateHostKeys=no", "-o", "BatchMode=no", "-o", "IdentityAgent=none", "-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60",
	}
	env := append(os.Environ(), "DISPLAY=none:0", "TERM=xterm")
	if v.identity != "" {
		all = append(all, "-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-o", "IdentityFile="+v.identity)
	} else {
		token, err := world.Issuer.Token(stack.GatewayAudience, v.user)
		stacktest.Must(t, err)
		all = append(all, "-o", "PreferredAuthentications=password")
		env = append(env, "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force", "DOORWARD_TEST_TOKEN="+token)
	}
	for _, arg := range args {
		all = append(all, strings.ReplaceAll(arg, place, web.Account+"+"+connection+"@"+host))
	}
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, program, all...)
	command.Env, command.WaitDelay = env, 10*time.Second
	return command
}

// said is what came of a command.
type said struct {
	out, errs string
	status    int
}

// runs runs one command at the target.
func (v visitor) runs(t *testing.T, line string) said {
	t.Helper()
	return finish(t, v.command(t, "ssh", "-T", place, line), "")
}

// finish runs a command to its end.
func finish(t *testing.T, command *exec.Cmd, stdin string) said {
	t.Helper()
	var out, errs bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", command.Args, err, &errs)
	}
	return said{out.String(), errs.String(), command.ProcessState.ExitCode()}
}

// wants fails the test where something else was said.
func (s said) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if s.status != status {
		t.Errorf("status %d, want %d: %q %q", s.status, status, s.out, s.errs)
	}
	for _, text := range texts {
		if !strings.Contains(s.out+s.errs, text) {
			t.Errorf("said %q %q, want %q", s.out, s.errs, text)
		}
	}
}

// screen is what a program showed so far.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// program is one that runs.
type program struct {
	// shown is all that it says.
	shown screen
	in    io.WriteCloser
	// over has how it ended, once.
	over    chan error
	command *exec.Cmd
}

// start runs a program beside the test, until its end or the test's.
func start(t *testing.T, command *exec.Cmd) *program {
	t.Helper()
	p := &program{command: command, over: make(chan error, 1)}
	var err error
	p.in, err = command.StdinPipe()
	stacktest.Must(t, err)
	command.Stdout, command.Stderr = &p.shown, &p.shown
	stacktest.Must(t, command.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.over <- command.Wait()
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s showed: %q", command.Args[0], &p.shown)
		}
	})
	return p
}

// starts runs one command at the target beside the test.
func (v visitor) starts(t *testing.T, line string) *program {
	t.Helper()
	return start(t, v.command(t, "ssh", "-T", place, line))
}

// shell opens one on a terminal.
func (v visitor) shell(t *testing.T) *program {
	t.Helper()
	p := start(t, v.command(t, "ssh", "-tt", place))
	p.types(t, "PS1=; echo ready-$((40+2))")
	p.shows(t, "ready-42")
	return p
}

// types gives it a line.
func (p *program) types(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(p.in, line+"\n")
	stacktest.Must(t, err)
}

// shows waits until it has said all of some texts.
func (p *program) shows(t *testing.T, texts ...string) {
	t.Helper()
	stacktest.Await(t, "shown: "+strings.Join(texts, ", "), func(context.Context) error {
		for _, text := range texts {
			if !strings.Contains(p.shown.String(), text) {
				return errors.New("not yet: " + p.shown.String())
			}
		}
		return nil
	})
}

// ends waits until it has ended, and returns its status.
func (p *program) ends(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.over:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return p.command.ProcessState.ExitCode()
	case <-time.After(stacktest.Timeout):
		t.Fatalf("it goes on: %q", &p.shown)
		return 0
	}
}

// runsOn fails the test where it has ended.
func (p *program) runsOn(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.over:
		t.Fatalf("it has ended: %v: %q", err, &p.shown)
	default:
	}
}

// within fails the test where something took too long, even on a busy machine, and prints the
// time.
func within(t *testing.T, what string, since time.Time) {
	t.Helper()
	took := time.Since(since)
	if took > 30*time.Second {
		t.Errorf("%s after %s", what, took)
	}
	t.Logf("%s after %s", what, took.Round(time.Millisecond))
}

var (
	requestName  = regexp.MustCompile(`ApprovalRequest "([^"]+)"`)
	patchCommand = regexp.MustCompile(`kubectl -n \S+ patch approvalrequest .*`)
)
