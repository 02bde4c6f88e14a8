// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// columns are where the columns of a result come from.
type columns struct{ list []column }

type column struct {
	name      string
	relation  uint32
	attribute int16
	typ       uint32
	// binary says that values come in binary format.
	binary bool
}

// decodeColumns reads the body of a RowDescription.
func decodeColumns(content []byte) (*columns, error) {
	b := body{rest: content}
	c := &columns{list: make([]column, 0, 8)}
	for range b.count("number of columns") {
		name := b.text("column name")
		relation := b.bytes(4, "relation")
		attribute := b.int16("attribute")
		typ := b.bytes(4, "type")
		b.bytes(6, "type size and modifier")
		format := b.int16("format")
		if b.err != nil {
			break
		}
		c.list = append(c.list, column{
			name: name, binary: format != 0, relation: binary.BigEndian.Uint32(relation), attribute: int16(attribute), typ: binary.BigEndian.Uint32(typ), //nolint:gosec // read as 16 bits
		})
	}
	if err := b.done(); err != nil {
		return nil, fmt.Errorf("%w: row description: %w", errTarget, err)
	}
	return c, nil
}

// rowPlan says what is masked in the rows of a result. A nil plan masks nothing.
type rowPlan struct {
	methods []*method
	rules   mask.Rules
	// fields are the names of what is masked, for the record.
	fields  []string
	scratch []byte
}

// method is how a column is masked. Values that are no text become NULL, since
// no other value of their type says that something was there.
type method struct {
	policy.Method
	text bool
	// whole values depend on masked ones: each becomes the same, NULL too.
	whole bool
}

// maskedWhole stands for what a masked value was computed into.
const maskedWhole = "[masked]"

// The types whose values are characters, in text and binary format alike
// (pg_type.dat): bpchar, varchar, text, name, unknown.
var textTypes = []uint32{1042, 1043, 25, 19, 705}

// plan finds the masked columns of a result by the origin the target reports.
// What the statement derives was found sound by CheckMasks; a relation that the
// catalog does not know is masked whole.
func (s *session) plan(ctx context.Context, op *operation, cols *columns) (*rowPlan, error) {
	if op.rules.Empty() {
		return nil, nil //nolint:nilnil // no plan masks nothing
	}
	cat, masks := op.catalog, op.masks
	p := &rowPlan{methods: make([]*method, len(cols.list)), rules: op.rules}
	for i, c := range cols.list {
		if c.relation == 0 || c.attribute < 0 {
			continue // derived, or a system column such as ctid
		}
		source, known := cat.column(c)
		if !known && !s.foreign[c.relation] {
			newer, err := s.database.newer(ctx, s.grant, cat)
			if err != nil {
				return nil, err
			}
			if newer.Catalog != cat.Catalog {
				cat = newer
				masks = sql.NewMaskSet(cat.Catalog, maskedColumns(op.rules, cat))
			}
			if source, known = cat.column(c); !known {
				// A temporary relation, or one not yet committed: looking
				// again each time would load the target.
				s.foreign[c.relation] = true
			}
		}
		field, how, masked := "unknown", policy.Method{Type: policy.Redact}, true
		if known {
			// The mask may be that of a parent, a partition or the column
			// that this one is computed from.
			whole := false
			if from, found := masks.Masked(c.relation, source); found {
				source, c.relation, whole = from.Column, from.Relation, from.Whole
			}
			field = cat.name(c.relation, source)
			var found mask.Field
			found, masked = op.rules.Field(field)
			how = found.Method
			p.methods[i] = &method{Method: how, text: slices.Contains(textTypes, c.typ), whole: whole}
		}
		if !masked {
			p.methods[i] = nil
			continue
		}
		if p.methods[i] == nil {
			p.methods[i] = &method{Method: how, text: slices.Contains(textTypes, c.typ)}
		}
		p.fields = append(p.fields, field)
	}
	for _, d := range op.shows {
		outputs, err := d.Columns(len(cols.list))
		if err != nil {
			return nil, err
		}
		for i, o := range outputs {
			p.shown(i, o, cat, cols.list[i])
		}
	}
	if len(p.fields) == 0 {
		return nil, nil //nolint:nilnil // no plan masks nothing
	}
	slices.Sort(p.fields)
	p.fields = slices.Compact(p.fields)
	return p, nil
}

