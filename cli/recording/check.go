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
	t := newTally(each)
	checked, err := extract.Check(in, t.take)
	if err != nil {
		return nil, err
	}
	return t.report(checked), nil
}

// Follow is Check of an extract that is followed. proven is told of what was found up to
// each checkpoint: only then are the records proven that each was given.
func Follow(in io.Reader, each func(*record.Document) error, proven func(*Report) error) error {
	t := newTally(each)
	return extract.Follow(in, t.take, func(checked *extract.Report) error { return proven(t.report(checked)) })
}

// tally counts a session's records.
type tally struct {
	each func(*record.Document) error
	// first is the first operation that was not seen, seen are those beyond.
	first uint64
	seen  map[uint64]bool
	ended bool
}

func newTally(each func(*record.Document) error) *tally {
	return &tally{each: each, first: 1, seen: map[uint64]bool{}}
}

func (t *tally) take(r record.Record) error {
	d, err := record.Decode(r.JSON)
	if err != nil {
		return err
	}
	if d.OperationID >= t.first {
		t.seen[d.OperationID] = true
	}
	for t.seen[t.first] {
		delete(t.seen, t.first)
		t.first++
	}
	t.ended = t.ended || d.Type == record.SessionEnd
	return t.each(&d)
}

func (t *tally) report(checked *extract.Report) *Report {
	report := &Report{Report: *checked, Ended: t.ended}
	if len(t.seen) > 0 {
		report.Missing = t.first
	}
	return report
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
