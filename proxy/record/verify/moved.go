// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// maxSuspects bounds how many records are tried at another's place.
const maxSuspects = 16

// search finds a record that was put at another's place and renumbered.
type search struct {
	sources *scan.Sources
	prefix  string
	known   map[place][]byte
}

// moved implements mover. Of a record at another's place, the index is that of
// the place; the hash of the one before it and the time may have gone with it,
// or be those that stood there.
func (s *search) moved(span []step, index int64, want record.Hash) (at int64, previous record.Hash, found bool) {
	first := span[0].index
	here := s.json(span[index-first].place)
	if here == nil {
		return 0, record.Hash{}, false
	}
	for _, suspect := range suspects(span) {
		if suspect.index == index {
			continue
		}
		json := s.json(suspect.place)
		if json == nil {
			continue
		}
		befores := []record.Hash{suspect.previous, span[index-first].previous}
		if index > first {
			befores = append(befores, span[index-first-1].hash)
		}
		for _, before := range befores {
			for _, source := range [][]byte{json, here} {
				if record.LeafHash(s.rebuild(json, source, index, before)) == want {
					return suspect.index, before, true
				}
			}
		}
	}
	return 0, record.Hash{}, false
}

// suspects are the records of a span next to where its chain is broken.
func suspects(span []step) []step {
	var all []step
	add := func(s step) {
		if len(all) < maxSuspects && (len(all) == 0 || all[len(all)-1].index < s.index) {
			all = append(all, s)
		}
	}
	for i := range span {
		if i == 0 || i == len(span)-1 || span[i].previous != span[i-1].hash {
			if i > 0 {
				add(span[i-1])
			}
			add(span[i])
		}
	}
	return all
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
	json, err := s.sources.Reread(int(p.file), p.offset, int(p.part))
	if err != nil {
		json = nil
	}
	if len(s.known) < 4*maxSuspects {
		s.known[p] = json
	}
	return json
}
