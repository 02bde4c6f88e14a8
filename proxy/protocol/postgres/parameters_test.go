// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"strings"
	"testing"
)

// rawParameters builds the parameters of a Bind (PostgreSQL protocol, Bind).
func rawParameters(formats []int16, values ...[]byte) string {
	raw := binary.BigEndian.AppendUint16(nil, uint16(len(formats)))
	for _, format := range formats {
		raw = binary.BigEndian.AppendUint16(raw, uint16(format))
	}
	raw = binary.BigEndian.AppendUint16(raw, uint16(len(values)))
	for _, value := range values {
		if value == nil {
			raw = binary.BigEndian.AppendUint32(raw, 1<<32-1)
			continue
		}
		raw = binary.BigEndian.AppendUint32(raw, uint32(len(value)))
		raw = append(raw, value...)
	}
	_, kept := keepParameters(raw)
	return kept
}

// Approvers see what a "$1" stands for (checklist 37).
func TestShowParameters(t *testing.T) {
	tests := map[string]struct {
		reason string
		raw    string
		want   string
	}{
		"Text":     {"no formats means text", rawParameters(nil, []byte("refunded"), []byte("7")), "$1 = 'refunded', $2 = '7'"},
		"Quote":    {"a value cannot end its own quotes", rawParameters(nil, []byte("it's")), "$1 = 'it''s'"},
		"Null":     {"", rawParameters(nil, nil), "$1 = NULL"},
		"Empty":    {"an empty text is not NULL", rawParameters(nil, []byte{}), "$1 = ''"},
		"Binary":   {"one format is that of all", rawParameters([]int16{1}, []byte{0, 0, 0, 7}, []byte{0xff, 0xfe}), `$1 = '\x00000007' in binary (7 as integer), $2 = '\xfffe' in binary (-2 as smallint)`},
		"Mixed":    {"each has its own format", rawParameters([]int16{0, 1}, []byte("a"), []byte("abc")), `$1 = 'a', $2 = '\x616263' in binary ('abc' as text)`},
		"TooLarge": {"what does not fit what is shown is not kept", rawParameters(nil, []byte(strings.Repeat("x", maxShownParameters))), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := showParameters(test.raw); got != test.want {
				t.Errorf("%s: got %s, want %s", test.reason, got, test.want)
			}
		})
	}
}
