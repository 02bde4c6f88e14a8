// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// AddSink has a sink, or a reader, counted from now on: what it has not
// acknowledged is not deleted. One that is new begins with the oldest record
// kept, one that was there before goes on where it was.
func (l *Log) AddSink(name string) error {
	if err := checkSinkName(name); err != nil {
		return err
	}
	l.places.Lock()
	defer l.places.Unlock()
	if l.cursors[name] != nil {
		return nil
	}
	c, err := openCursor(l.options.Dir, name, l.identity.id)
	if err != nil {
		return err
	}
	if err := c.check(l.Durable()); err != nil {
		return err
	}
	l.mu.Lock()
	closing, first := l.closing, l.segments[0].first
	l.mu.Unlock()
	if closing {
		return ErrClosed
	}
	c.pass(first)
	l.cursors[name] = c
	return nil
}

// RemoveSink has a sink not count any more. How far it is stays on disk, so
// that it goes on from there, or from the oldest record then kept, when it is
// added again. Its feed must be closed before.
func (l *Log) RemoveSink(name string) error {
	l.places.Lock()
	c := l.cursors[name]
	delete(l.cursors, name)
	l.places.Unlock()
	if c == nil {
		return nil
	}
	signal(l.keep)
	return c.persist()
}

// openCursors opens the cursors of the sinks that the options name, and checks
// those of all that ever were.
func (l *Log) openCursors() error {
	entries, err := os.ReadDir(filepath.Join(l.options.Dir, cursorDir))
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = false
	}
	for _, name := range l.options.Sinks {
		names[name] = true
	}
	for name, wanted := range names {
		c, err := openCursor(l.options.Dir, name, l.identity.id)
		if err != nil {
			return err
		}
		if err := c.check(l.next); err != nil {
			return err
		}
		if wanted {
			c.pass(l.segments[0].first)
			l.cursors[name] = c
		}
	}
	return nil
}

// check finds a sink that has acknowledged more than there is, which shows that
// records are missing.
func (c *cursor) check(records int64) error {
	if next := c.acknowledged(); next > records {
		return fmt.Errorf("%w: records %d to %d are missing, %s has acknowledged them: restore the directory from a copy, or move it away to begin a new log and keep it as evidence",
			ErrCorrupt, records, next-1, spoken(c.name))
	}
	return nil
}

func (l *Log) persistCursors() error {
	l.places.Lock()
	defer l.places.Unlock()
	var errs []error
	for _, c := range l.cursors {
		errs = append(errs, c.persist())
	}
	return errors.Join(errs...)
}

// slowest is the sink or reader that has acknowledged least; nil where there is
// none. sinks says whether a sink is among them. places is held.
func (l *Log) slowest() (least *cursor, sinks bool) {
	for name, c := range l.cursors {
		sinks = sinks || !isReader(name)
		if least == nil || c.acknowledged() < least.acknowledged() {
			least = c
		}
	}
	return least, sinks
}
