// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package script runs tests that read like a terminal: scripts of testscript, in which
// kubectl-doorward is a process of its own, made of the verbs under test.
package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/doctor"
)

// The exit codes of the plugin: something was found, and the command failed.
const (
	exitFound  = 1
	exitFailed = 2
)

// Main is the body of a TestMain. Verbs make the commands of kubectl-doorward; others are
// further programs that scripts can run. Within tests of others, m may start what they need.
func Main(m testscript.TestingM, verbs []func(genericiooptions.IOStreams) *cobra.Command, others map[string]func()) {
	programs := map[string]func(){"kubectl-doorward": func() { os.Exit(run(verbs)) }}
	for name, program := range others {
		programs[name] = program
	}
	testscript.Main(m, programs)
}

// run is what main of the plugin does.
func run(verbs []func(genericiooptions.IOStreams) *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := &cobra.Command{
		Use: "kubectl-doorward", Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl doorward"},
		SilenceErrors: true, SilenceUsage: true,
	}
	for _, verb := range verbs {
		root.AddCommand(verb(genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}))
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var own interface{ ExitStatus() int }
	if errors.As(err, &own) {
		return own.ExitStatus()
	}
	// These have said what is wrong.
	switch {
	case errors.Is(err, audit.ErrTampered), errors.Is(err, doctor.ErrFailed):
		return exitFound
	case errors.Is(err, audit.ErrUnreadable):
		return exitFailed
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	return exitFailed
}
