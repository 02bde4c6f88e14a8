// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/doorward/doorward/cli/show"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
)

// Report is what was found of a recording that holds.
type Report struct {
	extract.Report
	// Missing are numbers of operations that are on none of the records: the first of
	// them, 0 for none.
	Missing uint64
	// Ended says that the session's end is there.
	Ended bool
	// UnnamedLog says that nobody but the manager, whose answer the records are, says that
	// they are of the session's log.
	UnnamedLog bool
}

// Check verifies an extract. each is given its records, none of which is proven before
// Check returns nil. Errors wrap extract.ErrChanged or extract.ErrCut where it is about
// what was read.
func Check(in io.Reader, each func(*record.Document) error) (*Report, error) {
	report := &Report{}
	seen, most := map[uint64]bool{}, uint64(0)
	checked, err := extract.Check(in, func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		if err != nil {
			return err
		}
		if d.OperationID != 0 && !seen[d.OperationID] {
			seen[d.OperationID], most = true, max(most, d.OperationID)
		}
		report.Ended = report.Ended || d.Type == record.SessionEnd
		return each(&d)
	})
	if err != nil {
		return nil, err
	}
	report.Report = *checked
	for n := uint64(1); n < most && report.Missing == 0; n++ {
		if !seen[n] {
			report.Missing = n
		}
	}
	return report, nil
}

// PrintSummary says what was proven, and what was not.
func PrintSummary(out io.Writer, r *Report) {
	fmt.Fprintf(out, "log %s: %d records of session %s, from %d to %d, are as the log's key signed them in the checkpoint of %d records, %s\n",
		show.Line(r.Log), r.Records, show.Line(r.Session), r.First, r.Last, r.Size, r.At.UTC().Format("2006-01-02T15:04:05Z"))
	if r.Missing > 0 {
		fmt.Fprintf(out, "warning: operation %d of the session is on none of these records\n", r.Missing)
	}
	if r.UnnamedLog {
		fmt.Fprintln(out, "the log is the one that the manager names: to hold it against status.log.id of the AuditSession, ask for the verb \"get\" on auditsessions")
	}
	fmt.Fprintln(out, "not excluded: that records of the session were left out, or that this is an older state or another history of the log: "+
		"hold the files of a LogSink against the witness, with \"kubectl doorward audit verify --witness\"")
}

// IsExtract says whether a file begins as an extract does.
func IsExtract(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	want := []byte(`{"schema":"` + extract.Schema + `"`)
	begins := make([]byte, len(want))
	_, err = io.ReadFull(file, begins)
	return err == nil && bytes.Equal(begins, want)
}
