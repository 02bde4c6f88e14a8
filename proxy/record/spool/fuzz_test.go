// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"testing"

	"github.com/doorward/doorward/proxy/record"
)

const fuzzLog = "00112233445566778899aabbccddeeff"

// sample is a segment of groups of one, two, three ... records.
func sample(groups int) []byte {
	var data []byte
	index := int64(0)
	for g := range groups {
		for i := range g + 1 {
			start := len(data)
			data = append(data, make([]byte, frameHeader)...)
			data = record.AppendJSON(data, record.Position{LogID: fuzzLog, Index: index}, record.Hash{}, &record.Event{Type: record.ProxyStart})
			sealFrame(data[start:], i == 0)
			index++
		}
	}
	return data
}

// FuzzWalk: whatever a segment holds, reading ends without panic, and what is
// reported as records is what was sealed.
func FuzzWalk(f *testing.F) {
	whole := sample(4)
	f.Add(whole)
	f.Add(append(sample(2), make([]byte, 100)...))
	f.Add(whole[:len(whole)-5])
	f.Add([]byte{0, 0, 0, 128, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		visited := int64(0)
		w, err := walk("segment", data, 0, fuzzLog, func(r record.Record) error {
			if r.Position.Index != visited {
				t.Errorf("record %d where %d must be", r.Position.Index, visited)
			}
			visited++
			return nil
		})
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error %v", err)
		}
		if w.next != visited || w.end > len(data) || err == nil && !w.torn && !zero(data[w.end:]) {
			t.Errorf("walked to record %d, offset %d of %d; visited %d", w.next, w.end, len(data), visited)
		}
	})
}

// TestFlippedBitsAreSeen: no single flipped bit goes unnoticed, save in the
// group flag's sense: it too is under the checksum.
func TestFlippedBitsAreSeen(t *testing.T) {
	whole := sample(2)
	good, err := walk("segment", whole, 0, fuzzLog, nil)
	if err != nil || good.next != 3 || good.torn {
		t.Fatalf("%+v, %v", good, err)
	}
	for i := range whole {
		for bit := range 8 {
			data := append([]byte(nil), whole...)
			data[i] ^= 1 << bit
			if w, err := walk("segment", data, 0, fuzzLog, nil); err == nil && !w.torn {
				t.Errorf("bit %d of byte %d flipped, and nothing seen", bit, i)
			}
		}
	}
}
