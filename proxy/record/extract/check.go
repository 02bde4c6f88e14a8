// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package extract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// ErrChanged is wrapped by the errors for extracts that are not what the log's key signed.
var ErrChanged = errors.New("the records are not as the log has them")

// ErrCut is wrapped by the errors for extracts that end before their checkpoint, as
// where a connection broke: nothing is proven.
var ErrCut = errors.New("the records did not come as a whole")

// maxLine bounds a line in bytes: a record, or a head with many keys.
const maxLine = record.MaxSize + 1<<10

// Report is what an extract was found to be.
type Report struct {
	Log, Session string
	// Records is the number of the session's records, the first and last of which have
	// these indexes.
	Records     int
	First, Last int64
	// Size is the number of records that the checkpoint covers, At when it was made.
	Size int64
	At   time.Time
	// Keys is the number of the log's keys.
	Keys int
}

// Check reads an extract and verifies it. each is given the session's records as they
// come; none of them is proven before Check returns nil. Errors wrap ErrChanged or
// ErrCut where it is about the extract.
func Check(in io.Reader, each func(record.Record) error) (*Report, error) {
	return (&checker{whole: tree.NewRange(0), each: each}).check(in)
}

// Follow is Check of an extract that is written while its session goes on. At each
// checkpoint, proven is told what was found up to there: only then are the records proven
// that each was given. An extract that ends behind a checkpoint is whole, whether or not
// its session is over.
func Follow(in io.Reader, each func(record.Record) error, proven func(*Report) error) error {
	_, err := (&checker{whole: tree.NewRange(0), each: each, proven: proven}).check(in)
	return err
}

type checker struct {
	report Report
	keys   *tree.Keys
	whole  tree.Range
	each   func(record.Record) error
	// closed says that the last line was a checkpoint.
	closed bool
	// proven is told of checkpoints where several may come; else nil.
	proven func(*Report) error
}

func (c *checker) check(in io.Reader) (*Report, error) {
	lines := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF) && c.closed:
			return &c.report, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: they end after line %d, before a checkpoint", ErrCut, number-1)
		case err != nil:
			return nil, err
		case c.proven != nil && len(line) == 0:
			continue
		case c.closed && c.proven == nil:
			return nil, fmt.Errorf("%w: line %d follows the checkpoint", ErrChanged, number)
		}
		if err := c.line(line, number == 1); err != nil {
			if !errors.Is(err, errEach) {
				err = fmt.Errorf("%w: line %d: %w", ErrChanged, number, err)
			}
			return nil, err
		}
	}
}

// readLine reads one line without its end. A last line without one is cut.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fmt.Errorf("%w: a line has more than %d bytes", ErrChanged, maxLine)
		}
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0, errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("%w: they end within a line", ErrCut)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// errEach marks the errors of the caller's function.
var errEach = errors.New("not taken")

func (c *checker) line(line []byte, first bool) error {
	if first {
		return c.head(line)
	}
	c.closed = false
	if bytes.HasPrefix(line, []byte(`{"schema":"`+Schema+`"`)) {
		var between Between
		if err := json.Unmarshal(line, &between); err != nil {
			return err
		}
		if between.Leaves == nil || between.Leaves.Begin() == between.Leaves.End() {
			return errors.New("stands for no records")
		}
		return c.whole.Merge(between.Leaves)
	}
	return c.record(line)
}

func (c *checker) head(line []byte) (err error) {
	var head Head
	if err := json.Unmarshal(line, &head); err != nil || head.Schema != Schema {
		return fmt.Errorf("not the head of an extract: want schema %q", Schema)
	}
	if head.Session == "" {
		return errors.New("names no session")
	}
	if c.keys, err = tree.NewKeys(head.Log, head.Key); err != nil {
		return err
	}
	for _, rotation := range head.Rotations {
		if err := c.keys.Follow(rotation); err != nil {
			return err
		}
	}
	c.report = Report{Log: head.Log, Session: head.Session, First: -1, Last: -1, Keys: len(head.Rotations) + 1}
	return nil
}

func (c *checker) record(line []byte) error {
	d, err := record.Decode(line)
	if err != nil {
		return err
	}
	if d.Log != c.report.Log {
		return fmt.Errorf("record of another log: %q", d.Log)
	}
	if d.Type == record.Checkpoint {
		return c.checkpoint(&d)
	}
	if d.Session != c.report.Session {
		return fmt.Errorf("record %d is not one of session %q", d.Index, c.report.Session)
	}
	if d.Index != c.whole.End() {
		return fmt.Errorf("record %d stands at the place of record %d", d.Index, c.whole.End())
	}
	c.whole.Append(record.LeafHash(line))
	if c.report.Records == 0 {
		c.report.First = d.Index
	}
	c.report.Records, c.report.Last = c.report.Records+1, d.Index
	if err := c.each(record.Record{Position: record.Position{LogID: d.Log, Index: d.Index}, JSON: line}); err != nil {
		return errors.Join(errEach, err)
	}
	return nil
}

// checkpoint holds everything so far against what the log's key signed.
func (c *checker) checkpoint(d *record.Document) error {
	if d.Checkpoint == nil {
		return errors.New("a checkpoint without a note")
	}
	signed, err := c.keys.Open(d.Checkpoint.Note)
	if err != nil {
		return err
	}
	if signed.Size != c.whole.End() {
		return fmt.Errorf("the checkpoint is of %d records, here are %d", signed.Size, c.whole.End())
	}
	root, err := c.whole.Root()
	if err != nil {
		return err
	}
	if root != signed.Root {
		return fmt.Errorf("one of records %d to %d, or what stands for those between, is not what was signed", c.report.First, c.report.Last)
	}
	if c.report.Records == 0 {
		return errors.New("no record of the session")
	}
	c.report.Size, c.report.At, c.closed = signed.Size, signed.Time, true
	if c.proven != nil {
		report := c.report
		if err := c.proven(&report); err != nil {
			return errors.Join(errEach, err)
		}
	}
	return nil
}
