// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// ExitError is the end of a client that did not end well. It has said why itself.
type ExitError struct {
	Program string
	Code    int
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s ended with exit code %d", e.Program, e.Code)
}

// ExitStatus is the exit code that the command ends with, too.
func (e *ExitError) ExitStatus() int { return e.Code }

// signalled is added to the number of the signal that a client died of, as shells do.
const signalled = 128

// runClient runs a client on the command's own terminal, and waits for it.
func runClient(ctx context.Context, streams genericiooptions.IOStreams, program string, args, environment []string) error {
	// It ends as it likes: an interrupt is for its query, not for the session.
	client := exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // a program of the table
	client.Stdin, client.Stdout, client.Stderr, client.Env = streams.In, streams.Out, streams.ErrOut, environment
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	if err := client.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", program, err)
	}
	// Who told this command to end before the client began meant it, too.
	if ctx.Err() != nil {
		_ = client.Process.Signal(syscall.SIGTERM)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	for {
		select {
		case got := <-signals:
			// A terminal interrupts all of its foreground programs by itself.
			if got == os.Interrupt && term.IsTerminal(int(os.Stdin.Fd())) {
				continue
			}
			_ = client.Process.Signal(got)
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				return err
			}
			code := exit.ExitCode()
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				code = signalled + int(status.Signal())
			}
			return &ExitError{Program: program, Code: code}
		}
	}
}
