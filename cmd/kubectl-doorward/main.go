// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-doorward is the kubectl plugin: kubectl doorward.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/connect"
	"github.com/doorward/doorward/cli/credentials"
	"github.com/doorward/doorward/cli/doctor"
	"github.com/doorward/doorward/cli/login"
	"github.com/doorward/doorward/cli/ls"
	"github.com/doorward/doorward/cli/policy"
	policyreplay "github.com/doorward/doorward/cli/policy/replay"
	"github.com/doorward/doorward/cli/proxy"
	"github.com/doorward/doorward/cli/replay"
	"github.com/doorward/doorward/cli/requests"
	"github.com/doorward/doorward/cli/sessions"
	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/cmd/version"
)

func main() { os.Exit(run()) }

// Exit codes. What was asked and found to be so is no failure of the command.
const (
	exitTampered = 1
	exitNo       = 1
	exitFailed   = 2
	exitApproval = 3
)

func run() int {
	if connect.Asked(os.Args[0]) {
		if err := connect.Answer(os.Args, os.Stdout); err != nil {
			complain(err)
			return exitFailed
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// What client-go logs on its way is in the error that it returns.
	klog.SetLogger(logr.Discard())
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	cmd := newCommand(streams)
	cmd.SetArgs(arguments(os.Args))
	err := cmd.ExecuteContext(ctx)
	var client *connect.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &client):
		return client.Code
	case errors.Is(err, audit.ErrTampered):
		return exitTampered
	case errors.Is(err, policy.ErrDenied), errors.Is(err, policy.ErrTestsFailed), errors.Is(err, policyreplay.ErrChanged), errors.Is(err, doctor.ErrFailed):
		return exitNo
	case errors.Is(err, requests.ErrNotApproved):
		complain(err)
		return exitNo
	case errors.Is(err, policy.ErrApprovalRequired):
		return exitApproval
	case errors.Is(err, audit.ErrUnreadable):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "error: interrupted")
	default:
		complain(err)
	}
	return exitFailed
}

// complain prints an error. It may hold what others wrote: an answer of the API server repeats
// what was refused.
func complain(err error) { fmt.Fprint(os.Stderr, show.Lines("error: "+err.Error(), "")) }

func newCommand(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-doorward",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl doorward"},
		Short:         "Work with Doorward",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	parts := policyParts()
	root.AddCommand(
		audit.NewCommand(streams),
		connect.NewCommand(streams),
		credentials.NewCommand(streams),
		doctor.NewCommand(streams),
		login.NewLogin(streams),
		login.NewLogout(streams),
		login.NewToken(streams),
		policy.NewCommand(streams, parts),
		proxy.NewCommand(streams),
		replay.NewCommand(streams),
	)
	root.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin",
		Args:  cobra.NoArgs,
		Run:   func(*cobra.Command, []string) { fmt.Fprintln(streams.Out, version.String()) },
	})
	root.AddCommand(requests.NewCommands(streams)...)
	root.AddCommand(sessions.NewCommands(streams)...)
	root.AddCommand(ls.NewCommand(streams, parts))
	return root
}

// completer is the name that kubectl looks for to complete the plugin's words; see
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/.
const completer = "kubectl_complete-doorward"

// arguments are those of the command. Under the completer's name, which a link gives, they
// are the words to be completed.
func arguments(called []string) []string {
	name := strings.TrimSuffix(filepath.Base(called[0]), ".exe")
	if name == completer {
		return append([]string{cobra.ShellCompRequestCmd}, called[1:]...)
	}
	return called[1:]
}