// shown adds what a statement was found to show in a column, besides what the
// target says of its origin.
func (p *rowPlan) shown(i int, o sql.Output, cat *loaded, c column) {
	if o.Kind == sql.Clear {
		return
	}
	field := cat.name(o.Source.Relation, o.Source.Column)
	p.fields = append(p.fields, field)
	found, masked := p.rules.Field(field)
	switch {
	case o.Kind == sql.Derived || !masked:
		p.methods[i] = &method{text: slices.Contains(textTypes, c.typ), whole: true}
	case p.methods[i] == nil:
		p.methods[i] = &method{Method: found.Method, text: slices.Contains(textTypes, c.typ)}
	}
}

// column finds the name of a column.
func (l *loaded) column(c column) (string, bool) {
	relation, ok := l.Relation(c.relation)
	if !ok {
		return "", false
	}
	found, ok := relation.ColumnByNumber(c.attribute)
	return found.Name, ok
}

// name names a column as policies do.
func (l *loaded) name(oid uint32, column string) string {
	if relation, ok := l.Relation(oid); ok {
		return relation.String() + "." + column
	}
	return column
}

// maskedColumns answers package sql which columns of a relation are masked.
func maskedColumns(rules mask.Rules, cat *loaded) sql.MaskedColumns {
	return func(oid uint32) []sql.MaskedColumn {
		relation, ok := cat.Relation(oid)
		if !ok {
			return nil
		}
		var names []sql.MaskedColumn
		prefix := relation.String() + "."
		for _, c := range relation.Columns {
			if f, masked := rules.Field(prefix + c.Name); masked {
				names = append(names, sql.MaskedColumn{
					Name: c.Name, Derived: f.Derived, Predicates: f.Predicates, Method: fmt.Sprint(f.Method),
				})
			}
		}
		return names
	}
}

// rowsFollow takes the description of a simple query's rows.
func (s *session) rowsFollow(ctx context.Context, op *operation, raw []byte) error {
	if !op.rules.Empty() || op.answer.Room() > 0 {
		cols, err := s.columnsOf(raw[headerLength:])
		if err != nil {
			return err
		}
		op.showHeader(cols)
		if !op.rules.Empty() {
			if op.plan, err = s.planOf(ctx, op, cols); err != nil {
				return err
			}
		}
	}
	op.planned = true
	return s.pass(raw)
}

// described takes the description of a portal's rows.
func (s *session) described(e *expected, kind byte, raw []byte) error {
	if e.keep {
		cols := &columns{}
		if kind == msgRowDescription {
			var err error
			if cols, err = s.columnsOf(raw[headerLength:]); err != nil {
				return err
			}
		}
		e.portal.columns = cols
	}
	if e.internal {
		s.mu.Lock()
		s.pop()
		s.mu.Unlock()
		return nil
	}
	return s.complete(e, raw)
}

