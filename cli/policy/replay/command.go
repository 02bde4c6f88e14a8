// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/policy"
)

// NewCommand returns the command replay.
func NewCommand(streams genericiooptions.IOStreams, load Load, newEngine policy.NewEngine) *cobra.Command {
	var policies []string
	var accept, output string
	source := Source{}
	cmd := &cobra.Command{
		Use:   "replay --policies DIR --records PATH",
		Short: "Say what policies would change of what was done",
		Long: `Decide recorded operations again under other policies, and say what would change: what
would be refused, let through, held for an approval or masked, and was not; and the
other way round. Differences are grouped by caller, access and rule.

Policies are read from files and folders, with the manifests of the Connections and
IdentityProviders that they name, and compiled as the manager does. Records are read
as "kubectl doorward audit" does: from a log's directory or the files of a sink.

The exit code is 0 where nothing would change, 1 where something would, or could not be
decided again, that the accept file does not name, and 2 where the command failed.`,
		Example: `  # What a branch would have changed of last week
  kubectl doorward policy replay --policies ./policies --records ./records

  # Only one session, whose AuditSession is named so
  kubectl doorward policy replay --policies ./policies --records ./records --session orders-7f1b

  # Agree to what was found, then check against it
  kubectl doorward policy replay --policies ./policies --records ./records -o yaml > accept.yaml
  kubectl doorward policy replay --policies ./policies --records ./records --accept accept.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(policies) == 0 || len(source.Paths) == 0 {
				return errors.New("nothing to replay: --policies names the folder of the policies, --records files or directories that hold records")
			}
			if !slices.Contains([]string{"text", "json", "yaml"}, output) {
				return fmt.Errorf("output format not known: %q: one of (text, json, yaml)", output)
			}
			for _, path := range source.Paths {
				if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("no such file or directory: --records %q: to replay one session, name the files with --records and the session with --session", path)
				}
			}
			var agreed *Accept
			if accept != "" {
				var err error
				if agreed, err = ReadAccept(accept); err != nil {
					return err
				}
			}
			candidates, err := load(cmd.Context(), policies)
			if err != nil {
				return err
			}
			tell, end := audit.Progress(streams.ErrOut, "Reading")
			source.Progress = tell
			report, problems, err := Run(cmd.Context(), source, candidates, newEngine)
			end()
			if err != nil {
				return err
			}
			var staleErr error
			if agreed != nil {
				staleErr = agreed.Apply(report)
			}
			if err := report.Print(streams.Out, output); err != nil {
				return err
			}
			for _, p := range problems {
				fmt.Fprintln(streams.ErrOut, "warning:", audit.Safe(p.Sentence))
			}
			switch {
			case staleErr != nil:
				return staleErr
			case len(problems) > 0:
				return audit.ErrUnreadable
			case report.Operations+report.Sessions == 0:
				return errors.New("no operation was found in the records: check --records, --session and --connection")
			case report.Open():
				return ErrChanged
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&policies, "policies", nil, "File or folder with policies, Connections and IdentityProviders. May be repeated.")
	flags.StringArrayVar(&source.Paths, "records", nil, "File or directory that holds records. May be repeated.")
	flags.StringVar(&source.Session, "session", "", "Only records of this session: the name of its AuditSession.")
	flags.StringVar(&source.Connection, "connection", "", "Only records of this Connection, as namespace/name.")
	flags.StringVar(&accept, "accept", "", "File that names the differences which are agreed to, in the form of -o yaml.")
	flags.StringVarP(&output, "output", "o", "text", "Output format. One of: (text, json, yaml).")
	return cmd
}
