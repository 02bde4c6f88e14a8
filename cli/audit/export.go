// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

func newExport(streams genericiooptions.IOStreams) *cobra.Command {
	f, format, recording := &filter{}, "jsonl", ""
	cmd := &cobra.Command{
		Use:   "export PATH... --session ID",
		Short: "Export the records of one session",
		Long: `Export the records of one session: as they were written (jsonl), as a table (csv), or
the recording of its terminal as asciicast version 2 for a player such as asciinema.
The parts of a recording are checked against their digests. Nothing else is verified:
see "kubectl doorward audit verify".`,
		Example: `  kubectl doorward audit export ./records --session 7f1b --format csv > session.csv
  kubectl doorward audit export ./records --session 7f1b --format asciicast > session.cast`,
		Args: paths,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.session == "" {
				return errors.New("no session given: --session says which session to export; kubectl doorward audit show --type SessionStart lists them")
			}
			if err := f.complete(time.Now()); err != nil {
				return err
			}
			switch format {
			case "jsonl":
				return each(cmd.Context(), streams, f, args, func(out io.Writer, json []byte, _ *record.Document) error { return writeLine(out, json) })
			case "csv":
				return exportCSV(cmd, streams, f, args)
			case "asciicast":
				return exportCast(cmd, streams, f, args, recording)
			}
			return fmt.Errorf("export format not known: %q: one of (jsonl, csv, asciicast)", format)
		},
	}
	cmd.Flags().StringVar(&f.session, "session", "", "Session to export.")
	cmd.Flags().StringVar(&format, "format", format, "Format. One of: (jsonl, csv, asciicast).")
	cmd.Flags().StringVar(&recording, "recording", "", "Recording to export as asciicast, where the session has several.")
	return cmd
}

var csvHeader = []string{
	"log", "index", "time", "type", "session", "operation", "connection", "actor", "clientAddress", "kind", "effect", "rules", "approval",
	"outcome", "rows", "bytes", "errorCode", "reason", "statement", "exitStatus", "exitSignal", "transfers",
}

func exportCSV(cmd *cobra.Command, streams genericiooptions.IOStreams, f *filter, args []string) error {
	var writer *csv.Writer
	err := each(cmd.Context(), streams, f, args, func(out io.Writer, _ []byte, d *record.Document) error {
		if writer == nil {
			writer = csv.NewWriter(out)
			if err := writer.Write(csvHeader); err != nil {
				return err
			}
		}
		if err := writer.Write(row(d)); err != nil {
			return err
		}
		writer.Flush()
		return writer.Error()
	})
	return err
}

// row is a record as a line of a table. A cell that a spreadsheet would take
// for a formula begins with an apostrophe.
func row(d *record.Document) []string {
	cells := []string{d.Log, strconv.FormatInt(d.Index, 10), d.Time.UTC().Format(time.RFC3339Nano), string(d.Type), d.Session}
	operation := ""
	if d.OperationID != 0 {
		operation = strconv.FormatUint(d.OperationID, 10)
	}
	var connection, actor, kind, effect, rules, approval, result, rows, size, code, statement, status, signal string
	if c := d.Connection; c != nil {
		connection = c.Namespace + "/" + c.Name
	}
	if a := d.Actor; a != nil {
		actor = firstOf(a.UserName, a.Subject, a.KubernetesUser)
	}
	if o := d.Operation; o != nil {
		kind, statement = o.Kind, o.Statement
	}
	if e := d.Decision; e != nil {
		effect = e.Effect
		var names []string
		for _, r := range e.Rules {
			names = append(names, r.Policy+"/"+r.Rule)
		}
		rules = strings.Join(names, " ")
	}
	approval = approvalCell(d.Approval)
	if r := d.Result; r != nil {
		result, rows, size, code = r.Outcome, strconv.FormatInt(r.Rows, 10), strconv.FormatInt(r.Bytes, 10), r.ErrorCode
	}
	if r := d.Result; r != nil {
		status, signal = exitCells(r.Exit)
	}
	cells = append(cells, operation, connection, actor, d.ClientAddress, kind, effect, rules, approval, result, rows, size, code, d.Reason, statement,
		status, signal, strings.Join(Transfers(d.Result), "; "))
	for i, c := range cells {
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			cells[i] = "'" + c
		}
	}
	return cells
}

// exitCells are the status of a program that ended by itself, or the signal that ended it.
func exitCells(x *record.ExitDocument) (status, signal string) {
	switch {
	case x == nil:
	case x.Signal != "" && x.CoreDumped:
		signal = x.Signal + " with a core image"
	case x.Signal != "":
		signal = x.Signal
	case x.Status != nil:
		status = strconv.FormatUint(uint64(*x.Status), 10)
	}
	return status, signal
}

// approvalCell are the outcomes of approvals, each with its request.
func approvalCell(a *record.ApprovalDocument) string {
	var all []string
	for _, one := range approvalsOf(a) {
		outcome := one.Outcome
		if one.BreakGlass {
			outcome = breakGlass
		}
		all = append(all, strings.TrimSpace(outcome+" "+one.Request))
	}
	return strings.Join(all, "; ")
}

// exportCast writes a recording once all of it is checked.
func exportCast(cmd *cobra.Command, streams genericiooptions.IOStreams, f *filter, args []string, wanted string) error {
	f.types = []string{string(record.RecordingChunk), string(record.RecordingEnd)}
	temp, err := os.CreateTemp("", "doorward-recording-")
	if err != nil {
		return fmt.Errorf("cannot export recording: %w", err)
	}
	defer func() { _ = errors.Join(temp.Close(), os.Remove(temp.Name())) }()
	var recording *cast.Assembler
	var others []string
	log := ""
	err = each(cmd.Context(), streams, f, args, func(_ io.Writer, _ []byte, d *record.Document) error {
		r := d.Recording
		if r == nil {
			return nil
		}
		// Anybody can make a log with a key of their own.
		if log == "" {
			log = d.Log
		}
		if d.Log != log {
			return fmt.Errorf("session %q is in several logs: give the files of one: %s, %s", f.session, show.Line(log), show.Line(d.Log))
		}
		if wanted == "" {
			wanted = r.ID
		}
		if r.ID != wanted {
			if len(others) == 0 || others[len(others)-1] != r.ID {
				others = append(others, r.ID)
			}
			return nil
		}
		if recording == nil {
			recording = cast.NewAssembler(wanted, temp)
		}
		if d.Type == record.RecordingEnd {
			return recording.End(r)
		}
		return recording.Part(r)
	})
	if err != nil {
		return err
	}
	if recording == nil {
		return fmt.Errorf("no recording found: session %q has none named %q here", f.session, wanted)
	}
	if len(others) > 0 {
		fmt.Fprintf(streams.ErrOut, "warning: the session has more recordings than %q: --recording chooses one of %q\n", wanted, others)
	}
	if !recording.Ended() {
		fmt.Fprintf(streams.ErrOut, "warning: the recording has no end: it goes on, was interrupted, or files are missing; %d parts are there\n", recording.Parts())
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("cannot export recording: %w", err)
	}
	_, err = io.Copy(streams.Out, temp)
	return err
}
