// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package account

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
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

	path   string
	mark   *regexp.Regexp
	offset int64
	rest   string
}

// NewTargetLog reads a file from an offset in bytes on, for the marks of a label.
func NewTargetLog(path string, offset int64, label string) *TargetLog {
	return &TargetLog{Executed: map[string]int{}, path: path, mark: Marks(label), offset: offset}
}

// Read goes on where it left off.
func (l *TargetLog) Read() error {
	file, err := os.Open(l.path)
	if err != nil {
		return fmt.Errorf("cannot read the target's log: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.NewSectionReader(file, l.offset, 1<<40))
	if err != nil {
		return fmt.Errorf("cannot read the target's log: %w", err)
	}
	l.offset += int64(len(content))
	l.take(string(content))
	return nil
}

// take counts the marks of whole lines. Statements of the load are one line each.
func (l *TargetLog) take(content string) {
	content = l.rest + content
	whole := strings.LastIndexByte(content, '\n') + 1
	l.rest = content[whole:]
	for line := range strings.Lines(content[:whole]) {
		if !strings.Contains(line, "LOG:  statement: ") && !strings.Contains(line, "LOG:  execute ") {
			continue
		}
		for _, text := range l.mark.FindAllString(line, -1) {
			l.Executed[text]++
		}
	}
}
