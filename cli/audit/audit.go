// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit is the plugin's verbs about records: verifying copies of logs,
// showing and exporting what is in them, and keeping the witness's checkpoints.
package audit

import (
	"errors"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/show"
)

// ErrTampered says that something is wrong with a log, which the command has
// said already.
var ErrTampered = errors.New("the log was changed")

// ErrUnreadable says that there is input that proves nothing, which the
// command has said already.
var ErrUnreadable = errors.New("not everything could be verified")

// NewCommand returns the command audit.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Verify, show and export records",
		Long: `Verify, show and export the records of who did what.

Records are read where they are: in a log's own directory or a copy of it, in the
files of a sink, plain or compressed with gzip, or in files of another form that
carry the record as text, such as OCSF events, OTLP in JSON, or syslog lines.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVerify(streams), newShow(streams), newExport(streams), newCheckpoints(streams), newFetch(streams))
	return cmd
}

// paths are the arguments of commands that read records.
func paths(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("nothing to read: give files or directories that hold records")
	}
	return nil
}

// Safe makes control and invisible characters of a text visible, for commands that show
// what records hold.
func Safe(text string) string { return safe(text) }

// safe makes control and invisible characters of a text visible. Records were
// made so when they were written; a file that was changed may hold others.
func safe(text string) string { return show.Safe(text) }

// Progress shows how far a command is that reads records, on a terminal. tell is nil
// elsewhere; end takes away what is shown.
func Progress(out io.Writer, what string) (tell func(done, total int64), end func()) {
	return progress(out, what)
}

// progress shows how far a command is, on a terminal.
func progress(out io.Writer, what string) (tell func(done, total int64), end func()) {
	file, ok := out.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, func() {}
	}
	p := &meter{out: out, what: what}
	return p.tell, p.end
}
