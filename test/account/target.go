// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/doorward/doorward/test/tail"
)

// Mark makes a mark: kind is 'r' for what reads and 'w' for what writes.
func Mark(kind byte, label string, client, number int) string {
	return fmt.Sprintf("mark-%c-%s-%d-%d", kind, label, client, number)
}

// Marks finds the marks of a label. A mark is in the text of one statement; its
// first letter says whether that one reads or writes.
func Marks(label string) *regexp.Regexp {
	return regexp.MustCompile(`mark-[rw]-` + regexp.QuoteMeta(label) + `-\d+-\d+`)
}

// Reads says whether a mark is of a statement that only reads.
func Reads(mark string) bool { return strings.HasPrefix(mark, "mark-r-") }

// TargetLog is PostgreSQL's own log, with log_statement=all, as far as it was read.
type TargetLog struct {
	// Executed is how often each mark was in what the target was sent to execute.
	Executed map[string]int

	path  string
	lines tail.Lines
	mark  *regexp.Regexp
}

// NewTargetLog reads a file from an offset in bytes on, for the marks of a label.
func NewTargetLog(path string, offset int64, label string) *TargetLog {
	l := &TargetLog{Executed: map[string]int{}, path: path, mark: Marks(label)}
	l.lines.Skip(path, offset)
	return l
}

// Read goes on where it left off.
func (l *TargetLog) Read() error {
	if err := l.lines.Read(l.path, l.take); err != nil {
		return fmt.Errorf("cannot read the target's log: %w", err)
	}
	return nil
}

// take counts the marks of a line. Statements of the load are one line each.
func (l *TargetLog) take(line []byte) error {
	if bytes.Contains(line, []byte("LOG:  statement: ")) || bytes.Contains(line, []byte("LOG:  execute ")) {
		for _, text := range l.mark.FindAll(line, -1) {
			l.Executed[string(text)]++
		}
	}
	return nil
}
