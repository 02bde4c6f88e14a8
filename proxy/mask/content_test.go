// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/json"
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

func detecting(m policy.Method, names ...string) Rules {
	return Compile([]policy.Mask{{Policy: "p", Name: "d", Detect: names, Method: m}}, Key{1})
}

func TestContent(t *testing.T) {
	every := []string{"Email", "PaymentCard", "IPAddress", "SSN"}
	card := appendNumericBinary(nil, []byte("4111111111111111"))
	cases := map[string]struct {
		reason string
		method policy.Method
		kind   Kind
		binary bool
		value  string
		want   string
		found  int
		null   bool
	}{
		"Text":         {reason: "only the finding goes", method: redact, kind: Text, value: "to a@example.com now", want: "to [masked] now", found: 1},
		"Clean":        {reason: "nothing found, nothing changed", method: null, kind: Text, value: "to all\xff", want: "to all\xff"},
		"Null":         {reason: "the whole value goes", method: null, kind: Text, value: "to a@example.com now", null: true, found: 1},
		"KeepLast":     {reason: "the method is applied to the finding", method: keep(4), kind: Text, value: "card 4111 1111 1111 1111.", want: "card ***************1111.", found: 1},
		"JSONString":   {reason: "a string stays one", method: redact, kind: JSON, value: `{"a":"a@example.com"}`, want: `{"a":"[masked]"}`, found: 1},
		"JSONNumber":   {reason: "a number cannot stay one", method: redact, kind: JSON, value: `{"a":4111111111111111}`, want: `"[masked]"`, found: 1},
		"JSONB":        {reason: "its version stays before it", method: redact, kind: JSONB, binary: true, value: "\x01{\"a\":4111111111111111}", want: "\x01\"[masked]\"", found: 1},
		"JSONNull":     {reason: "the whole value goes", method: null, kind: JSON, value: `["a@example.com"]`, null: true, found: 1},
		"Int8":         {reason: "a card in a column of integers", method: redact, kind: Int8, value: "4111111111111111", null: true, found: 1},
		"Int8Binary":   {reason: "in binary too", method: redact, kind: Int8, binary: true, value: string(int64Bytes(4111111111111111)), null: true, found: 1},
		"Int8Clean":    {reason: "an integer that is none", method: redact, kind: Int8, binary: true, value: string(int64Bytes(17)), want: string(int64Bytes(17))},
		"Numeric":      {reason: "a card in a column of numbers", method: redact, kind: Numeric, binary: true, value: string(card), null: true, found: 1},
		"Inet":         {reason: "an address in binary", method: redact, kind: Inet, binary: true, value: "\x02\x20\x00\x04\x0a\x00\x00\x01", null: true, found: 1},
		"InetText":     {reason: "and in text", method: redact, kind: Inet, value: "10.0.0.1/8", null: true, found: 1},
		"Bytes":        {reason: "text in bytes", method: redact, kind: Bytes, binary: true, value: "a@example.com", null: true, found: 1},
		"BytesHex":     {reason: "in their text format", method: redact, kind: Bytes, value: `\x61406578616d706c652e636f6d`, null: true, found: 1},
		"Array":        {reason: "a shape that nobody knows becomes NULL", method: redact, kind: Other, value: "{a@example.com,b}", null: true, found: 1},
		"ArrayClean":   {reason: "or stays", method: redact, kind: Other, value: "{a,b}", want: "{a,b}"},
		"Timestamp":    {reason: "no finding has this shape", method: redact, kind: Timestamp, value: "2026-11-22", want: "2026-11-22"},
		"UUIDUnharmed": {reason: "a UUID is not taken for anything", method: redact, kind: UUID, value: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", want: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, found, isNull := detecting(tc.method, every...).AppendContent([]byte("x"), tc.kind, tc.binary, []byte(tc.value))
			if string(out) != "x"+tc.want || found != tc.found || isNull != tc.null {
				t.Errorf("%s: %q, %d, %t", tc.reason, out, found, isNull)
			}
		})
	}
}

// TestContentKeepsInteger: where the method keeps the kind, so does a finding.
func TestContentKeepsInteger(t *testing.T) {
	out, found, isNull := detecting(digit, "PaymentCard").AppendContent(nil, Int8, false, []byte("4111111111111111"))
	if isNull || found != 1 || len(out) != 16 || string(out) == "4111111111111111" {
		t.Errorf("%q, %d, %t", out, found, isNull)
	}
}

// TestDetectStrictest: of two masks with a detector the one that shows less holds.
func TestDetectStrictest(t *testing.T) {
	list := []policy.Mask{
		{Policy: "p", Name: "a", Detect: []string{"Email"}, Method: keep(4)},
		{Policy: "p", Name: "b", Detect: []string{"Email", "SSN"}, Method: redact},
	}
	for range 2 {
		out, _, _ := Compile(list, Key{1}).AppendContent(nil, Text, false, []byte("alice.smith@example.com"))
		if string(out) != redacted {
			t.Errorf("got %q", out)
		}
		list[0], list[1] = list[1], list[0]
	}
	if Compile(list[:0], Key{1}).Detect() != nil || Compile(masks(), Key{1}).Detect() != nil {
		t.Error("a set without detectors")
	}
}

// TestDetectUnknown: a detector that this build does not know hides all text.
func TestDetectUnknown(t *testing.T) {
	r := detecting(keep(2), "Passport")
	if out, _, _ := r.AppendContent(nil, Text, false, []byte("anything at all")); string(out) != redacted {
		t.Errorf("text: %q", out)
	}
	if out, _, _ := r.AppendContent(nil, JSON, false, []byte(`{"a":1}`)); string(out) != `"[masked]"` {
		t.Errorf("JSON: %q", out)
	}
	if _, _, isNull := r.AppendContent(nil, Other, false, []byte("{1}")); !isNull {
		t.Error("another kind is shown")
	}
}

func TestFieldParts(t *testing.T) {
	list := []policy.Mask{
		{Policy: "p", Name: "a", Fields: []string{"t.*"}, Method: keep(4), Derived: policy.MaskDerived, Predicates: policy.AllowPredicates},
		{Policy: "p", Name: "b", Fields: []string{"t.b", "t.c"}, Method: hashed, Derived: policy.MaskDerived},
		{Policy: "p", Name: "c", Fields: []string{"t.c"}, Method: digit, Predicates: "allow"},
	}
	want := map[string]Field{
		"t.a": {Method: keep(4), Derived: true, Predicates: true},
		"t.b": {Method: hashed, Derived: true},
		"t.c": {Method: hashed},
	}
	for name, field := range want {
		if got, masked := Compile(list, Key{1}).Field(name); !masked || got != field {
			t.Errorf("%s: %+v, want %+v", name, got, field)
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(`{"a":"a@example.com","b":4111111111111111}`))
	f.Add([]byte("a@example.com 4111 1111 1111 1111"))
	r := detecting(hashed, "Email", "PaymentCard", "IPAddress", "SSN", "Phone", "JWT", "CloudKey", "PrivateKey", "IBAN")
	f.Fuzz(func(t *testing.T, value []byte) {
		for kind := Other; kind <= Inet; kind++ {
			for _, inBinary := range []bool{false, true} {
				out, found, isNull := r.AppendContent(nil, kind, inBinary, value)
				if found == 0 && (isNull || string(out) != string(value)) {
					t.Fatalf("kind %d: %q became %q without a finding", kind, value, out)
				}
				if kind == JSON && json.Valid(value) && !json.Valid(out) {
					t.Fatalf("%q became %q", value, out)
				}
			}
		}
	})
}
