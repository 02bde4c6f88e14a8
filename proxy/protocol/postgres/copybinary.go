// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/binary"
	"fmt"
)

// The binary format of COPY (PostgreSQL manual, COPY, "Binary Format").

const (
	copySignature = "PGCOPY\n\xff\r\n\x00"
	// copyCritical are the flags that a reader must know; there are none today.
	copyCritical = 0xffff0000
	// copyHeader is the length of the signature, the flags and the length of the
	// header's extension.
	copyHeader = len(copySignature) + 8
)

// binaryUnit finds the end of the header, a row or the trailer.
func (c *copier) binaryUnit(data []byte) (int, error) {
	if c.header {
		if len(data) < copyHeader {
			return 0, nil
		}
		flags := binary.BigEndian.Uint32(data[len(copySignature):])
		extension := binary.BigEndian.Uint32(data[len(copySignature)+4:])
		if string(data[:len(copySignature)]) != copySignature || flags&copyCritical != 0 || extension > maxScratch {
			return 0, fmt.Errorf("%w: its header is not PostgreSQL's", errCopyData)
		}
		n := copyHeader + int(extension)
		if n > len(data) {
			n = 0
		}
		return n, nil
	}
	if len(data) < 2 {
		return 0, nil
	}
	count := int(int16(binary.BigEndian.Uint16(data))) //nolint:gosec // the field is signed
	if count == -1 {
		return 2, nil
	}
	if count != len(c.plan.fields) {
		return 0, c.miscounted()
	}
	at := 2
	for range count {
		if len(data)-at < 4 {
			return 0, nil
		}
		length := int(int32(binary.BigEndian.Uint32(data[at:]))) //nolint:gosec // the field is signed
		at += 4
		switch {
		case length < -1 || length > maxMaskedRow:
			return 0, fmt.Errorf("%w: a value has length %d", errCopyData, length)
		case length > 0:
			at += length
		}
		if at > len(data) {
			return 0, nil
		}
	}
	return at, nil
}

// binaryRow appends a row, which is there whole, or the trailer.
func (c *copier) binaryRow(unit []byte, t *tally) (isRow bool, err error) {
	if len(unit) == 2 && unit[0] == 0xff {
		c.ended = true
		c.out = append(c.out, unit...)
		return false, nil
	}
	b := body{rest: unit[2:]}
	c.out = append(c.out, unit[:2]...)
	for i := range c.plan.fields {
		length := b.int32("length")
		var value []byte
		if length > 0 {
			value = b.bytes(length, "value")
		}
		if b.err != nil {
			return false, fmt.Errorf("%w: %w", errCopyData, b.err)
		}
		at := len(c.out)
		c.out = append(c.out, 0xff, 0xff, 0xff, 0xff)
		null, same := false, false
		if c.out, null, same = c.plan.value(c.out, &c.plan.fields[i], value, length == -1, t); same {
			c.out = append(c.out[:at+4], value...)
			null = length == -1
		}
		if !null {
			binary.BigEndian.PutUint32(c.out[at:], uint32(len(c.out)-at-4)) //nolint:gosec // bounded by maxMaskedRow
		}
	}
	return true, b.done()
}
