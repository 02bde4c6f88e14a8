// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replay is the plugin's verb replay: a session's records as a transcript, who did
// what when, what was decided and why, and what came of it; or, on a terminal, what the
// session's terminals showed. Records are verified first.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

// options are the flags of replay.
type options struct {
	genericiooptions.IOStreams
	cluster  *cluster.Flags
	source   *recording.Source
	trust    *audit.Trust
	session  string
	records  []string
	from     time.Duration
	speed    float64
	maxWait  time.Duration
	noWait   bool
	follow   bool
	wanted   string
	noVerify bool
	tempDir  string

	// live opens what is followed of a session.
	live func(ctx context.Context, session string) (*recording.Recording, error)
	// onTerminal says whether an output is one.
	onTerminal func(out any) bool
	// terminals are kept where they can be played; nil elsewhere.
	terminals *terminals
}

// NewCommand returns the command replay.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	flags := cluster.NewFlags()
	o := &options{IOStreams: streams, cluster: flags, source: recording.NewSource(flags), trust: audit.NewTrust(flags.ConfigFlags), onTerminal: terminal}
	o.live = o.source.Follow
	cmd := &cobra.Command{
		Use:   "replay SESSION | replay SESSION --records PATH | replay PATH...",
		Short: "Replay a session from its records",
		Long: `Show a session as a transcript: who it was, each operation with what was decided and
why, and what came of it, in the order and at the pace in which it happened.

A session is named as its AuditSession is, and read from the manager, which puts on
record that you read it. A session that goes on is shown up to now; with --follow also
what comes, a second or two after it happened, and its terminal while it is used. You
need the right to get auditsessions/recording, which the role doorward-auditor has, and a
token in kubeconfig.

With --records it is read from the files or directories that hold its records; the end
of its ID will do, as the target's own log shows it. Files alone will do where they hold
one session.

The records are verified first, and nothing is shown of records that were changed; what
that could not exclude is said. Results of queries are not on record.

Where a terminal was recorded, what it showed is played in real time, if this is a
terminal; what would do more than draw, such as write to its clipboard, is left out.
--no-wait shows the transcript. See "kubectl doorward audit export" for other players.`,
		Example: `  # A session of the cluster
  kubectl doorward replay 7c9e6679f7425a0d -n payments

  # A session of a sink's files, at the pace of its time
  kubectl doorward replay 7c9e6679f7425a0d --records ./records

  # Three times as fast, from its tenth minute on
  kubectl doorward replay 7c9e6679f7425a0d --records ./records --speed 3 --from 10m

  # What a terminal showed, from its tenth minute on
  kubectl doorward replay 0b7e1f02c9d4a836 -n bastions --from 10m

  # What somebody does now
  kubectl doorward replay 0b7e1f02c9d4a836 -n bastions --follow

  # All at once, for a ticket
  kubectl doorward replay ./records/2026-03-04.ndjson --no-wait`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("nothing to replay: give a session, or files that hold one")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.cluster.Add(cmd)
	o.source.Add(cmd)
	o.trust.AddFlags(cmd.Flags())
	addFlags(cmd.Flags(), o)
	return cmd
}

func addFlags(flags *pflag.FlagSet, o *options) {
	flags.StringArrayVar(&o.records, "records", nil, "File or directory that holds the session's records. May be given several times.")
	flags.DurationVar(&o.from, "from", 0, "Begin that long after the session began.")
	flags.Float64Var(&o.speed, "speed", 1, "How many times as fast as it happened.")
	flags.DurationVar(&o.maxWait, "max-wait", 3*time.Second, "Wait no longer than this for the next entry.")
	flags.BoolVar(&o.noWait, "no-wait", false, "Show all at once, as a transcript. So it is where the output is no terminal.")
	flags.BoolVar(&o.follow, "follow", false, "Show what comes, too, while the session goes on. What was is shown at once.")
	flags.StringVar(&o.wanted, "recording", "", "With --follow, the terminal to show where the session has several.")
	flags.BoolVar(&o.noVerify, "no-verify", false, "Show records that cannot be verified, or were changed, too.")
	flags.StringVar(&o.tempDir, "temp-dir", "", "Directory for temporary files, about a tenth of the records' size.")
}

