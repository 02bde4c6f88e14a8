// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// Open opens the log in a directory for appending, or begins one there. Where
// the log was not closed in order, what was found is on record when Open
// returns: the torn tail that was cut, sessions without end, and operations
// whose outcome is unknown. Errors wrap ErrLocked or ErrCorrupt, or are the
// operating system's; nothing may be forwarded without a log.
func Open(ctx context.Context, options Options) (*Log, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(options.Dir, cursorDir), 0o700); err != nil {
		return nil, fmt.Errorf("cannot open record log: directory %q: %w", options.Dir, err)
	}
	lock, err := lockDir(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open record log: %w", err)
	}
	l, err := open(ctx, options, lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open record log: directory %q: %w", options.Dir, err), lock.Close())
	}
	return l, nil
}

func open(ctx context.Context, options Options, lock *os.File) (*Log, error) {
	if err := removeTemporary(options.Dir); err != nil {
		return nil, err
	}
	id, err := begin(options)
	if err != nil {
		return nil, err
	}
	found, err := examine(options.Dir, id.id)
	if err != nil {
		return nil, err
	}
	l := &Log{
		options: options, identity: id, prefix: record.HeadPrefix(id.id), lock: lock,
		cursors: map[string]*cursor{}, readers: map[*Reader]struct{}{},
		retention: options.Retention, hold: options.Hold,
		wake: make(chan struct{}, 1), keep: make(chan struct{}, 1), done: make(chan struct{}),
		ledger: found.ledger, tail: found.tail, segments: found.segments, next: found.next,
		growth: found.growth, pace: pace{uncovered: found.uncovered, soon: true},
		snapshots: make(chan snapshot, 1), notarised: make(chan struct{}), finished: make(chan struct{}),
	}
	if l.witness, err = openWitness(l, &found.growth.whole); err != nil {
		return nil, err
	}
	if err := l.openKeys(found.rotations); err != nil {
		return nil, err
	}
	l.accepted.Store(found.next)
	l.durable.Store(found.next)
	if err := l.openCursors(); err != nil {
		return nil, err
	}
	if err := l.openActive(found.torn); err != nil {
		return nil, err
	}
	for _, s := range l.segments {
		l.occupied += s.size
	}
	l.tailRoom = l.active.size - l.active.used
	// Time to look out for the log before it is whole is bounded by Close.
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.timer = time.AfterFunc(time.Hour, l.laterDue)
	l.timer.Stop()
	l.lateTimer = time.AfterFunc(time.Hour, l.waitedEnough)
	l.lateTimer.Stop()
	l.enough = 1
	l.group.Add(1)
	notarising, stopNotary := context.WithCancel(context.WithoutCancel(ctx))
	l.stopNotary = stopNotary
	l.signTimer = time.AfterFunc(time.Hour, l.signDue)
	l.signTimer.Stop()
	go l.keepRoom(keeping)
	go l.write()
	go l.notarise(notarising)
	signal(l.keep)
	if err := l.recordFindings(ctx, found); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.rotateWhereOld(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.mu.Lock()
	if found.uncovered {
		l.schedule(true)
	}
	l.mu.Unlock()
	return l, nil
}

// begin reads the log's key, or makes a new log. The key comes last: where it
// is, the first segment has been.
func begin(options Options) (identity, error) {
	id, err := readIdentity(options.Dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	path := segmentPath(options.Dir, 0)
	firsts, err := listSegments(options.Dir)
	if err != nil {
		return identity{}, err
	}
	switch {
	case len(firsts) > 1 || len(firsts) == 1 && firsts[0] != 0:
		return identity{}, fmt.Errorf("%w: segments without key %q: restore the key", ErrCorrupt, filepath.Join(options.Dir, keyFile))
	case len(firsts) == 1:
		// A start that was cut short, if the segment is still empty.
		data, err := os.ReadFile(path)
		if err != nil {
			return identity{}, err
		}
		if !zero(data) {
			return identity{}, fmt.Errorf("%w: records without key %q: restore the key", ErrCorrupt, filepath.Join(options.Dir, keyFile))
		}
	default:
		if err := syncDir(filepath.Dir(filepath.Clean(options.Dir))); err != nil {
			return identity{}, err
		}
		temp := filepath.Join(options.Dir, "next"+tempSuffix)
		file, err := options.Disk.Create(temp, options.SegmentBytes)
		if err != nil {
			return identity{}, err
		}
		if err := errors.Join(file.Close(), options.Disk.Publish(temp, path)); err != nil {
			return identity{}, err
		}
	}
	k, err := newKey("")
	if err != nil {
		return identity{}, err
	}
	keys, err := tree.NewKeys(k.logID(), k.verifier)
	if err != nil {
		return identity{}, err
	}
	id = identity{id: k.logID(), key: k, keys: keys, since: options.Now()}
	if err := id.write(options.Dir); err != nil {
		return identity{}, err
	}
	return id, writeFile(filepath.Join(options.Dir, keyFile), k.text)
}

// openActive opens the last segment for writing, without its torn tail.
func (l *Log) openActive(torn bool) error {
	l.active = l.segments[len(l.segments)-1]
	file, err := l.options.Disk.Open(l.active.path)
	if err != nil {
		return err
	}
	l.active.file = file
	if torn {
		if err := l.cutTorn(); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	before, err := l.beginWriting(l.active)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.chunk = newChunk(l.active, before, 0)
	return nil
}

// beginWriting prepares a segment for groups, and returns what stands in it
// from the last multiple of its block on.
func (l *Log) beginWriting(s *segment) ([]byte, error) {
	s.block = 1
	if s.size%directBlock == 0 {
		s.block = s.file.Align()
	}
	before := make([]byte, s.used%int64(s.block))
	if len(before) == 0 {
		return nil, nil
	}
	file, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	_, err = file.ReadAt(before, s.used-int64(len(before)))
	return before, errors.Join(err, file.Close())
}

// cutTorn zeroes the torn tail of the segment that is written.
func (l *Log) cutTorn() (err error) {
	file := l.active.file
	zeros := make([]byte, min(256<<10, l.active.size-l.active.used))
	for at := l.active.used; at < l.active.size; at += int64(len(zeros)) {
		if _, err = file.WriteAt(zeros[:min(int64(len(zeros)), l.active.size-at)], at); err != nil {
			break
		}
	}
	if err == nil {
		err = file.Datasync()
	}
	if err != nil {
		return fmt.Errorf("cannot cut the torn tail: segment %q: %w", l.active.path, err)
	}
	return nil
}
