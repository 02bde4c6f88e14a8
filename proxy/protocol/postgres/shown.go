// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/hex"
)

// The record shows rows in the text format of COPY (PostgreSQL manual, COPY,
// "Text Format"): one line for each, values parted by tabs, \N for NULL. The
// first line holds the names of the columns. Values in binary format are shown
// as bytea is in hex format.

// showHeader shows the names of the columns.
func (o *operation) showHeader(cols *columns) {
	if o.answer.Room() == 0 {
		return
	}
	o.shown = cols
	line := o.scratch[:0]
	for i, c := range cols.list {
		if i > 0 {
			line = append(line, '\t')
		}
		line = appendCopyText(line, []byte(c.name))
	}
	line = append(line, '\n')
	o.answer.Show(line)
	o.scratch = line
}

// showRow shows the body of a DataRow, which has been checked or is shown as
// far as it can be read.
func (o *operation) showRow(content []byte) {
	if o.answer.Room() == 0 {
		return
	}
	b := body{rest: content}
	line := o.scratch[:0]
	for i := range b.count("number of fields") {
		if i > 0 {
			line = append(line, '\t')
		}
		length := b.int32("field length")
		if length == -1 {
			line = append(line, '\\', 'N')
			continue
		}
		value := b.bytes(length, "field")
		if b.err != nil {
			break
		}
		if o.shown != nil && i < len(o.shown.list) && o.shown.list[i].unreadable() {
			line = hex.AppendEncode(append(line, '\\', '\\', 'x'), value)
		} else {
			line = appendCopyText(line, value)
		}
	}
	line = append(line, '\n')
	o.answer.Show(line)
	o.scratch = line
	if cap(o.scratch) > maxScratch {
		o.scratch = nil
	}
}

// unreadable says that the values are bytes and no text.
func (c column) unreadable() bool { return c.binary && !isText(kinds[c.typ]) }

// appendCopyText appends a value with the escapes of COPY's text format.
func appendCopyText(dst, value []byte) []byte {
	const escaped, letters = "\\\b\f\n\r\t\v", "\\bfnrtv"
	for _, c := range value {
		at := -1
		if c == '\\' || c < ' ' {
			for i := range len(escaped) {
				if escaped[i] == c {
					at = i
				}
			}
		}
		if at >= 0 {
			dst = append(dst, '\\', letters[at])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
