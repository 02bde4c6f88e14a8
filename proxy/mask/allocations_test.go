// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package mask

import (
	"testing"

	"github.com/doorward/doorward/proxy/policy"
)

// The race detector has pools drop values at random, so that these tests are built
// without it.

func TestContentAllocates(t *testing.T) {
	r := detecting(hashed, "Email", "PaymentCard", "IPAddress")
	room := make([]byte, 0, 1024)
	for kind, value := range map[Kind]string{Text: "a@example.com", JSON: `{"a":"a@example.com"}`, Int8: "4111111111111111", Bytes: `\x61406578616d706c652e636f6d`} {
		v := []byte(value)
		if n := testing.AllocsPerRun(200, func() { r.AppendContent(room, kind, false, v) }); n > 0 {
			t.Errorf("kind %d allocates %v times, want none", kind, n)
		}
	}
	if n := testing.AllocsPerRun(200, func() { r.AppendContent(room, Int8, true, room[:8]) }); n > 0 {
		t.Errorf("binary integers allocate %v times, want none", n)
	}
}

// TestAppendAllocates: masking costs no garbage.
func TestAppendAllocates(t *testing.T) {
	r := withKey(1)
	room := make([]byte, 0, 4096)
	values := map[Kind]string{Text: "4111 1111 1111 1111", JSON: `{"a":1}`, Int4: "12345", Int8: "123456789012", Numeric: "1234.5678", UUID: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}
	for _, m := range []policy.Method{redact, null, keep(4), hashed, digit} {
		for kind, value := range values {
			v := []byte(value)
			if n := testing.AllocsPerRun(200, func() { r.Append(room, m, kind, false, v) }); n > 0 {
				t.Errorf("%s of kind %d allocates %v times, want none", m.Type, kind, n)
			}
		}
	}
	raw := appendNumericBinary(nil, []byte("1234.5678"))
	if n := testing.AllocsPerRun(200, func() { r.Append(room, digit, Numeric, true, raw) }); n > 0 {
		t.Errorf("binary numerics allocate %v times, want none", n)
	}
}
