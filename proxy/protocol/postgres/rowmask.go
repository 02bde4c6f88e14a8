// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
)

// rowPlan says what is masked in the rows of a result. A nil plan masks nothing.
type rowPlan struct {
	fields []fieldPlan
	rules  mask.Rules
	// names are what is masked by name, for the record.
	names []string

	// row and spare are where rows are rebuilt and values looked into.
	row, spare []byte
}

// fieldPlan is what is done to one column.
type fieldPlan struct {
	how    treatment
	method policy.Method
	kind   mask.Kind
	binary bool
	// loose says that the type is not known, so that the value is taken for text
	// whose structure is kept as far as it shows.
	loose bool
}

// treatment is what is done to a value.
type treatment byte

const (
	// pass leaves it as it is.
	pass treatment = iota
	// scan looks for content.
	scan
	// plain masks it by a method.
	plain
	// whole puts the same in place of every value, NULL included: they depend on
	// masked values.
	whole
)

// maskedWhole stands for what a masked value was computed into.
const maskedWhole = "[masked]"

// tally counts what was masked in an answer.
type tally struct {
	values int64
	// found are the detectors that found something, by their place.
	found uint64
}

// names are the detectors that found something, as the record has them.
func (t tally) names(rules mask.Rules) []string {
	var out []string
	for i, name := range rules.Detectors() {
		if i < 64 && t.found&(1<<i) != 0 {
			out = append(out, "content:"+name)
		}
	}
	return out
}

// value appends what becomes of a value. Where kept, it stays as it is, NULL
// included, and nothing was appended.
func (p *rowPlan) value(dst []byte, f *fieldPlan, value []byte, isNull bool, t *tally) (out []byte, null, kept bool) {
	switch f.how {
	case whole:
		t.values++
		if isText(f.kind) {
			return append(dst, maskedWhole...), false, false
		}
		return dst, true, false
	case plain:
		if isNull {
			return dst, true, true
		}
		t.values++
		out, null = p.rules.Append(dst, f.method, f.kind, f.binary, value)
		return out, null, false
	case scan:
		if isNull {
			return dst, true, true
		}
		return p.content(dst, f, value, t)
	default:
		return dst, isNull, true
	}
}

// content looks into a value that is not masked by name.
func (p *rowPlan) content(dst []byte, f *fieldPlan, value []byte, t *tally) (out []byte, null, kept bool) {
	if f.kind == mask.Other && f.binary {
		if !p.within(value, 0) {
			return dst, false, true
		}
		t.hit(p.rules, value)
		return dst, true, false
	}
	start := len(dst)
	out, found, null := p.rules.AppendContent(dst, f.kind, f.binary, value)
	if found == 0 {
		return out[:start], false, true
	}
	t.hit(p.rules, value)
	if f.loose && !null {
		out, null = settleLoose(out, start, value)
	}
	return out, null, false
}

// hit notes a finding. Which detector it was is looked up once more: findings are
// rare.
func (t *tally) hit(rules mask.Rules, value []byte) {
	t.values++
	if rule, is := rules.Detect().Find(value); is && rule < 64 {
		t.found |= 1 << rule
	}
}

// settleLoose keeps a value of an unknown type something of its type, where what
// was found has been replaced: JSON stays JSON, what is no more a number is NULL.
func settleLoose(out []byte, start int, value []byte) (settled []byte, null bool) {
	if len(value) > 0 && bytes.IndexByte([]byte(`{["`), value[0]) >= 0 && json.Valid(value) && !json.Valid(out[start:]) {
		return append(out[:start], `"`+maskedWhole+`"`...), false
	}
	if len(bytes.TrimLeft(value, "0123456789.+-")) == 0 {
		return out[:start], true
	}
	return out, false
}

// maxNesting bounds arrays and composites within each other.
const maxNesting = 8

// within looks into a value of a type with a shape of its own, in binary format.
// The elements of arrays and composites tell their types (array_send in
// arrayfuncs.c, record_send in rowtypes.c); anything else is looked at as bytes.
func (p *rowPlan) within(value []byte, depth int) bool {
	if _, found := p.rules.Detect().Find(value); found {
		return true
	}
	if depth >= maxNesting {
		return true // cannot be followed, so it is not shown
	}
	return p.withinArray(value, depth) || p.withinRecord(value, depth)
}

