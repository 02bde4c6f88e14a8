// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proc runs the real servers that tests and the playground stand on: etcd,
// kube-apiserver, PostgreSQL, pgbouncer, the project's own binaries.
//
// A process started here never outlives the one that started it, its output goes to a
// file, and an error about it quotes the end of that file.
package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// DefaultGrace is how long [Process.Stop] waits after the polite signal before it kills: what
// a kubelet gives a pod.
const DefaultGrace = 30 * time.Second

// pollInterval is how often a starting server is asked whether it is ready.
const pollInterval = 100 * time.Millisecond

// tailBytes bounds how much of the output, or of an answer, an error quotes.
const tailBytes = 4 << 10

// ErrExited is wrapped by the error of a wait that ended because the process did.
var ErrExited = errors.New("process exited before it was ready")

// Command says what to run.
type Command struct {
	// Name is used in errors; the base name of Path where empty.
	Name string
	// Path of the executable and its arguments, without argument zero.
	Path string
	Args []string
	// Dir is the working directory; the caller's where empty.
	Dir string
	// Env is the whole environment; the caller's where nil.
	Env []string
	// Output is the file standard output and standard error are appended to.
	Output string
	// Credential is the user to run as; the caller's own where nil.
	Credential *syscall.Credential
	// StopSignal is the polite request to end; SIGTERM where zero.
	StopSignal syscall.Signal
	// Attributes changes how the process is forked, for what a system alone knows.
	Attributes func(*syscall.SysProcAttr)
	// Thread is called on the thread that forks, to enter the namespaces that the process
	// shall run in. The thread ends with the process.
	Thread func() error
}

// Process is a started [Command].
type Process struct {
	cmd    *exec.Cmd
	name   string
	output string
	signal syscall.Signal
	done   chan struct{}
	err    error // set before done is closed
}

// Start runs the command and returns once it has been forked.
func Start(command Command) (*Process, error) {
	p := &Process{
		name:   command.Name,
		output: command.Output,
		signal: command.StopSignal,
		done:   make(chan struct{}),
	}
	if p.name == "" {
		p.name = filepath.Base(command.Path)
	}
	if p.signal == 0 {
		p.signal = syscall.SIGTERM
	}
	out, err := os.OpenFile(command.Output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the output file of %s: %w", p.name, err)
	}
	// Not exec.CommandContext: the end of a context must not skip the polite signal.
	p.cmd = exec.Command(command.Path, command.Args...) //nolint:noctx // see above
	p.cmd.Dir, p.cmd.Env = command.Dir, command.Env
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = attributes(command.Credential)
	if command.Attributes != nil {
		command.Attributes(p.cmd.SysProcAttr)
	}

	started := make(chan error)
	go func() {
		// The kernel ties the parent-death signal to the thread that forked, so that
		// thread has to live as long as the child does.
		runtime.LockOSThread()
		defer out.Close()
		if command.Thread == nil {
			defer runtime.UnlockOSThread()
		} else if err := command.Thread(); err != nil {
			started <- err
			return
		}
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	return p, nil
}

// StartReady starts the command and waits, within the timeout, until ready returns nil. What
// does not become ready is stopped.
func StartReady(ctx context.Context, command Command, timeout time.Duration, ready func(context.Context) error) (*Process, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p, err := Start(command)
	if err != nil {
		return nil, err
	}
	if err := p.WaitReady(ctx, pollInterval, ready); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// Answers returns a check that GET url answers 200. Its error quotes another answer.
func Answers(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("cannot ask %q: %w", url, err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("cannot ask %q: %w", url, err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(io.LimitReader(response.Body, tailBytes))
		if err != nil {
			return fmt.Errorf("cannot read the answer of %q: %w", url, err)
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%q answers %s: %s", url, response.Status, body)
		}
		return nil
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns the path of the file that holds what the process printed.
func (p *Process) Output() string { return p.output }

// Err returns how the process ended: nil while it runs and after status zero.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// exit returns how the process ended, which is never nil; the process is done.
func (p *Process) exit() error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// Signal sends a signal to the process, for tests that kill, freeze or reload it.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot signal %s: %w", p.name, err)
	}
	return nil
}

// Stop asks the process to end, kills it when it has not done so within [DefaultGrace], and
// returns when it is gone. A process that has ended already is no error.
func (p *Process) Stop() error {
	if err := p.Signal(p.signal); err != nil {
		return err
	}
	timer := time.NewTimer(DefaultGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("%s had to be killed: it ignored %q for %s", p.name, p.signal, DefaultGrace)
}

// WaitReady calls ready every interval until it returns nil. It gives up when the context
// ends or the process does; its error then holds ready's last one and the end of the output.
func (p *Process) WaitReady(ctx context.Context, interval time.Duration, ready func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%w: %s: %w; it printed: %s", ErrExited, p.name, p.exit(), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: last answer: %w; it printed: %s", p.name, ctx.Err(), last, p.tail())
		case <-tick.C:
		}
	}
}

// tail returns the end of the output.
func (p *Process) tail() string {
	all, err := os.ReadFile(p.output)
	if err != nil {
		return fmt.Sprintf("(unreadable: %v)", err)
	}
	if len(all) > tailBytes {
		all = all[len(all)-tailBytes:]
	}
	return strings.TrimSpace(string(all))
}
