// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"io"

	"github.com/doorward/doorward/proxy/record/verify"
)

// printReport writes a report for people.
func printReport(out io.Writer, report *verify.Report) {
	bad := 0
	for i := range report.Logs {
		log := &report.Logs[i]
		word := "OK"
		if len(log.Findings) > 0 {
			word = "NOT OK"
			bad++
		}
		fmt.Fprintf(out, "log %s: %s\n", safe(log.Log), word)
		fmt.Fprintf(out, "  records %d to %d, %d checkpoints, %s\n", log.First, log.Records-1, log.Checkpoints, keys(log.Keys))
		if log.LastCheckpoint != nil {
			fmt.Fprintf(out, "  last checkpoint that holds: of %d records, %s\n", log.Consistent, log.LastCheckpoint.Format("2006-01-02T15:04:05Z"))
		}
		if log.Repeated > 0 || log.BrokenLines > 0 {
			fmt.Fprintf(out, "  delivered again: %d records; lines broken off and delivered again: %d\n", log.Repeated, log.BrokenLines)
		}
		if len(log.Findings) == 0 {
			fmt.Fprintf(out, "  %s\n", safe(log.Summary))
		}
		printFindings(out, log.Findings)
		if log.MoreFindings > 0 {
			fmt.Fprintf(out, "  and %d more findings\n", log.MoreFindings)
		}
	}
	if len(report.Findings) > 0 {
		fmt.Fprintln(out, "files:")
		printFindings(out, report.Findings)
	}
	if n := len(report.Absent); n > 0 {
		fmt.Fprintf(out, "%d of the logs that the trusted checkpoints are of have no record here\n", n)
	}
	fmt.Fprintf(out, "%d files read, %d without records; %d logs, %d not OK\n", report.Files, report.Empty, len(report.Logs), bad)
}

// PrintSummary says in a line for each log what a verification that found nothing has
// proven of it, and what it has not.
func PrintSummary(out io.Writer, report *verify.Report) {
	for i := range report.Logs {
		log := &report.Logs[i]
		fmt.Fprintf(out, "log %s: records %d to %d: %s\n", safe(log.Log), log.First, log.Records-1, safe(log.Summary))
	}
}

func printFindings(out io.Writer, findings []verify.Finding) {
	for _, f := range findings {
		fmt.Fprintf(out, "  %s: %s\n", f.Verdict, safe(f.Sentence))
		switch {
		case f.File == "":
		case f.Line > 0:
			fmt.Fprintf(out, "    at: %s:%d\n", safe(f.File), f.Line)
		default:
			fmt.Fprintf(out, "    at: %s, offset %d\n", safe(f.File), f.Offset)
		}
		fmt.Fprintf(out, "    do: %s\n", safe(f.Remedy))
	}
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}
