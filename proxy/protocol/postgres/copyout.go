// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// errCopyData says that copy data is not what the statement asked for, so that
// nobody can say what is in it.
var errCopyData = errors.New("copy data cannot be read")

// copyMaskable says why copy data of a statement cannot be masked, or nil.
func copyMaskable(f *sql.CopyFormat, named bool) error {
	refuse := func(message, hint string) error {
		return &sql.Error{SQLSTATE: sql.StateInsufficientPrivilege, Message: message, Hint: hint}
	}
	switch {
	case f == nil || f.Unknown || !f.Binary && (len(f.Delimiter) != 1 || f.CSV && (len(f.Quote) != 1 || len(f.Escape) != 1)):
		return refuse("copy data with these options cannot be masked", "Leave out options that are not in PostgreSQL's manual.")
	case !f.Binary && !isUTF8(f.Encoding):
		return refuse(fmt.Sprintf("copy data in another encoding than UTF8 cannot be masked: %q", f.Encoding), "Leave ENCODING out.")
	case named && !f.Binary && !f.CSV && mayBeValue(f.Null, f.Delimiter[0]):
		// Rows whose value is that text could be told from others.
		return refuse(fmt.Sprintf("NULL %q could be a value of a masked column", f.Null), `Leave NULL out, so that it is \N, or use CSV.`)
	}
	return nil
}

// isUTF8 reads the name of an encoding as the server does: letters and digits count.
func isUTF8(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	return name == "" || plain == "utf8" || plain == "unicode"
}

// mayBeValue says whether a value can look like NULL does in the text format.
func mayBeValue(null string, delimiter byte) bool {
	value, ok := decodeCopyText(nil, []byte(null), delimiter)
	return ok && string(encodeCopyText(nil, value, delimiter)) == null
}

// copyFollows takes the announcement of copy data: its format and its columns.
func (s *session) copyFollows(ctx context.Context, e *expected, op *operation, raw []byte) error {
	b := body{rest: raw[headerLength:]}
	inBinary := b.byte("format") != 0
	n := b.count("number of columns")
	b.bytes(2*n, "formats")
	if err := b.done(); err != nil {
		return fmt.Errorf("%w: copy data: %w", errTarget, err)
	}
	op.copyOut, op.copyBinary = true, inBinary
	if !op.rules.Empty() {
		err := op.planCopy(n, inBinary)
		if err != nil {
			return s.unplanned(ctx, e, op, err)
		}
	}
	return s.pass(raw)
}

// planCopy works out what is masked in copy data.
func (o *operation) planCopy(n int, inBinary bool) error {
	p := newPlan(o.rules, n)
	if err := p.disclosed(o, o.catalog); err != nil {
		return err
	}
	relation, columns := o.statement.Copied()
	if columns != nil && len(columns) != n {
		return &sql.Error{SQLSTATE: sql.StateFeatureNotSupported, Message: "the relation has other columns than it was known to have", Hint: "Send the statement again."}
	}
	for i, c := range columns {
		p.origin(&p.fields[i], relation, c.Name, o.catalog, o.masks)
		p.fields[i].kind = o.catalog.kind(c.Type, inBinary)
	}
	if columns == nil {
		p.guessKinds(o, inBinary)
	}
	for i := range p.fields {
		p.fields[i].binary = inBinary
	}
	if o.plan = p.settled(); o.plan == nil {
		return nil
	}
	f := o.statement.Effects.Copy
	if err := copyMaskable(f, len(p.names) > 0); err != nil {
		return err
	}
	if f.Binary != inBinary {
		return &sql.Error{SQLSTATE: sql.StateFeatureNotSupported, Message: "copy data comes in another format than was asked for", Hint: "Send the statement again."}
	}
	o.copier = newCopier(o.plan, f, columns)
	return nil
}

// guessKinds gives the columns of COPY (query) TO kinds: that of the masked column
// that is shown; else, in the formats that are text, text whose structure is kept.
func (p *rowPlan) guessKinds(o *operation, inBinary bool) {
	for _, d := range o.shows {
		outputs, err := d.Columns(len(p.fields))
		if err != nil {
			continue // disclosed has looked
		}
		for i, out := range outputs {
			if relation, ok := o.catalog.Relation(out.Source.Relation); ok && out.Kind == sql.Plain {
				if c, ok := relation.Column(out.Source.Column); ok {
					p.fields[i].kind = o.catalog.kind(c.Type, inBinary)
				}
			}
		}
	}
	for i := range p.fields {
		if f := &p.fields[i]; f.how == pass && !inBinary {
			f.kind, f.loose = mask.Text, true
		}
	}
}

