// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import "github.com/doorward/doorward/proxy/relay"

// smallChunk is what a pump that waits holds, in bytes: most sessions do nothing most of the time.
const smallChunk = 1 << 10

// chunk is the buffer of a pump. It is large only while much comes.
type chunk struct {
	small []byte
	large *[]byte
}

func newChunk() *chunk { return &chunk{small: make([]byte, smallChunk)} }

// room is where the next bytes are read to.
func (c *chunk) room() []byte {
	if c.large != nil {
		return (*c.large)[:cap(*c.large)]
	}
	return c.small
}

// came says how many bytes came; they are no longer needed.
func (c *chunk) came(n int) {
	switch {
	case c.large == nil && n == len(c.small):
		c.large = relay.Buffers.Get()
	case n < len(c.small):
		c.free()
	}
}

// free gives the large buffer back.
func (c *chunk) free() {
	if c.large != nil {
		relay.Buffers.Put(c.large)
		c.large = nil
	}
}
