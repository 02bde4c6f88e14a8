// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

type verifyOptions struct {
	genericiooptions.IOStreams
	Trust
	requireAll bool
	anyOrder   bool
	from       int64
	output     string
	tempDir    string
}

func newVerify(streams genericiooptions.IOStreams) *cobra.Command {
	o := &verifyOptions{IOStreams: streams, Trust: Trust{cluster: genericclioptions.NewConfigFlags(true)}}
	cmd := &cobra.Command{
		Use:   "verify PATH...",
		Short: "Tell whether records are as they were written",
		Long: `Tell whether the records in files and directories are as their proxy wrote them:
whether any was edited, moved, removed or added, and which.

Everything is read together: files may come in any order, records may be there
several times, and the logs of several proxies may be mixed. Nothing but the files
is needed. To exclude that records were cut off at the end, that an older state
was put in the place of a newer one, or that somebody with the log's key wrote
another history, give what the witness holds: with --witness from the cluster, or
with --checkpoint from files that "kubectl doorward audit checkpoints" printed.

Exit codes: 0 all is well, 1 a log was changed, 2 something could not be read or
proves nothing, or the command was not understood.`,
		Example: `  # A directory of a file sink, or what was downloaded from an object store
  kubectl doorward audit verify ./records

  # Hold it against what the witness of this cluster has
  kubectl doorward audit verify --witness -n payments ./records

  # The same without the cluster, from an export that was kept elsewhere
  kubectl doorward audit verify --checkpoint witness.yaml --witness-key keys.yaml ./records`,
		Args: paths,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	flags := cmd.Flags()
	o.Trust.AddFlags(flags)
	flags.BoolVar(&o.requireAll, "require-all", false, "Fail where a log that the witness knows has no record here, and where it has no checkpoint of a log that is here.")
	flags.Int64Var(&o.from, "from", 0, "Index of the first record that must be there, where earlier ones were removed on purpose.")
	flags.BoolVar(&o.anyOrder, "any-order", false, "Accept files that hold the records in another order, as those from several partitions do.")
	flags.StringVarP(&o.output, "output", "o", "text", "Output format. One of: (text, json).")
	flags.StringVar(&o.tempDir, "temp-dir", "", "Directory for temporary files, about a tenth of the records' size.")
	o.cluster.AddFlags(flags)
	return cmd
}

func (o *verifyOptions) run(cmd *cobra.Command, args []string) error {
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("output format not known: %q: one of (text, json)", o.output)
	}
	if o.from < 0 {
		return fmt.Errorf("first record not usable: --from %d: an index is not negative", o.from)
	}
	for _, path := range args {
		switch {
		case !recording.IsExtract(path):
		case len(args) == 1 && o.output == "text" && !o.Given() && !o.requireAll:
			return verifyExtract(o.IOStreams, path)
		default:
			return fmt.Errorf("%q holds the records of one session, as \"audit fetch\" writes them: verify it by itself, without further files and flags", path)
		}
	}
	options := verify.Options{
		RequireAll: o.requireAll, From: o.from, AnyOrder: o.anyOrder, TempDir: o.tempDir,
	}
	if err := o.Trust.Complete(cmd.Context(), &options); err != nil {
		return err
	}
	tell, end := progress(o.ErrOut, "Verifying")
	options.Progress = tell
	report, err := verify.Verify(cmd.Context(), args, options)
	end()
	if err != nil {
		return err
	}
	if err := o.print(report); err != nil {
		return err
	}
	switch {
	case report.OK:
		return nil
	case report.Tampered():
		return ErrTampered
	default:
		return ErrUnreadable
	}
}

// verifyExtract tells whether what "audit fetch" wrote is as the log has it.
func verifyExtract(streams genericiooptions.IOStreams, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	defer func() { _ = file.Close() }()
	report, err := recording.Check(file, func(*record.Document) error { return nil })
	if err != nil {
		return Unproven(streams.ErrOut, err)
	}
	recording.PrintSummary(streams.Out, report)
	return nil
}

func (o *verifyOptions) print(report *verify.Report) error {
	if o.output == "json" {
		encoder := json.NewEncoder(o.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	printReport(o.Out, report)
	return nil
}
