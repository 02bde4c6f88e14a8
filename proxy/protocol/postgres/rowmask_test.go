// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/policy"
)

// emails finds e-mail addresses.
var emails = mask.Compile([]policy.Mask{{Policy: "p", Name: "m", Detect: []string{"Email"}, Method: policy.Method{Type: policy.Redact}}}, mask.Key{})

// rowOf is a DataRow.
func rowOf(tb testing.TB, values ...[]byte) []byte {
	tb.Helper()
	out, err := (&pgproto3.DataRow{Values: values}).Encode(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// FuzzMaskedRow: a row is masked whole or refused; what is masked never leaves,
// what is not is as it was.
func FuzzMaskedRow(f *testing.F) {
	f.Add([]byte("\x00\x03\x00\x00\x00\x06secret\x00\x00\x00\x01x\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x03\xff\xff\xff\xff\xff\xff\xff\xfe"))
	f.Add([]byte("\x00\x03\x00\x00\x00\x01s\x00\x00\x00\x02ab\x00\x00\x00\x07a@b.com"))
	f.Fuzz(func(t *testing.T, content []byte) {
		plan := &rowPlan{rules: emails, fields: []fieldPlan{
			{how: plain, method: policy.Method{Type: policy.Redact}, kind: mask.Text}, {}, {how: scan, kind: mask.Text},
		}}
		raw := appendMessage(nil, msgDataRow, content)
		out, err := plan.mask(raw, &tally{})
		if err != nil {
			return
		}
		var before, after pgproto3.DataRow
		if err := before.Decode(content); err != nil {
			t.Fatalf("accepted a row that another decoder does not: %v", err)
		}
		if err := after.Decode(out[headerLength:]); err != nil {
			t.Fatalf("made a row that cannot be read: %v", err)
		}
		if int(binary.BigEndian.Uint32(out[1:])) != len(out)-1 {
			t.Error("wrong length")
		}
		if before.Values[0] == nil != (after.Values[0] == nil) || before.Values[0] != nil && string(after.Values[0]) != maskedWhole {
			t.Errorf("masked: %q", after.Values[0])
		}
		if !bytes.Equal(before.Values[1], after.Values[1]) {
			t.Errorf("unmasked: %q became %q", before.Values[1], after.Values[1])
		}
		if _, found := emails.Detect().Find(before.Values[2]); !found && !bytes.Equal(before.Values[2], after.Values[2]) {
			t.Errorf("nothing found: %q became %q", before.Values[2], after.Values[2])
		} else if found && bytes.Equal(before.Values[2], after.Values[2]) {
			t.Errorf("found, and left: %q", after.Values[2])
		}
	})
}

// TestMaskedRowAllocates: neither a row nor a value costs memory once the buffers
// are there, and rows without findings are passed on as they came.
func TestMaskedRowAllocates(t *testing.T) {
	plan := &rowPlan{rules: emails, fields: []fieldPlan{
		{how: plain, method: policy.Method{Type: policy.Redact}, kind: mask.Text}, {}, {how: scan, kind: mask.Text},
	}}
	row := rowOf(t, []byte("secret"), []byte("kept"), []byte("write to ann@example.com"))
	var counted tally
	if n := testing.AllocsPerRun(100, func() {
		if _, err := plan.mask(row, &counted); err != nil {
			t.Fatal(err)
		}
	}); n > 0 && !raceDetector {
		t.Errorf("%v allocations per row", n)
	}
	if got := counted.names(emails); len(got) != 1 || got[0] != "content:Email" {
		t.Errorf("what was found: %v", got)
	}
	clean := rowOf(t, nil, nil, []byte("nothing here"))
	out, err := plan.mask(clean, &counted)
	if err != nil || &out[0] != &clean[0] {
		t.Errorf("a row in which nothing changes is another: %v", err)
	}
}

// TestContentWithin: arrays and composites in binary format tell the types of
// what is in them; a finding makes the whole value NULL.
func TestContentWithin(t *testing.T) {
	t.Parallel()
	word := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(int32(n))) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	element := func(v string) []byte { return join(word(len(v)), []byte(v)) }
	array := func(typ int, elements ...[]byte) []byte {
		return join(word(1), word(0), word(typ), word(len(elements)), word(1), join(elements...))
	}
	record := func(fields ...[]byte) []byte { return join(word(len(fields)), join(fields...)) }
	field := func(typ int, v []byte) []byte { return join(word(typ), word(len(v)), v) }
	cards := mask.Compile([]policy.Mask{{Detect: []string{"PaymentCard", "Email"}, Method: policy.Method{Type: policy.Redact}}}, mask.Key{})
	const text, bigint, other = 25, 20, 99999
	number := binary.BigEndian.AppendUint64(nil, 4111111111111111)
	for name, tc := range map[string]struct {
		reason string
		value  []byte
		found  bool
	}{
		"Clean array":      {"nothing is in it", array(text, element("a"), word(-1)), false},
		"Array of text":    {"", array(text, element("a"), element("ann@example.com")), true},
		"Array of numbers": {"a number is read as its type says", array(bigint, join(word(8), number)), true},
		"Composite":        {"", record(field(text, []byte("x")), field(bigint, number)), true},
		"Nested":           {"an array in a composite", record(field(other, array(bigint, join(word(8), number)))), true},
		"Bytes":            {"anything else is looked at as it is", []byte("\x01\x00ann@example.com\x00"), true},
		"Cut off":          {"what cannot be read holds nothing that could be found", array(text, word(100)), false},
		"Empty":            {"", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &rowPlan{rules: cards}
			if got := p.within(tc.value, 0); got != tc.found {
				t.Errorf("%s: found %v, want %v", tc.reason, got, tc.found)
			}
		})
	}
}

// BenchmarkMaskRow is a row of ten columns of 20 bytes with one and ten masked.
func BenchmarkMaskRow(b *testing.B) {
	values := make([][]byte, 10)
	for i := range values {
		values[i] = []byte("ann.lee@example.com.")
	}
	row := rowOf(b, values...)
	for name, masked := range map[string]int{"One": 1, "Ten": 10} {
		b.Run(name, func(b *testing.B) {
			plan := &rowPlan{rules: emails, fields: make([]fieldPlan, 10)}
			for i := range masked {
				plan.fields[i] = fieldPlan{how: plain, method: policy.Method{Type: policy.Redact}, kind: mask.Text}
			}
			var counted tally
			b.SetBytes(int64(len(row)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.mask(row, &counted); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
