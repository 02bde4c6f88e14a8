// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import "sync"

// BufferSize is the capacity of each of Buffers, SmallSize of SmallBuffers, in bytes.
const (
	BufferSize = 64 << 10
	SmallSize  = 16 << 10
)

// Pool lends buffers, so that connections that do nothing hold none.
type Pool struct {
	size int
	pool sync.Pool
}

// The pools of all connections.
var (
	Buffers      = &Pool{size: BufferSize}
	SmallBuffers = &Pool{size: SmallSize}
)

// Size is the capacity of its buffers, in bytes.
func (p *Pool) Size() int { return p.size }

// Get returns an empty buffer. What its capacity holds is not defined.
func (p *Pool) Get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, p.size)
	return &b
}

// Put takes a buffer back. Nothing may refer to it any more.
func (p *Pool) Put(b *[]byte) {
	*b = (*b)[:0]
	p.pool.Put(b)
}
