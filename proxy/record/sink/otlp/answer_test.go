// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import "testing"

// FuzzAnswer: whatever a server sends, reading it ends, and only an answer that
// can be read to its end accepts anything.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x0a\x09\x08\x01\x12\x05no go"))
	f.Add([]byte(`{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no go"}}`))
	f.Add([]byte(`{"partialSuccess":{"rejectedLogRecords":"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = answeredJSON(data)
		if answered(data) != nil {
			return
		}
		if answered(append(data[:len(data):len(data)], 0x0a, 0x02, 0x08, 0x01)) == nil {
			t.Error("a rejected record behind what was read is passed over")
		}
		if answered(append(data[:len(data):len(data)], 0x0a)) == nil {
			t.Error("an answer that is broken off is accepted")
		}
	})
}
