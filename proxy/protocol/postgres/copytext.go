// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"fmt"
)

// The text and CSV formats of COPY (PostgreSQL manual, COPY, "File Formats"; as
// CopyAttributeOutText and CopyAttributeOutCSV in copyto.c write them).

// textUnit finds the end of a line. No value has a newline of its own.
func (c *copier) textUnit(data []byte) int {
	at := bytes.IndexByte(data[c.scanned:], '\n')
	if at < 0 {
		c.scanned = len(data)
		return 0
	}
	return c.scanned + at + 1
}

// csvUnit finds the end of a line outside of quotes.
func (c *copier) csvUnit(data []byte) int {
	quote, escape := c.format.Quote[0], c.format.Escape[0]
	for i := c.scanned; i < len(data); i++ {
		switch b := data[i]; {
		case c.quoted && b == escape && escape != quote:
			if i+1 == len(data) {
				c.scanned = i
				return 0
			}
			i++
		case b == quote:
			c.quoted = !c.quoted
		case b == '\n' && !c.quoted:
			return i + 1
		}
	}
	c.scanned = len(data)
	return 0
}

// miscounted says that a row has not the columns that were announced.
func (c *copier) miscounted() error {
	return fmt.Errorf("%w: a row has not the %d columns that were announced", errCopyData, len(c.plan.fields))
}

// textRow appends a line of the text format.
func (c *copier) textRow(line []byte, t *tally) error {
	delimiter := c.format.Delimiter[0]
	at := 0
	for i := range c.plan.fields {
		end := at
		for end < len(line) && line[end] != delimiter {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		if end > len(line) || (end == len(line)) != (i == len(c.plan.fields)-1) {
			return c.miscounted()
		}
		raw := line[at:end]
		if i > 0 {
			c.out = append(c.out, delimiter)
		}
		if err := c.textField(&c.plan.fields[i], raw, t); err != nil {
			return err
		}
		at = end + 1
	}
	c.out = append(c.out, '\n')
	return nil
}

func (c *copier) textField(f *fieldPlan, raw []byte, t *tally) error {
	if f.how == pass {
		c.out = append(c.out, raw...)
		return nil
	}
	isNull := string(raw) == c.format.Null
	value := c.field[:0]
	if !isNull {
		var ok bool
		if value, ok = decodeCopyText(value, raw, c.format.Delimiter[0]); !ok {
			return fmt.Errorf("%w: a value has an escape that is not written", errCopyData)
		}
	}
	c.field = kept(value)
	masked, null, same := c.plan.value(c.plan.spare[:0], f, value, isNull, t)
	c.plan.spare = kept(masked)
	switch {
	case same:
		c.out = append(c.out, raw...)
	case null:
		c.out = append(c.out, c.format.Null...)
	default:
		c.out = encodeCopyText(c.out, masked, c.format.Delimiter[0])
	}
	return nil
}

const copyEscaped, copyLetters = "\b\f\n\r\t\v", "bfnrtv"

// decodeCopyText appends the value that a field of the text format stands for. It
// takes what the server writes and nothing else.
func decodeCopyText(dst, raw []byte, delimiter byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		b := raw[i]
		if b != '\\' {
			dst = append(dst, b)
			continue
		}
		i++
		if i == len(raw) {
			return dst, false
		}
		if at := bytes.IndexByte([]byte(copyLetters), raw[i]); at >= 0 {
			dst = append(dst, copyEscaped[at])
		} else if raw[i] == '\\' || raw[i] == delimiter {
			dst = append(dst, raw[i])
		} else {
			return dst, false
		}
	}
	return dst, true
}

// encodeCopyText appends a value as a field of the text format.
func encodeCopyText(dst, value []byte, delimiter byte) []byte {
	for _, b := range value {
		if at := bytes.IndexByte([]byte(copyEscaped), b); at >= 0 {
			dst = append(dst, '\\', copyLetters[at])
			continue
		}
		if b == '\\' || b == delimiter {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return dst
}

// csvRow appends a line of the CSV format.
func (c *copier) csvRow(line []byte, t *tally) error {
	delimiter, quote := c.format.Delimiter[0], c.format.Quote[0]
	at := 0
	for i := range c.plan.fields {
		quoted := at < len(line) && line[at] == quote
		end := at
		value := c.field[:0]
		if quoted {
			var ok bool
			if value, end, ok = c.unquoted(value, line, at+1); !ok {
				return fmt.Errorf("%w: quotes do not match", errCopyData)
			}
		} else {
			for end < len(line) && line[end] != delimiter {
				if line[end] == quote {
					return fmt.Errorf("%w: a quote within a value", errCopyData)
				}
				end++
			}
			value = append(value, line[at:end]...)
		}
		c.field = kept(value)
		if (end == len(line)) != (i == len(c.plan.fields)-1) || end < len(line) && line[end] != delimiter {
			return c.miscounted()
		}
		if i > 0 {
			c.out = append(c.out, delimiter)
		}
		c.csvField(i, line[at:end], value, quoted, t)
		at = end + 1
	}
	c.out = append(c.out, '\n')
	return nil
}

// unquoted appends a quoted value that begins at a place, and says where its field
// ends.
func (c *copier) unquoted(dst, line []byte, at int) (value []byte, end int, ok bool) {
	quote, escape := c.format.Quote[0], c.format.Escape[0]
	for ; at < len(line); at++ {
		b := line[at]
		if b == escape && at+1 < len(line) && (line[at+1] == quote || line[at+1] == escape) {
			at++
			dst = append(dst, line[at])
			continue
		}
		if b == quote {
			return dst, at + 1, true
		}
		dst = append(dst, b)
	}
	return dst, at, false
}

func (c *copier) csvField(i int, raw, value []byte, quoted bool, t *tally) {
	f := &c.plan.fields[i]
	if f.how == pass {
		c.out = append(c.out, raw...)
		return
	}
	isNull := !quoted && string(raw) == c.format.Null
	if quoted && !c.needsQuotes(value) {
		c.forced[i] = true
	}
	masked, null, same := c.plan.value(c.plan.spare[:0], f, value, isNull, t)
	c.plan.spare = kept(masked)
	switch {
	case same:
		c.out = append(c.out, raw...)
	case null:
		c.out = append(c.out, c.format.Null...)
	case c.forced[i] || c.needsQuotes(masked):
		quote, escape := c.format.Quote[0], c.format.Escape[0]
		c.out = append(c.out, quote)
		for _, b := range masked {
			if b == quote || b == escape {
				c.out = append(c.out, escape)
			}
			c.out = append(c.out, b)
		}
		c.out = append(c.out, quote)
	default:
		c.out = append(c.out, masked...)
	}
}

// needsQuotes says whether the server quotes a value that no option has it quote.
func (c *copier) needsQuotes(value []byte) bool {
	if string(value) == c.format.Null || len(c.plan.fields) == 1 && string(value) == `\.` {
		return true
	}
	for _, b := range value {
		if b == c.format.Delimiter[0] || b == c.format.Quote[0] || b == '\n' || b == '\r' {
			return true
		}
	}
	return false
}
