// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sftp

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"sync/atomic"
)

// maxHeld bounds what one session holds of content that came out of order, in bytes.
const maxHeld = 4 << 20

// Why there is no digest.
const (
	undigestedTwice  = "some of it was transferred more than once"
	undigestedOrder  = "more than 4 MiB of it came out of order"
	undigestedGap    = "it is not contiguous"
	undigestedFailed = "not all of it was acknowledged by the target"
	undigestedEnd    = "it passes the end of what offsets can name"
)

// sequence digests content that comes in pieces at offsets, each byte once. The digest is
// of what follows the first offset. For one goroutine.
type sequence struct {
	hash  hash.Hash
	start uint64
	next  uint64
	// came is how many bytes there were, whatever their offsets.
	came  int64
	begun bool
	// void says why there is no digest.
	void string
	// ahead are pieces beyond next, sorted and apart from each other.
	ahead []piece
	// held is what the session holds.
	held *atomic.Int64
}

type piece struct {
	offset uint64
	data   []byte
}

func (p *piece) end() uint64 { return p.offset + uint64(len(p.data)) }

// begin says at which offset the first request was.
func (s *sequence) begin(offset uint64) {
	if !s.begun {
		s.begun, s.start, s.next = true, offset, offset
		s.hash = sha256.New()
	}
}

// add takes the content at an offset.
func (s *sequence) add(offset uint64, data []byte) {
	s.begin(offset)
	s.came += int64(len(data))
	if s.void != "" || len(data) == 0 {
		return
	}
	switch {
	case offset+uint64(len(data)) < offset:
		s.fail(undigestedEnd)
	case offset < s.next:
		s.fail(undigestedTwice)
	case offset > s.next:
		s.keep(offset, data)
	default:
		s.write(data)
		s.drain()
	}
}

func (s *sequence) write(data []byte) {
	_, _ = s.hash.Write(data) // never fails
	s.next += uint64(len(data))
}

// keep holds a copy of what came before its turn.
func (s *sequence) keep(offset uint64, data []byte) {
	if s.held.Add(int64(len(data))) > maxHeld {
		s.held.Add(-int64(len(data)))
		s.fail(undigestedOrder)
		return
	}
	i, found := slices.BinarySearchFunc(s.ahead, offset, func(p piece, at uint64) int {
		switch {
		case p.offset < at:
			return -1
		case p.offset > at:
			return 1
		}
		return 0
	})
	if found || i > 0 && s.ahead[i-1].end() > offset || i < len(s.ahead) && offset+uint64(len(data)) > s.ahead[i].offset {
		s.held.Add(-int64(len(data)))
		s.fail(undigestedTwice)
		return
	}
	if i > 0 && s.ahead[i-1].end() == offset {
		before := &s.ahead[i-1]
		before.data = append(before.data, data...)
		return
	}
	s.ahead = slices.Insert(s.ahead, i, piece{offset: offset, data: slices.Clone(data)})
}

// drain digests what was held, as far as it follows.
func (s *sequence) drain() {
	for len(s.ahead) > 0 && s.ahead[0].offset <= s.next {
		first := s.ahead[0]
		if first.offset < s.next {
			s.fail(undigestedTwice)
			return
		}
		s.write(first.data)
		s.held.Add(-int64(len(first.data)))
		s.ahead = slices.Delete(s.ahead, 0, 1)
	}
}

// fail gives the digest up for a reason, the first of which stays.
func (s *sequence) fail(why string) {
	if s.void == "" {
		s.void = why
	}
	for _, p := range s.ahead {
		s.held.Add(-int64(len(p.data)))
	}
	s.ahead = nil
}

// transfer is the result, where bytes went through. Whatever is held is let go.
func (s *sequence) transfer(bytes int64) Transfer {
	t := Transfer{Bytes: bytes, Offset: s.start}
	if len(s.ahead) > 0 {
		s.fail(undigestedGap)
	}
	if s.begun && s.void == "" && s.next-s.start != uint64(bytes) { //nolint:gosec // never negative
		s.fail(undigestedFailed)
	}
	if s.void != "" {
		t.Undigested = s.void
		return t
	}
	if s.begun {
		t.Digest = "sha256:" + hex.EncodeToString(s.hash.Sum(nil))
	}
	return t
}
