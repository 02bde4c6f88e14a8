// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
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

// plan finds the masked columns of a result in two ways that do not know of each
// other: by the origin that the target reports, and by what the statement was
// found to show. The stricter one holds. A relation that the catalog does not know
// is masked whole, unless it is the session's own and the statement was found to
// show nothing masked there.
func (s *session) plan(ctx context.Context, op *operation, cols *columns) (*rowPlan, error) {
	if op.rules.Empty() {
		return nil, nil //nolint:nilnil // no plan masks nothing
	}
	cat, masks := op.catalog, op.masks
	p := newPlan(op.rules, len(cols.list))
	if err := p.disclosed(op, cat); err != nil {
		return nil, err
	}
	for i, c := range cols.list {
		f := &p.fields[i]
		f.binary = c.binary
		if c.relation != 0 && c.attribute >= 0 { // else derived, or a system column such as ctid
			source, known := cat.column(c)
			if !known && !cat.own && !s.foreign[c.relation] {
				newer, err := s.database.newer(ctx, s.grant)
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
			switch {
			case known:
				p.origin(f, c.relation, source, cat, masks)
			case !op.own || f.how != pass:
				p.plainly(f, "unknown", policy.Method{Type: policy.Redact})
			}
		}
		f.kind = cat.kind(c.typ, c.binary)
	}
	return p.settled(), nil
}

func newPlan(rules mask.Rules, columns int) *rowPlan {
	return &rowPlan{fields: make([]fieldPlan, columns), rules: rules}
}

// disclosed takes what the statements whose rows may come were found to show.
func (p *rowPlan) disclosed(op *operation, cat *loaded) error {
	for _, d := range op.shows {
		outputs, err := d.Columns(len(p.fields))
		if err != nil {
			return err
		}
		for i, o := range outputs {
			if o.Kind == sql.Clear {
				continue
			}
			f := &p.fields[i]
			field := cat.name(o.Source.Relation, o.Source.Column)
			found, masked := p.rules.Field(field)
			if o.Kind == sql.Derived || !masked {
				p.names = append(p.names, field)
				f.how = whole
				continue
			}
			p.plainly(f, field, found.Method)
		}
	}
	return nil
}

// origin takes what the target reports: the mask may be that of a parent, a
// partition or the column that this one is computed from.
func (p *rowPlan) origin(f *fieldPlan, relation uint32, source string, cat *loaded, masks *sql.MaskSet) {
	computed := false
	if from, found := masks.Masked(relation, source); found {
		relation, source, computed = from.Relation, from.Column, from.Whole
	}
	field := cat.name(relation, source)
	found, masked := p.rules.Field(field)
	switch {
	case computed:
		p.names = append(p.names, field)
		f.how = whole
	case masked:
		p.plainly(f, field, found.Method)
	}
}

// plainly masks a column by a method, or by the one it already has where that
// shows less.
func (p *rowPlan) plainly(f *fieldPlan, field string, method policy.Method) {
	p.names = append(p.names, field)
	switch f.how {
	case whole:
	case plain:
		f.method = mask.Stricter(f.method, method)
	default:
		f.how, f.method = plain, method
	}
}

// settled is the plan once all columns are known; nil where nothing is to be done.
func (p *rowPlan) settled() *rowPlan {
	used := len(p.names) > 0
	if p.rules.Detect() != nil {
		for i := range p.fields {
			if p.fields[i].how == pass {
				p.fields[i].how, used = scan, true
			}
		}
	}
	if !used {
		return nil
	}
	slices.Sort(p.names)
	p.names = slices.Compact(p.names)
	return p
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

// ownsNames says whether a statement names relations that the session has made
// and the catalog does not know: temporary ones, and those not yet committed.
func (s *session) ownsNames(st *sql.Statement) bool {
	for _, a := range st.Accesses {
		if strings.HasPrefix(a.Resource, catalog.TempSchema+".") || s.created[a.Resource] {
			return true
		}
	}
	return false
}
