// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"testing"
	"testing/iotest"
)

// What is found to have been read together is whole, of one kind, and nothing
// of it is counted twice.
func TestBatch(t *testing.T) {
	rows := func(bodies ...int) (out []byte) {
		for _, n := range bodies {
			out = appendMessage(out, msgDataRow, make([]byte, n))
		}
		return out
	}
	cases := map[string]struct {
		reason string
		stream []byte
		size   int
		count  int
		bytes  int64
	}{
		"One":       {reason: "a row alone", stream: rows(10), size: 15, count: 1, bytes: 10},
		"Several":   {reason: "rows that follow each other", stream: rows(10, 0, 7), size: 32, count: 3, bytes: 17},
		"Other":     {reason: "another message ends the batch", stream: append(rows(10, 2), 'C', 0, 0, 0, 4), size: 22, count: 2, bytes: 12},
		"Cut":       {reason: "a row that has not been read whole", stream: rows(10, 20)[:35], size: 15, count: 1, bytes: 10},
		"CutHeader": {reason: "a header that has not been read whole", stream: rows(10, 20)[:18], size: 15, count: 1, bytes: 10},
		"Short":     {reason: "a length that cannot be", stream: append(rows(10), 'D', 0, 0, 0, 3), size: 15, count: 1, bytes: 10},
		"Long":      {reason: "a length beyond everything", stream: append(rows(10), 'D', 0xff, 0xff, 0xff, 0xff), size: 15, count: 1, bytes: 10},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newWireReader(bytes.NewReader(c.stream), targetBuffer)
			_, n, err := r.peek(backendLimit)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.need(headerLength + n); err != nil {
				t.Fatal(err)
			}
			for r.buffered() < len(c.stream) {
				if err := r.more(r.buffered() + 1); err != nil {
					t.Fatal(err)
				}
			}
			size, count, content := r.batch(msgDataRow, n)
			if size != c.size || count != c.count || content != c.bytes {
				t.Errorf("batch = %d, %d, %d, want %d, %d, %d: %s", size, count, content, c.size, c.count, c.bytes, c.reason)
			}
		})
	}
}

// However a stream is cut, messages that are taken one by one and in batches
// are the same.
func TestBatchOfAnyReader(t *testing.T) {
	var stream []byte
	for i := range 300 {
		stream = appendMessage(stream, "DDDC"[i%4], bytes.Repeat([]byte{byte(i)}, i*7%500))
	}
	for name, r := range map[string]*wireReader{
		"whole": newWireReader(bytes.NewReader(stream), targetBuffer),
		"half":  newWireReader(iotest.HalfReader(bytes.NewReader(stream)), 1024),
		"one":   newWireReader(iotest.OneByteReader(bytes.NewReader(stream)), 1024),
	} {
		var got []byte
		for len(got) < len(stream) {
			kind, n, err := r.peek(backendLimit)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if headerLength+n > r.buffered() {
				raw, err := r.take(n)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got = append(got, raw...)
				continue
			}
			size, _, _ := r.batch(kind, n)
			got = append(got, r.window[r.begin:r.begin+size]...)
			r.begin += size
		}
		if !bytes.Equal(got, stream) {
			t.Errorf("%s: the stream came out changed", name)
		}
	}
}
