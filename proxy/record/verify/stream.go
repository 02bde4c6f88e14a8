// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"io"
)

// stream gives what was gathered log by log, index by index.
type stream struct {
	log     uint32
	entries *merged
	marks   *merged
	// entry and mark are the next of each, where the flags say so.
	entry        entry
	mark         mark
	room, marked []byte
	some, noted  bool
}

// group is all that was found for one index of a log.
type group struct {
	index int64
	// variants are its contents, all different.
	variants []variant
	// places are where it stands first in each file.
	places                []place
	repeated, brokenLines int64
}

func newStream(g *gatherer) (*stream, error) {
	s := &stream{room: make([]byte, entrySize), marked: make([]byte, markSize)}
	var err error
	if s.entries, err = g.entries.merge(); err != nil {
		return nil, err
	}
	if s.marks, err = g.marks.merge(); err != nil {
		return nil, errors.Join(err, s.entries.close())
	}
	if err := errors.Join(s.step(), s.stepMark()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stream) close() error { return errors.Join(s.entries.close(), s.marks.close()) }

func (s *stream) step() error {
	err := s.entries.next(s.room)
	if s.some = err == nil; s.some {
		s.entry.decode(s.room)
	}
	return unlessEnd(err)
}

func (s *stream) stepMark() error {
	err := s.marks.next(s.marked)
	if s.noted = err == nil; s.noted {
		s.mark.decode(s.marked)
	}
	return unlessEnd(err)
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// nextLog goes to the next log; all groups of the one before must be taken.
func (s *stream) nextLog() bool {
	if s.some {
		s.log = s.entry.log
	}
	return s.some
}

// nextGroup returns what was found for the log's next index; nil at its end. A
// line broken off counts as the record only where no whole one is there, and
// not at all at the log's end, where its writer may have been in the middle.
func (s *stream) nextGroup() (*group, error) {
	if !s.some || s.entry.log != s.log {
		return nil, nil
	}
	g := &group{index: s.entry.index}
	var broken []variant
	for s.some && s.entry.log == s.log && s.entry.index == g.index {
		e := &s.entry
		v := variant{index: e.index, hash: e.hash, previous: e.previous, place: e.place}
		switch {
		case e.broken:
			g.brokenLines++
			if len(broken) == 0 || broken[len(broken)-1].hash != v.hash && len(broken) < maxBranches {
				broken = append(broken, v)
			}
		case len(g.variants) > 0 && g.variants[len(g.variants)-1].hash == v.hash:
			g.repeated++
		case len(g.variants) < maxBranches:
			g.variants = append(g.variants, v)
		}
		if !e.broken {
			g.stands(e.place)
		}
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	if len(g.variants) > 0 {
		return g, nil
	}
	if !s.some || s.entry.log != s.log {
		return nil, nil
	}
	g.variants, g.brokenLines = broken, 0
	return g, nil
}

// stands takes down a place, where it is the first in its file.
func (g *group) stands(p place) {
	for i := range g.places {
		if q := &g.places[i]; q.file == p.file {
			if p.before(*q) {
				*q = p
			}
			return
		}
	}
	g.places = append(g.places, p)
}

// nextMark returns the log's next checkpoint of at most a size.
func (s *stream) nextMark(size int64) (mark, bool, error) {
	for s.noted && s.mark.log < s.log {
		if err := s.stepMark(); err != nil {
			return mark{}, false, err
		}
	}
	if !s.noted || s.mark.log != s.log || s.mark.size > size {
		return mark{}, false, nil
	}
	m := s.mark
	return m, true, s.stepMark()
}
