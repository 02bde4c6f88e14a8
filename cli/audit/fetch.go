// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
)

func newFetch(streams genericiooptions.IOStreams) *cobra.Command {
	flags := cluster.NewFlags()
	source, file := recording.NewSource(flags), ""
	cmd := &cobra.Command{
		Use:   "fetch SESSION --file FILE",
		Short: "Fetch the records of one session from the manager",
		Long: `Fetch the records of one session from the manager into a file, verified, in the form
that "audit show", "audit export" and "replay" read. It is put on record that you read
them. You need the right to get auditsessions/recording, which the role doorward-auditor
has, and a token in kubeconfig.

The file holds the session's records and, for all others of the log, hashes only.`,
		Example: `  # A session, and the terminal that it recorded
  kubectl doorward audit fetch 7c9e6679f7425a0d -n payments --file session.jsonl
  kubectl doorward audit export session.jsonl --session 7c9e6679f7425a0d --format asciicast > session.cast`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || file == "" {
				return errors.New("want one session and a file: kubectl doorward audit fetch SESSION --file FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return fetchTo(cmd.Context(), streams, source, args[0], file)
		},
	}
	flags.Add(cmd)
	source.Add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "File to write. It is there once all of it was verified.")
	return cmd
}

// fetchTo writes a recording that holds, and nothing of one that does not.
func fetchTo(ctx context.Context, streams genericiooptions.IOStreams, source *recording.Source, session, file string) (err error) {
	read, err := source.Open(ctx, session)
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }()
	temp, err := os.CreateTemp(filepath.Dir(file), ".fetch-*")
	if err != nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // it has its name by then, or is of no use
	report, err := recording.Check(io.TeeReader(read, temp), func(*record.Document) error { return nil })
	if closeErr := errors.Join(temp.Sync(), temp.Close()); err == nil {
		err = closeErr
	}
	if err == nil {
		err = read.Verify(report)
	}
	if err != nil {
		return Unproven(streams.ErrOut, err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	recording.PrintSummary(streams.ErrOut, report)
	return nil
}

// Unproven says what is wrong with a recording that could not be verified, and returns
// the error of its kind.
func Unproven(out io.Writer, err error) error {
	switch {
	case errors.Is(err, extract.ErrChanged):
		fmt.Fprintf(out, "%s\nNothing is shown: keep what you have, and verify the files of a LogSink with \"kubectl doorward audit verify\".\n", safe(err.Error()))
		return ErrTampered
	case errors.Is(err, extract.ErrCut), errors.Is(err, io.ErrUnexpectedEOF):
		fmt.Fprintf(out, "%s\nNothing is shown: the way to the proxy broke, or its log keeps the records no longer: try again.\n", safe(err.Error()))
		return ErrUnreadable
	}
	return fmt.Errorf("cannot read the recording: %w", err)
}
