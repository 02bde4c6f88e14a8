// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify"
)

func newShow(streams genericiooptions.IOStreams) *cobra.Command {
	f, output := &filter{reads: true}, "text"
	cmd := &cobra.Command{
		Use:   "show PATH...",
		Short: "Show records",
		Long: `Show the records in files and directories, log by log in their order, each once.

Nothing is verified: see "kubectl doorward audit verify". With -o json, each line is
the record as it was written.`,
		Example: `  # What a caller did in the last two hours
  kubectl doorward audit show --actor alice@example.com --since 2h ./records

  # Everything that was refused on a Connection
  kubectl doorward audit show --denied --connection payments/orders ./records`,
		Args: paths,
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("output format not known: %q: one of (text, json)", output)
			}
			if err := f.complete(time.Now()); err != nil {
				return err
			}
			write := showLine
			if output == "json" {
				write = func(out io.Writer, json []byte, _ *record.Document) error { return writeLine(out, json) }
			} else if err := writeLine(streams.Out, []byte(header())); err != nil {
				return err
			}
			return each(cmd.Context(), streams, f, args, write)
		},
	}
	f.addFlags(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", output, "Output format. One of: (text, json).")
	return cmd
}

// each calls write for the records that a filter chooses, in order.
func each(ctx context.Context, streams genericiooptions.IOStreams, f *filter, paths []string, write func(out io.Writer, json []byte, d *record.Document) error) error {
	tell, end := progress(streams.ErrOut, "Reading")
	out := bufio.NewWriter(streams.Out)
	found := 0
	problems, err := verify.Read(ctx, paths, verify.ReadOptions{Match: f.match, Progress: tell}, func(r record.Record) error {
		end()
		d, err := record.Decode(r.JSON)
		if err != nil || !f.keep(&d) {
			return err
		}
		found++
		return write(out, r.JSON, &d)
	})
	end()
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintln(streams.ErrOut, "warning:", safe(p.Sentence))
	}
	if found == 0 {
		fmt.Fprintln(streams.ErrOut, "No records found.")
	}
	if len(problems) > 0 {
		return ErrUnreadable
	}
	return nil
}

func writeLine(out io.Writer, line []byte) error {
	_, err := out.Write(append(line[:len(line):len(line)], '\n'))
	return err
}

const columns = "%-24s %-9s %-20s %-26s %-22s %-14s %s\n"

func header() string {
	return strings.TrimSuffix(fmt.Sprintf(columns, "TIME", "INDEX", "TYPE", "ACTOR", "CONNECTION", "OUTCOME", "WHAT"), "\n")
}

func showLine(out io.Writer, _ []byte, d *record.Document) error {
	actor, connection := "-", "-"
	if a := d.Actor; a != nil {
		actor = firstOf(a.UserName, a.Subject, a.KubernetesUser, actor)
		if len(a.Delegation) > 0 {
			actor += " via " + a.Delegation[0].Subject
		}
	}
	if c := d.Connection; c != nil {
		connection = c.Namespace + "/" + c.Name
	}
	line := fmt.Sprintf(columns, d.Time.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprint(d.Index), oneLine(string(d.Type)),
		oneLine(actor), oneLine(connection), oneLine(outcome(d)), oneLine(what(d)))
	return writeLine(out, []byte(strings.TrimRight(line, " \n")))
}

// outcome is the column of that name.
func outcome(d *record.Document) string {
	switch {
	case d.Result != nil:
		return firstOf(d.Result.Outcome, "-")
	case d.Decision != nil:
		effect := d.Decision.Effect
		switch {
		case wentAhead(d.Approval):
			effect = breakGlass
		case d.Approval != nil && d.Approval.Outcome != "":
			effect = d.Approval.Outcome
		}
		return firstOf(effect, "-")
	case refused(d):
		return "Refused"
	}
	return "-"
}

// what is the last column.
func what(d *record.Document) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if d.Session != "" {
		add("session=%s", d.Session)
	}
	if d.OperationID != 0 {
		add("operation=%d", d.OperationID)
	}
	if d.Result != nil && d.Type == record.OperationResult {
		add("rows=%d bytes=%d", d.Result.Rows, d.Result.Bytes)
		if d.Result.ErrorCode != "" {
			add("error=%s", d.Result.ErrorCode)
		}
		if text := Exit(d.Result.Exit); text != "" {
			add("%s", text)
		}
		for _, text := range Transfers(d.Result) {
			add("%s", text)
		}
	}
	if d.Recording != nil {
		add("recording=%s part=%d", d.Recording.ID, d.Recording.Sequence)
	}
	if d.Read != nil {
		add("recording of session=%s", d.Read.Session)
		if d.Read.Follow {
			add("followed")
		}
		if d.Read.Unrecorded > 0 {
			add("unrecorded=%d", d.Read.Unrecorded)
		}
	}
	if d.Checkpoint != nil {
		add("size=%d", d.Checkpoint.Size)
	}
	for _, a := range d.Attributes {
		add("%s=%s", a.Name, a.Value)
	}
	if d.Reason != "" {
		add("reason: %s", d.Reason)
	}
	if code := string(d.ReasonCode); code != d.Reason && code != "" {
		add("code: %s", code)
	}
	if d.Decision != nil && d.Decision.Message != "" {
		add("message: %s", d.Decision.Message)
	}
	if d.Decision != nil && d.Decision.Cause != "" {
		add("cause: %s", d.Decision.Cause)
	}
	if text := Approvals(d.Approval); text != "" {
		add("approval: %s", text)
	}
	if d.Decision != nil && d.Decision.Audit != nil {
		add("%s", would(d.Decision.Audit))
	}
	if d.Operation != nil {
		add("%s", firstOf(d.Operation.Statement, d.Operation.Kind))
	}
	return strings.Join(parts, " ")
}

// would says what a decision would be if policies in mode Audit were enforced.
func would(d *record.WouldDocument) string {
	text := "would be: " + firstOf(d.Effect, "masked otherwise")
	rules := make([]string, len(d.Rules))
	for i, rule := range d.Rules {
		rules[i] = rule.Policy + "/" + rule.Rule
	}
	if len(rules) > 0 {
		text += " by " + strings.Join(rules, ",")
	}
	if len(d.Masks) > 0 {
		text += " with masks " + strings.Join(d.Masks, ",")
	}
	return text
}

// oneLine is a text for a column: white space is one blank, and what could
// deceive is visible.
func oneLine(text string) string { return safe(strings.Join(strings.Fields(text), " ")) }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