// copyOut passes copy data on.
func (s *session) copyOut(ctx context.Context, n int) error {
	e := s.first()
	if e != nil && e.broken {
		return s.fromTarget.discard(n)
	}
	if e == nil || e.next >= len(e.operations) || !e.operations[e.next].copyOut {
		return outOfTurn(msgCopyData)
	}
	op := e.operations[e.next]
	if op.copier != nil {
		return s.copyMasked(ctx, e, op, n)
	}
	if err := op.meter.Take(op.copiedRows(n), int64(n)); err != nil {
		return s.breakOff(ctx, e, op, access.AsRefusal(err))
	}
	op.rows += op.copiedRows(n)
	op.copied = true
	op.bytes += int64(n)
	if n > op.answer.Room() || op.copyBinary {
		op.answer.Skip(0, int64(n))
		return s.flow(op, msgCopyData, n)
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	op.answer.Content(raw)
	op.answer.Show(raw[headerLength:])
	return s.pass(raw)
}

// copiedRows is how many rows a message of copy data holds: the server sends each
// row in one of its own. Names, and the end of binary data, are none.
func (o *operation) copiedRows(n int) int64 {
	f := o.statement.Effects.Copy
	const header, trailer = 19, 2
	switch {
	case o.copyBinary && (n == trailer || n == header+trailer), !o.copied && f != nil && f.Header && !o.copyBinary:
		return 0
	}
	return 1
}

// copyMasked passes copy data on with values masked.
func (s *session) copyMasked(ctx context.Context, e *expected, op *operation, n int) error {
	if n > maxMaskedRow {
		return s.breakOff(ctx, e, op, largeRowRefusal(n))
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	out, rows, err := op.copier.feed(raw[headerLength:], &op.masked)
	if err != nil {
		return s.breakOff(ctx, e, op, copyRefusal(err))
	}
	if err := op.meter.Take(rows, int64(len(out)-headerLength)); err != nil {
		return s.breakOff(ctx, e, op, access.AsRefusal(err))
	}
	op.rows += rows
	op.bytes += int64(n)
	if len(out) == headerLength {
		return nil // a row that goes on in the next message
	}
	out[0] = msgCopyData
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // bounded by maxMaskedRow
	op.answer.Content(out)
	if op.copyBinary {
		op.answer.Skip(0, int64(len(out)))
	} else {
		op.answer.Show(out[headerLength:])
	}
	return s.pass(out)
}

// copyDone is the end of copy data.
func (s *session) copyDone(ctx context.Context, e *expected, op *operation, raw []byte) error {
	if op.copier != nil {
		if err := op.copier.close(); err != nil {
			return s.breakOff(ctx, e, op, copyRefusal(err))
		}
	}
	op.copyOut, op.copier = false, nil
	return s.pass(raw)
}

func copyRefusal(err error) *access.Refusal {
	return &access.Refusal{
		Reason: access.ReasonMasked, Code: stateInsufficient, Message: err.Error() + "; columns are masked for you, so it ends here",
		Hint: "Copy fewer columns, or use another format.",
	}
}

// copier masks a stream of copy data, cut into messages anywhere.
type copier struct {
	plan   *rowPlan
	format *sql.CopyFormat
	// forced are the columns that CSV always quotes, as far as they are known.
	forced []bool
	// header says that the names of the columns come next; in binary format, the
	// signature.
	header, ended bool
	// pending is the beginning of a row; scanned of its bytes are known not to end
	// it, and quoted says that there they are within quotes.
	pending []byte
	scanned int
	quoted  bool

	out, field []byte
}

func newCopier(p *rowPlan, f *sql.CopyFormat, columns []sql.CopiedColumn) *copier {
	c := &copier{plan: p, format: f, header: f.Header || f.Binary, forced: make([]bool, len(p.fields))}
	for i := range c.forced {
		c.forced[i] = f.ForceQuoteAll || i < len(columns) && slices.Contains(f.ForceQuote, columns[i].Name)
	}
	return c
}

// feed takes the next piece of the stream and gives the rows that are now whole, as
// the body of a message after room for its header. What is given is valid until the
// next call.
func (c *copier) feed(data []byte, t *tally) (out []byte, rows int64, err error) {
	c.out = append(kept(c.out), make([]byte, headerLength)...)
	joined := len(c.pending) > 0
	if joined {
		if len(c.pending)+len(data) > maxMaskedRow {
			return nil, 0, fmt.Errorf("%w: a row has more than %d bytes", errCopyData, maxMaskedRow)
		}
		c.pending = append(c.pending, data...)
		data = c.pending
	}
	for len(data) > 0 {
		n, err := c.unit(data)
		if err != nil {
			return nil, 0, err
		}
		if n == 0 {
			break
		}
		if c.ended {
			return nil, 0, fmt.Errorf("%w: it goes on behind its end", errCopyData)
		}
		isRow, err := c.row(data[:n], t)
		if err != nil {
			return nil, 0, err
		}
		if isRow {
			rows++
		}
		data = data[n:]
		c.scanned, c.quoted = 0, false
	}
	if len(data) < len(c.pending) || !joined {
		c.pending = append(kept(c.pending), data...) // else all of it goes on
	}
	return c.out, rows, nil
}

// close says whether the stream ended with a row.
func (c *copier) close() error {
	if len(c.pending) > 0 || c.format.Binary && !c.ended {
		return fmt.Errorf("%w: it ends within a row", errCopyData)
	}
	return nil
}

// unit is the length of the first row, or other part, of data; 0 where it is not
// there whole.
func (c *copier) unit(data []byte) (int, error) {
	switch {
	case c.format.Binary:
		return c.binaryUnit(data)
	case c.format.CSV:
		return c.csvUnit(data), nil
	default:
		return c.textUnit(data), nil
	}
}

// row appends one row, or other part, to out.
func (c *copier) row(unit []byte, t *tally) (isRow bool, err error) {
	if c.header {
		c.header = false
		c.out = append(c.out, unit...)
		return false, nil
	}
	switch {
	case c.format.Binary:
		return c.binaryRow(unit, t)
	case c.format.CSV:
		return true, c.csvRow(unit[:len(unit)-1], t)
	default:
		return true, c.textRow(unit[:len(unit)-1], t)
	}
}
