// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of a step: how long it may take, and how long its effect may take to show.
const (
	stepTimeout  = 60 * time.Second
	awaitTimeout = 20 * time.Second
	awaitPause   = 500 * time.Millisecond
)

// step is one command of the story with what must come of it.
type step struct {
	title   string
	command string
	// as is "user groups" whose token is in PGPASSWORD; nobody's where empty.
	as string
	// exit is the expected exit status.
	exit int
	// expect and refuse are regular expressions on the combined output.
	expect, refuse []string
	// await repeats the command until its output matches, since its subject is
	// written a moment later.
	await string
	hold  *hold
}

// hold is what somebody does while the step's command runs: the kubectl line that
// the notice of an approval shows, as another person, where nothing else is said.
type hold struct {
	by string
	// at is a regular expression that is waited for in the command's output, of which
	// the first group takes the place of {} in do.
	at, do string
	exit   int
	expect []string
	// cancel sends Ctrl-C to the waiting command afterwards.
	cancel bool
	// within is how soon afterwards the command ends; any time where zero.
	within time.Duration
}

// cue is what to wait for, and what to do then.
func (h *hold) cue() (at *regexp.Regexp, do string) {
	if h.at == "" {
		return patchLine, "{}"
	}
	return regexp.MustCompile(h.at), h.do
}

// teller runs the story.
type teller struct {
	out   io.Writer
	env   []string
	token func(as string) (string, error)
	// kubeconfig writes one for "user groups" and returns its path.
	kubeconfig func(as string) (string, error)
	pause      func()
}

// tell runs all steps; it stops at the first that does not do what it says.
func (t *teller) tell(ctx context.Context, steps []step) error {
	for i, s := range steps {
		fmt.Fprintf(t.out, "\n\033[1m%d. %s\033[0m\n", i+1, s.title)
		if err := t.run(ctx, s); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.title, err)
		}
		t.pause()
	}
	return nil
}

func (t *teller) run(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	env := t.env
	if s.as != "" {
		token, err := t.token(s.as)
		if err != nil {
			return err
		}
		env = append(append([]string(nil), env...), "PGPASSWORD="+token)
	}
	fmt.Fprintf(t.out, "\033[36m$ %s\033[0m\n", s.command)
	var output string
	var exit int
	var err error
	switch {
	case s.hold != nil:
		output, exit, err = t.held(ctx, s, env)
	case s.await != "":
		output, exit, err = t.awaited(ctx, s, env)
	default:
		output, exit, err = t.shell(ctx, s.command, env)
		fmt.Fprint(t.out, output)
	}
	if err != nil {
		return err
	}
	return check(output, exit, s.exit, s.expect, s.refuse)
}

func check(output string, exit, wantExit int, expect, refuse []string) error {
	if exit != wantExit {
		return fmt.Errorf("exit status %d, want %d", exit, wantExit)
	}
	for _, pattern := range expect {
		if !regexp.MustCompile(pattern).MatchString(output) {
			return fmt.Errorf("the output does not show %q", pattern)
		}
	}
	for _, pattern := range refuse {
		if regexp.MustCompile(pattern).MatchString(output) {
			return fmt.Errorf("the output shows %q, which must not be seen", pattern)
		}
	}
	return nil
}

// shell runs a line in bash and returns what it printed.
func (t *teller) shell(ctx context.Context, line string, env []string) (string, int, error) {
	command := exec.CommandContext(ctx, "bash", "-c", line)
	command.Env = env
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	exit, err := exitStatus(command.Run())
	return output.String(), exit, err
}

func (t *teller) awaited(ctx context.Context, s step, env []string) (string, int, error) {
	deadline := time.Now().Add(awaitTimeout)
	pattern := regexp.MustCompile(s.await)
	for {
		output, exit, err := t.shell(ctx, s.command, env)
		done := err == nil && pattern.MatchString(output) && check(output, exit, s.exit, s.expect, s.refuse) == nil
		if done || time.Now().After(deadline) {
			fmt.Fprint(t.out, output)
			return output, exit, err
		}
		select {
		case <-ctx.Done():
			return output, exit, ctx.Err()
		case <-time.After(awaitPause):
		}
	}
}

var patchLine = regexp.MustCompile(`(kubectl -n \S+ patch approvalrequest [^\n]*--type=json -p '[^']+')`)

// held starts the command, waits for the cue in its output, has the other person
// act, and waits for the command to end.
func (t *teller) held(ctx context.Context, s step, env []string) (string, int, error) {
	command := exec.CommandContext(ctx, "bash", "-c", "exec "+s.command)
	command.Env = env
	at, do := s.hold.cue()
	seen := &watchedBuffer{out: t.out, pattern: at, found: make(chan string, 1)}
	command.Stdout, command.Stderr = seen, seen
	if err := command.Start(); err != nil {
		return "", 0, fmt.Errorf("cannot start the command: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()

	var found string
	select {
	case found = <-seen.found:
	case err := <-ended:
		exit, _ := exitStatus(err)
		return seen.String(), exit, fmt.Errorf("the command ended before it showed %q", at)
	case <-ctx.Done():
		return seen.String(), 0, errors.Join(ctx.Err(), <-ended)
	}
	acted, since := t.act(ctx, s.hold, strings.ReplaceAll(do, "{}", found), env), time.Now()
	if s.hold.cancel || acted != nil {
		fmt.Fprintln(t.out, "\033[36m^C\033[0m")
		if err := command.Process.Signal(syscall.SIGINT); err != nil {
			acted = errors.Join(acted, err)
		}
	}
	exit, err := exitStatus(<-ended)
	if took := time.Since(since); s.hold.within > 0 {
		fmt.Fprintf(t.out, "(ended %d ms afterwards)\n", took.Milliseconds())
		if took > s.hold.within {
			acted = errors.Join(acted, fmt.Errorf("it went on for %s afterwards, want at most %s", took, s.hold.within))
		}
	}
	return seen.String(), exit, errors.Join(acted, err)
}

// act runs a line as another person.
func (t *teller) act(ctx context.Context, h *hold, line string, env []string) error {
	user, _, _ := strings.Cut(h.by, " ")
	kubeconfig, err := t.kubeconfig(h.by)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\033[35m%s$ %s\033[0m\n", user, line)
	output, exit, err := t.shell(ctx, line, append(append([]string(nil), env...), "KUBECONFIG="+kubeconfig))
	fmt.Fprint(t.out, output)
	if err != nil {
		return err
	}
	return check(output, exit, h.exit, h.expect, nil)
}

// watchedBuffer passes on and keeps what is written, and gives the first group of
// the first match of a pattern to a channel.
type watchedBuffer struct {
	out     io.Writer
	pattern *regexp.Regexp
	found   chan string

	// mu guards the fields below.
	mu   sync.Mutex
	all  bytes.Buffer
	sent bool
}

func (w *watchedBuffer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	if match := w.pattern.FindSubmatch(w.all.Bytes()); match != nil && !w.sent {
		w.sent = true
		w.found <- string(match[1])
	}
	return w.out.Write(p)
}

func (w *watchedBuffer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// exitStatus tells a command that failed from one that could not run.
func exitStatus(err error) (int, error) {
	var exited *exec.ExitError
	if errors.As(err, &exited) && exited.Exited() {
		return exited.ExitCode(), nil
	}
	return 0, err
}

// waitForEnter pauses between steps where DEMO_PAUSE=1.
func waitForEnter() {
	if pause := os.Getenv("DEMO_PAUSE"); pause == "" || pause == "0" {
		return
	}
	fmt.Print("\n[Enter] ")
	_, _ = fmt.Scanln()
}