func (o *options) run(ctx context.Context, args []string) (err error) {
	if err := o.complete(args); err != nil {
		return err
	}
	wait := !o.noWait && o.onTerminal(o.Out)
	if o.follow {
		return o.followed(ctx, wait)
	}
	if wait {
		o.terminals = &terminals{dir: o.tempDir}
		defer func() { err = errors.Join(err, o.terminals.close()) }()
	}
	found, err := o.found(ctx)
	if err != nil {
		return err
	}
	p := &player{out: o.Out, wait: wait, speed: o.speed, most: o.maxWait}
	if o.terminals.any() {
		return p.terminals(ctx, found, o.terminals, o.from)
	}
	return p.play(ctx, found, o.from)
}

// found are the records to show, verified unless that is not wanted.
func (o *options) found(ctx context.Context) ([]record.Document, error) {
	if len(o.records) == 0 {
		return o.fromCluster(ctx)
	}
	if len(o.records) == 1 && recording.IsExtract(o.records[0]) {
		return o.fromExtract(o.records[0])
	}
	if !o.noVerify {
		if err := o.verify(ctx); err != nil {
			return nil, err
		}
	}
	return o.read(ctx)
}

var errNoName = errors.New("no session: the name is empty: see \"kubectl doorward sessions\"")

// complete tells a session from files.
func (o *options) complete(args []string) error {
	if o.speed <= 0 || o.speed > 1000 {
		return fmt.Errorf("invalid --speed: want above 0, and 1000 at most: %g", o.speed)
	}
	if o.from < 0 || o.maxWait < 0 {
		return errors.New("invalid --from or --max-wait: a duration is not negative")
	}
	switch {
	case o.wanted != "" && !o.follow:
		return errors.New("--recording is for --follow: \"kubectl doorward audit export\" has one recording of several")
	case o.follow && (len(o.records) > 0 || len(args) != 1):
		return errors.New("what goes on is read from the manager: give one session with --follow, and no files")
	case o.follow && (o.from != 0 || o.speed != 1 || o.noVerify):
		return errors.New("--follow shows what was at once, and only what is proven: leave out --from, --speed and --no-verify")
	case o.follow && args[0] == "":
		return errNoName
	case o.follow:
		o.session = args[0]
		return nil
	}
	if len(o.records) > 0 {
		if len(args) > 1 {
			return fmt.Errorf("one session at a time: %q: give files with --records", args[1])
		}
		o.session = args[0]
		return nil
	}
	for _, path := range args {
		// Such as what a script has looked for and not found.
		if path == "" {
			return errNoName
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && len(args) == 1 && !strings.ContainsAny(path, `/\`) {
			o.session = path
			return nil
		} else if err != nil {
			return fmt.Errorf("cannot read records: %w", err)
		}
	}
	o.records = args
	return nil
}

// verify refuses records that are not as they were written.
func (o *options) verify(ctx context.Context) error {
	tell, end := audit.Progress(o.ErrOut, "Verifying")
	options := verify.Options{TempDir: o.tempDir, Progress: tell}
	if err := o.trust.Complete(ctx, &options); err != nil {
		return err
	}
	report, err := verify.Verify(ctx, o.records, options)
	end()
	if err != nil {
		return fmt.Errorf("cannot verify records: %w", err)
	}
	if report.OK {
		audit.PrintSummary(o.ErrOut, report)
		return nil
	}
	for _, finding := range report.All() {
		fmt.Fprintf(o.ErrOut, "%s: %s\n  do: %s\n", finding.Verdict, audit.Safe(finding.Sentence), audit.Safe(finding.Remedy))
	}
	fmt.Fprintln(o.ErrOut, "Nothing is shown: look at \"kubectl doorward audit verify\", or give --no-verify to see the records all the same.")
	if report.Tampered() {
		return audit.ErrTampered
	}
	return audit.ErrUnreadable
}

func terminal(out any) bool {
	file, ok := out.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
