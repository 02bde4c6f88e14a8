// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"fmt"
	"os"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// SetRetention says how long records are kept at least, whoever has them. hold,
// where not empty, keeps all of them and says why, and what ends it.
func (l *Log) SetRetention(age time.Duration, hold string) {
	l.places.Lock()
	l.retention, l.hold = age, hold
	l.places.Unlock()
	signal(l.keep)
}

// Usage is how much of its space a log uses.
type Usage struct {
	// Used is the number of bytes that hold records, Max how many there may be.
	Used, Max int64
	// Held is why the oldest records are kept, and what ends it; empty where
	// nothing keeps them but that they share a segment with the newest.
	Held string
}

// Usage returns how much space is used, and what keeps it from becoming free.
func (l *Log) Usage() Usage {
	l.places.Lock()
	defer l.places.Unlock()
	l.mu.Lock()
	u := Usage{Used: l.occupied - l.rest(), Max: l.options.MaxBytes}
	next := l.next
	var oldest *segment
	if len(l.segments) > 1 {
		oldest, next = l.segments[0], l.segments[1].first
	}
	l.mu.Unlock()
	u.Held = l.held(oldest, next)
	return u
}

// held is why the records before next may not be deleted, or empty. segment
// holds the newest of them; nil where it is still being written. places is held.
func (l *Log) held(s *segment, next int64) string {
	least, sinks := l.slowest()
	switch {
	case l.hold != "":
		return l.hold
	case !sinks:
		return "no sink takes records from it: create a LogSink, or make the log larger"
	case least.acknowledged() < next:
		return fmt.Sprintf("%s has acknowledged %d of %d records: bring it back, free space, or make the log larger",
			spoken(least.name), least.acknowledged(), l.durable.Load())
	case l.retention > 0 && (s == nil || l.options.Now().Sub(l.newest(s)) < l.retention):
		return fmt.Sprintf("its records are kept for %s: keep them for less time, or make the log larger", l.retention)
	default:
		return ""
	}
}

// newest is the time of a finished segment's newest record. places is held.
func (l *Log) newest(s *segment) time.Time {
	if !s.newest.IsZero() {
		return s.newest
	}
	newest := time.Time{}
	data, err := os.ReadFile(s.path)
	if err == nil {
		_, err = walk(s.path, data, s.first, l.identity.id, func(r record.Record) error {
			// A clock that went back must not make records older than they are.
			if at := timeOf(r, l.prefix); at.After(newest) {
				newest = at
			}
			return nil
		})
	}
	if err != nil || newest.IsZero() {
		// It is as old as its file, whatever it holds.
		newest = l.options.Now()
		if info, err := os.Stat(s.path); err == nil {
			newest = info.ModTime()
		}
	}
	s.newest = newest
	return newest
}

// timeOf reads a record's time, which has its place in the head.
func timeOf(r record.Record, prefix string) time.Time {
	end := record.HeadSize(prefix, r.Position.Index) - len(`"`)
	if end > len(r.JSON) {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, string(r.JSON[end-record.TimeSize:end]))
	if err != nil {
		return time.Time{}
	}
	return at
}

// deleteOld deletes the segments that nothing keeps, oldest first.
func (l *Log) deleteOld() {
	for l.deleteOldest() {
	}
}

func (l *Log) deleteOldest() bool {
	l.places.Lock()
	defer l.places.Unlock()
	l.mu.Lock()
	if len(l.segments) < 2 || len(l.sealed) > 0 {
		l.mu.Unlock()
		return false
	}
	s, next := l.segments[0], l.segments[1].first
	l.mu.Unlock()
	if l.held(s, next) != "" {
		return false
	}
	// The cursors must be on disk first: records that are gone cannot be
	// delivered again.
	for _, c := range l.cursors {
		if c.persist() != nil {
			return false
		}
	}
	if err := os.Remove(s.path); err != nil {
		return false
	}
	// Of no use without its segment; one left behind does no harm.
	_ = os.Remove(openPath(l.options.Dir, s.first))
	l.mu.Lock()
	l.segments = l.segments[1:]
	l.occupied -= s.size
	l.mu.Unlock()
	return true
}
