// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/doorward/doorward/proxy/record"
)

const (
	// chunkBytes is the size of all chunks but those for larger groups.
	chunkBytes = 256 << 10
	// keptChunks bounds the bytes of records that are kept in memory for those
	// who follow the log: what a busy log writes between two of their looks.
	keptChunks = 8 << 20
)

// chunk is a part of one segment, in memory. Bytes are only ever added to it,
// so what readers have of it stays as it is.
type chunk struct {
	path string
	// base is the offset in the segment of data[0]: a multiple of the block, so
	// that data may begin with frames of the chunk before.
	base int64
	data []byte

	// What follows is guarded by the lock of recent: what of data readers may
	// have, the index of the first record, its place in data, and the ends of
	// all records' frames, up to the last that is on disk.
	shown []byte
	first int64
	at    int
	ends  []int
}

// newChunk makes the chunk that goes on where a segment ends, for a group of
// the given size. before is what stands in the segment from the last multiple
// of its block on.
func newChunk(s *segment, before []byte, size int) *chunk {
	room := max(chunkBytes, roundUp(len(before)+size, s.block))
	c := &chunk{path: s.path, base: s.used - int64(len(before)), data: alignedBytes(room, s.block)[:0]}
	c.data = append(c.data, before...)
	return c
}

// fits says whether the chunk goes on where a segment ends, and has room.
func (c *chunk) fits(s *segment, size int) bool {
	return c.path == s.path && roundUp(len(c.data)+size, s.block) <= cap(c.data)
}

// lastBlock is what stands from the last multiple of the block on.
func (c *chunk) lastBlock(block int) []byte { return c.data[len(c.data)/block*block:] }

func roundUp(n, block int) int { return (n + block - 1) / block * block }

// alignedBytes are zeros whose address is a multiple of the block, as writes
// past the page cache need it.
func alignedBytes(n, block int) []byte {
	if block == 1 {
		return make([]byte, n)
	}
	b := make([]byte, n+block)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & uintptr(block-1)) //nolint:gosec // only the address is asked for
	return b[off : off+n : off+n]
}

// recent are the last records, for those who follow the log, so that they need
// not read from disk what has just been written.
type recent struct {
	mu     sync.Mutex // guards what follows
	chunks []*chunk   // without gaps
	size   int
	places []*place
}

// place is where a reader is: the index of its next record.
type place struct{ next atomic.Int64 }

func (r *recent) enter(p *place) {
	r.mu.Lock()
	r.places = append(r.places, p)
	r.mu.Unlock()
}

func (r *recent) leave(p *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.places {
		if r.places[i] == p {
			r.places = append(r.places[:i], r.places[i+1:]...)
			break
		}
	}
	r.trim()
}

// publish adds records that are on disk: those of a chunk from index first on,
// which begin at an offset in it and end at others.
func (r *recent) publish(c *chunk, first int64, at int, ends []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.chunks) - 1
	if last < 0 || r.chunks[last] != c {
		if last >= 0 && r.chunks[last].next() != first {
			r.chunks, r.size = r.chunks[:0], 0
		}
		c.first, c.at, c.ends = first, at, c.ends[:0]
		r.chunks = append(r.chunks, c)
		r.size += cap(c.data)
	}
	c.shown, c.ends = c.data, append(c.ends, ends...)
	r.trim()
}

// next is the index after the last record.
func (c *chunk) next() int64 { return c.first + int64(len(c.ends)) }

// trim forgets chunks that all readers have passed, and the oldest of too many.
// The lock is held.
func (r *recent) trim() {
	n := 0
	for n < len(r.chunks) && (r.size > keptChunks && n < len(r.chunks)-1 || r.passed(r.chunks[n])) {
		r.size -= cap(r.chunks[n].shown)
		r.chunks[n] = nil
		n++
	}
	r.chunks = append(r.chunks[:0], r.chunks[n:]...)
}

// passed says that no reader will ask for a chunk. Those further behind read
// from disk.
func (r *recent) passed(c *chunk) bool {
	for _, p := range r.places {
		if next := p.next.Load(); next >= c.first && next < c.next() {
			return false
		}
		// One that has all there is waits for what follows.
	}
	return true
}

// read returns records from p on, at most count and about size bytes, and where
// in which segment the next one stands; none where they must be read from disk.
func (r *recent) read(p *place, logID string, count, size int) (records []record.Record, path string, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := p.next.Load()
	i := sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].next() > next })
	if i == len(r.chunks) || next < r.chunks[i].first {
		return nil, "", 0
	}
	c := r.chunks[i]
	n, at := int(next-c.first), c.at
	if n > 0 {
		at = c.ends[n-1]
	}
	begin := at
	ends := c.ends[n:min(len(c.ends), n+count)]
	records = make([]record.Record, 0, len(ends))
	for _, end := range ends {
		if len(records) > 0 && end-begin > size {
			break
		}
		records = append(records, record.Record{Position: record.Position{LogID: logID, Index: next}, JSON: c.shown[at+frameHeader : end : end]})
		next++
		at = end
	}
	p.next.Store(next)
	r.trim()
	return records, c.path, c.base + int64(at)
}
