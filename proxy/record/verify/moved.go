// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// maxSuspects bounds how many records are tried at another's place.
const maxSuspects = 64

// search finds a record that was put at another's place and renumbered.
type search struct {
	sources *scan.Sources
	prefix  string
	known   map[place][]byte
	work    *work
}

// work bounds what is read and hashed again for all logs together, so that many
// changes make verifying no slower than reading. A compressed file has to be
// read from its beginning each time.
type work struct {
	reads       int
	bytes, most int64
}

// Bounds of work: what is read again at any size, and the bytes besides those
// of all files.
const (
	freeReads = 16
	freeBytes = 256 << 20
)

func (w *work) left() bool { return w.reads < freeReads || w.bytes < w.most }

// moved implements mover. Of a record at another's place, the index is that of
// the place; the hash of the one before it and the time may have gone with it,
// or be those that stood there.
func (s *search) moved(suspects []step, here step, want record.Hash) (at int64, previous record.Hash, found bool) {
	json := s.json(here.place)
	if json == nil || !s.work.left() {
		return 0, record.Hash{}, false
	}
	var befores []record.Hash
	for _, s := range suspects {
		if s.index == here.index-1 {
			befores = append(befores, s.hash)
		}
	}
	befores = append(befores, here.previous, here.previous)
	for _, suspect := range suspects[:min(len(suspects), maxSuspects)] {
		moved := s.json(suspect.place)
		if moved == nil || suspect.index == here.index {
			continue
		}
		befores[len(befores)-1] = suspect.previous
		for _, before := range befores {
			for _, timed := range [][]byte{moved, json} {
				s.work.bytes += int64(len(moved))
				if record.LeafHash(s.rebuild(moved, timed, here.index, before)) == want {
					return suspect.index, before, true
				}
			}
		}
	}
	return 0, record.Hash{}, false
}

// rebuild is a record with another index, another hash before it and the time
// of another record.
func (s *search) rebuild(json, timed []byte, index int64, previous record.Hash) []byte {
	body, own := s.body(json)
	_, other := s.body(timed)
	if own == 0 || other == 0 {
		return nil
	}
	at, err := parseTime(timed[other-record.TimeSize-1 : other-1])
	if err != nil {
		return nil
	}
	return append(record.AppendHead(nil, s.prefix, index, previous, at), body...)
}

// body is what follows a record's head, and where; 0 where it has none.
func (s *search) body(json []byte) ([]byte, int) {
	position, err := record.Head(json)
	if err != nil {
		return nil, 0
	}
	size := record.HeadSize(s.prefix, position.Index)
	if len(json) < size {
		return nil, 0
	}
	return json[size:], size
}

func (s *search) json(p place) []byte {
	if json, known := s.known[p]; known {
		return json
	}
	if !s.work.left() {
		return nil
	}
	json, err := s.sources.Reread(int(p.file), p.offset, int(p.part))
	s.work.reads++
	s.work.bytes += int64(len(json)) + s.sources.Before(int(p.file), p.offset)
	if err != nil {
		json = nil
	}
	if len(s.known) < 4*maxSuspects {
		s.known[p] = json
	}
	return json
}
