// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Details are the fields of one object, for people: a name and a text each, and blocks of
// several lines.
type Details struct{ text strings.Builder }

// Fields adds fields, in columns; pairs are a name and its text. Those without text are
// left out.
func (d *Details) Fields(pairs ...string) {
	table := tabwriter.NewWriter(&d.text, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if text := Line(pairs[i+1]); text != "" {
			fmt.Fprintf(table, "%s:\t%s\n", pairs[i], text)
		}
	}
	_ = table.Flush() // a Builder does not fail
}

// Block adds a text of several lines under a title, each line behind a bar, so that none
// passes for a field.
func (d *Details) Block(title, text string) {
	fmt.Fprintf(&d.text, "%s:\n%s", title, Lines(text, "  | "))
}

// Rows adds rows of cells under a title; nothing where there are none.
func (d *Details) Rows(title string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(&d.text, "%s:\n", title)
	table := tabwriter.NewWriter(&d.text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Line(cell)
		}
		fmt.Fprintf(table, "  %s\n", strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	_ = table.Flush() // a Builder does not fail
}

// WriteTo prints what was added.
func (d *Details) WriteTo(out io.Writer) (int64, error) {
	n, err := io.WriteString(out, d.text.String())
	return int64(n), err
}
