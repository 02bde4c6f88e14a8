// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"

	"github.com/doorward/doorward/proxy/record"
)

// entry is what is kept of a record found somewhere, in a temporary file:
// sorted by log, index, hash and place.
type entry struct {
	log      uint32
	index    int64
	hash     record.Hash
	place    place
	previous record.Hash
	broken   bool
	// noted is where the record's JSON is kept, -1 where it is not: it is for
	// checkpoints and key rotations.
	noted int64
}

// place is where a record was found.
type place struct {
	file   uint32
	offset int64
	part   uint16
}

func (p place) before(q place) bool {
	return p.offset < q.offset || p.offset == q.offset && p.part < q.part
}

const entrySize = 4 + 8 + 32 + 4 + 8 + 2 + 32 + 1 + 8

func (e *entry) encode(b []byte) {
	order := binary.BigEndian
	order.PutUint32(b, e.log)
	order.PutUint64(b[4:], uint64(e.index)) //nolint:gosec // not negative
	copy(b[12:], e.hash[:])
	order.PutUint32(b[44:], e.place.file)
	order.PutUint64(b[48:], uint64(e.place.offset)) //nolint:gosec // not negative
	order.PutUint16(b[56:], e.place.part)
	copy(b[58:], e.previous[:])
	b[90] = 0
	if e.broken {
		b[90] = 1
	}
	order.PutUint64(b[91:], uint64(e.noted)) //nolint:gosec // turned back below
}

func (e *entry) decode(b []byte) {
	order := binary.BigEndian
	e.log = order.Uint32(b)
	e.index = int64(order.Uint64(b[4:])) //nolint:gosec // as it was
	copy(e.hash[:], b[12:])
	e.place.file = order.Uint32(b[44:])
	e.place.offset = int64(order.Uint64(b[48:])) //nolint:gosec // as it was
	e.place.part = order.Uint16(b[56:])
	copy(e.previous[:], b[58:])
	e.broken = b[90] == 1
	e.noted = int64(order.Uint64(b[91:])) //nolint:gosec // as it was
}