func (p *rowPlan) withinArray(value []byte, depth int) bool {
	b := body{rest: value}
	dimensions := b.int32("dimensions")
	b.int32("flags")
	typ := b.bytes(4, "type")
	if b.err != nil || dimensions < 1 || dimensions > 6 {
		return false
	}
	b.bytes(8*dimensions, "bounds")
	for b.err == nil && len(b.rest) > 0 {
		if p.element(binary.BigEndian.Uint32(typ), &b, depth) {
			return true
		}
	}
	return false
}

func (p *rowPlan) withinRecord(value []byte, depth int) bool {
	b := body{rest: value}
	for range b.int32("number of columns") {
		typ := b.bytes(4, "type")
		if b.err != nil {
			return false
		}
		if p.element(binary.BigEndian.Uint32(typ), &b, depth) {
			return true
		}
	}
	return false
}

// element looks into the next element of an array or composite.
func (p *rowPlan) element(typ uint32, b *body, depth int) bool {
	n := b.int32("length")
	if b.err != nil || n == -1 {
		return false
	}
	value := b.bytes(n, "element")
	if b.err != nil {
		return false
	}
	kind := kinds[typ]
	if kind == mask.Other {
		return p.within(value, depth+1)
	}
	out, found, _ := p.rules.AppendContent(p.spare[:0], kind, true, value)
	p.spare = kept(out)
	return found > 0
}

// kept is a buffer to be used again, where it is not too large for that.
func kept(b []byte) []byte {
	if cap(b) > maxScratch {
		return nil
	}
	return b[:0]
}

// mask is a DataRow as it goes to the client: the same message where nothing in
// it changes, else one that is valid until the next call.
func (p *rowPlan) mask(raw []byte, t *tally) ([]byte, error) {
	content := raw[headerLength:]
	b := body{rest: content}
	if n := b.count("number of fields"); b.err != nil || n != len(p.fields) {
		return nil, fmt.Errorf("%w: a row has %d fields, %d were described", errTarget, n, len(p.fields))
	}
	out := p.row[:0]
	out = append(out, raw[:headerLength]...)
	from := headerLength // what is not copied to out begins here
	for i := range p.fields {
		f := &p.fields[i]
		at := len(raw) - len(b.rest)
		length := b.int32("field length")
		var value []byte
		if length >= 0 {
			value = b.bytes(length, "field")
		} else if length != -1 {
			b.fail("field length")
		}
		if b.err != nil {
			return nil, fmt.Errorf("%w: row: %w", errTarget, b.err)
		}
		if f.how == pass || f.how == plain && length == -1 {
			continue // it goes with what is around it
		}
		if f.how == scan {
			found, null, same := p.value(p.spare[:0], f, value, length == -1, t)
			p.spare = kept(found)
			if same {
				continue
			}
			out = append(out, raw[from:at]...)
			if out = append(out, 0xff, 0xff, 0xff, 0xff); !null {
				binary.BigEndian.PutUint32(out[len(out)-4:], uint32(len(found))) //nolint:gosec // what masks a part of a bounded row
				out = append(out, found...)
			}
		} else {
			out = append(out, raw[from:at]...)
			out = append(out, 0xff, 0xff, 0xff, 0xff)
			begin, null := len(out), false
			if out, null, _ = p.value(out, f, value, length == -1, t); !null {
				binary.BigEndian.PutUint32(out[begin-4:], uint32(len(out)-begin)) //nolint:gosec // what masks a part of a bounded row
			}
		}
		from = len(raw) - len(b.rest)
	}
	if err := b.done(); err != nil {
		return nil, fmt.Errorf("%w: row: %w", errTarget, err)
	}
	p.row = kept(out)
	if from == headerLength {
		return raw, nil
	}
	out = append(out, raw[from:]...)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1)) //nolint:gosec // bounded by maxMaskedRow
	p.row = kept(out)
	return out, nil
}