// row passes a row on, masked where it must be.
func (s *session) row(ctx context.Context, n int) error {
	e := s.first()
	if e != nil && e.kind == awaitInquiry && n <= maxScratch {
		raw, err := s.fromTarget.take(n)
		if err != nil {
			return err
		}
		return s.inquired(e, msgDataRow, raw)
	}
	if e == nil || e.kind != awaitQuery && e.kind != awaitExecute || e.failed || e.next >= len(e.operations) {
		return outOfTurn(msgDataRow)
	}
	op := e.operations[e.next]
	if !op.planned {
		if err := s.planPortal(ctx, e, op); err != nil {
			return err
		}
	}
	op.rows++
	op.bytes += int64(n)
	if op.plan == nil {
		return s.unmasked(op, n)
	}
	if n > maxMaskedRow {
		return fmt.Errorf("%w: a row with masked columns has %d bytes, at most %d can be masked", errTarget, n, maxMaskedRow)
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	masked, values, err := op.plan.mask(raw[headerLength:])
	if err != nil {
		return err
	}
	op.masked += values
	op.answer.Content(masked)
	op.showRow(masked[headerLength:])
	return s.pass(masked)
}

// unmasked passes a row on as it came.
func (s *session) unmasked(op *operation, n int) error {
	if n > op.answer.Room() {
		op.answer.Skip(1, int64(n))
		return s.stream(n, op.answer)
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	op.answer.Content(raw)
	op.showRow(raw[headerLength:])
	return s.pass(raw)
}

// planPortal makes the plan of an Execute from its portal's description.
func (s *session) planPortal(ctx context.Context, e *expected, op *operation) error {
	if e.kind != awaitExecute {
		return outOfTurn(msgDataRow)
	}
	op.planned = true
	if e.portal.columns != nil {
		op.showHeader(e.portal.columns)
	}
	if op.rules.Empty() {
		return nil
	}
	if e.portal.columns == nil {
		return fmt.Errorf("%w: rows came that were not described, so they cannot be masked", errTarget)
	}
	var err error
	op.plan, err = s.planOf(ctx, op, e.portal.columns)
	return err
}

// copyOut passes copy data on.
func (s *session) copyOut(n int) error {
	e := s.first()
	if e == nil || e.next >= len(e.operations) || !e.operations[e.next].copyOut {
		return outOfTurn(msgCopyData)
	}
	op := e.operations[e.next]
	op.bytes += int64(n)
	if n > op.answer.Room() || op.copyBinary {
		op.answer.Skip(0, int64(n))
		return s.stream(n, op.answer)
	}
	raw, err := s.fromTarget.take(n)
	if err != nil {
		return err
	}
	op.answer.Content(raw)
	op.answer.Show(raw[headerLength:])
	return s.pass(raw)
}

// stream passes a message on without holding it whole. The answer, which may be
// nil, takes its bytes.
func (s *session) stream(n int, answer *access.Answer) error {
	s.clientMu.Lock()
	defer s.clientMu.Unlock()
	s.broken, s.streaming = true, true
	readErr, writeErr := s.fromTarget.copyTo(s.toClient, n, answer)
	if readErr != nil {
		return readErr
	}
	if writeErr != nil {
		return writeErr
	}
	s.broken, s.streaming = false, false
	return nil
}

// mask rebuilds a DataRow and counts the values that it masked. The result is
// valid until the next call.
func (p *rowPlan) mask(content []byte) (row []byte, values int64, err error) {
	b := body{rest: content}
	if n := b.count("number of fields"); b.err != nil || n != len(p.methods) {
		return nil, 0, fmt.Errorf("%w: a row has %d fields, %d were described", errTarget, n, len(p.methods))
	}
	out := p.scratch[:0]
	out = append(out, msgDataRow, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(p.methods))) //nolint:gosec // the protocol's own bound
	for _, how := range p.methods {
		length := b.int32("field length")
		var value []byte
		if length >= 0 {
			value = b.bytes(length, "field")
		} else if length != -1 {
			b.fail("field length")
		}
		if b.err != nil {
			return nil, 0, fmt.Errorf("%w: row: %w", errTarget, b.err)
		}
		null := length == -1
		if how != nil && how.whole {
			values++
			if null = !how.text; !null {
				out = binary.BigEndian.AppendUint32(out, uint32(len(maskedWhole)))
				out = append(out, maskedWhole...)
				continue
			}
		}
		if how != nil && !null {
			values++
			if !how.text {
				null = true
			} else {
				at := len(out)
				out = append(out, 0, 0, 0, 0)
				if out, null = p.rules.Append(out, how.Method, mask.Text, false, value); !null {
					binary.BigEndian.PutUint32(out[at:], uint32(len(out)-at-4)) //nolint:gosec // what masks a part of a bounded row
					continue
				}
				out = out[:at]
			}
		}
		if null {
			out = append(out, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(value))) //nolint:gosec // a part of a bounded row, or what masks it
		out = append(out, value...)
	}
	if err := b.done(); err != nil {
		return nil, 0, fmt.Errorf("%w: row: %w", errTarget, err)
	}
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // bounded by maxMaskedRow
	p.scratch = out
	return out, values, nil
}
