// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"io"

	"github.com/doorward/doorward/proxy/relay"
)

// ahead reads more than it is asked for while much comes: the library reads each packet in two
// pieces, and a packet has at most 35,000 bytes. Whoever is sent little holds no buffer. For one
// goroutine.
type ahead struct {
	buffer *[]byte // nil where nothing is read ahead
	// rest is what was read and not asked for yet.
	rest []byte
	// much says that the last read filled all that it might.
	much bool
}

// read is that of a reader whose errors come again, as a connection's do.
func (a *ahead) read(from io.Reader, p []byte) (int, error) {
	switch {
	case len(a.rest) > 0:
	case !a.much:
		a.free()
		n, err := from.Read(p)
		a.much = n > 0 && n == len(p)
		return n, err
	default:
		if a.buffer == nil {
			a.buffer = relay.Buffers.Get()
		}
		whole := (*a.buffer)[:cap(*a.buffer)]
		n, err := from.Read(whole)
		if n == 0 {
			return 0, err
		}
		a.rest, a.much = whole[:n], n > len(p)
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// free gives the buffer back.
func (a *ahead) free() {
	if a.buffer != nil {
		relay.Buffers.Put(a.buffer)
		a.buffer, a.rest = nil, nil
	}
}
