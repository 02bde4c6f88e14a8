// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward/test/testenv"
)

// row is what one fault cost.
type row struct {
	fault fault
	// live are the sessions that ran when it began; ended those of them that
	// ended by design, lost the others that ended.
	live, ended, lost int
	// answered, doubt and refused are numbers of operations.
	answered, doubt, refused int
	// doubtExecuted of those in doubt were executed, and are on record.
	doubtExecuted          int
	unrecorded, unexecuted []string
	missing                int64
	longest, longestLogin  time.Duration
	recovered              time.Duration
	failedLogins           map[string]int
}

func (r *row) summary() string {
	text := fmt.Sprintf("%d sessions: %d ended by design, %d lost; %d operations answered, %d cut (%d of these executed), %d lost; records lost: %d; waited at most %s, at login %s; well after %s",
		r.live, r.ended, r.lost, r.answered, r.doubt, r.doubtExecuted, len(r.unrecorded)+len(r.unexecuted), r.missing, tidy(r.longest), tidy(r.longestLogin), tidy(r.recovered))
	for said, times := range r.failedLogins {
		text += fmt.Sprintf("; %d logins: %s", times, said)
	}
	return text
}

// tidy rounds a time to what it is worth.
func tidy(d time.Duration) string {
	if d < 100*time.Millisecond {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

const (
	tableBegin = "<!-- table: make e2e UPDATE=1 writes it -->"
	tableEnd   = "<!-- end of table -->"
	tableHead  = "| what happens | sessions ended by design | sessions lost | operations answered meanwhile | cut, unanswered (of these executed) | operations lost | records lost | longest wait for an answer | longest wait at login | all well again after |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n"
)

// table is the rows in Markdown.
func table(rows []row) string {
	var text strings.Builder
	text.WriteString(tableHead)
	for i := range rows {
		r := &rows[i]
		ended := "-"
		if r.ended > 0 {
			ended = fmt.Sprintf("%d of %d", r.ended, r.live)
		}
		fmt.Fprintf(&text, "| %s | %s | %d | %d | %d (%d) | %d | %d | %s | %s | %s |\n",
			r.fault.what, ended, r.lost, r.answered, r.doubt, r.doubtExecuted, len(r.unrecorded)+len(r.unexecuted), r.missing, tidy(r.longest), tidy(r.longestLogin), tidy(r.recovered))
	}
	return text.String()
}

// rows are of all tests that ran, in order.
var rows []row

// show prints the table, and with -update puts it into the documentation.
func show() error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Printf("\n%s\n", table(rows))
	if !*update {
		return nil
	}
	path := filepath.Join(testenv.Root(), "docs", "reliability.md")
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot update the table: %w", err)
	}
	before, rest, found := strings.Cut(string(content), tableBegin)
	_, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		return fmt.Errorf("no table in %s: want it between %q and %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, []byte(before+tableBegin+"\n"+table(rows)+tableEnd+after), 0o644)
}

// TestTable holds the table's lines against its head.
func TestTable(t *testing.T) {
	rows := []row{{fault: fault{what: "a proxy is killed"}, live: 50, ended: 14, answered: 900, doubt: 1, longest: 3140 * time.Millisecond, recovered: 12 * time.Second}}
	lines := strings.Split(strings.TrimSpace(table(rows)), "\n")
	want := "| a proxy is killed | 14 of 50 | 0 | 900 | 1 (0) | 0 | 0 | 3.1 s | - | 12.0 s |"
	if len(lines) != 3 || lines[2] != want {
		t.Errorf("got %q, want its last line to be %q", lines, want)
	}
	for _, line := range lines[1:] {
		if strings.Count(line, "|") != strings.Count(lines[0], "|") {
			t.Errorf("line %q has another number of columns than the head", line)
		}
	}
}
