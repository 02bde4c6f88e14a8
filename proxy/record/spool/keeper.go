// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// retryRoom is how often room is sought again where there was none.
const retryRoom = time.Second

// keepRoom is the goroutine that does what appending must not wait for: it
// makes segments ahead, closes finished ones, deletes acknowledged ones.
func (l *Log) keepRoom(ctx context.Context) {
	defer l.group.Done()
	ticker := time.NewTicker(retryRoom)
	defer ticker.Stop()
	for serial := 0; ; serial++ {
		select {
		case <-ctx.Done():
			l.closeSealed()
			return
		case <-l.keep:
		case <-ticker.C:
			l.mu.Lock()
			content := l.spareErr == nil && len(l.sealed) == 0
			l.mu.Unlock()
			if content {
				// Records grow old, too.
				l.deleteOld()
				continue
			}
		}
		l.closeSealed()
		l.deleteOld()
		l.makeSpare(serial)
	}
}

// closeSealed finishes segments that were turned away from. A failure leaves
// the segment as it is, which is larger but whole, and is tried again.
func (l *Log) closeSealed() {
	for {
		l.mu.Lock()
		if len(l.sealed) == 0 {
			l.mu.Unlock()
			return
		}
		s := l.sealed[0]
		l.mu.Unlock()
		if err := writeOpening(openPath(l.options.Dir, s.first), newOpening(s.old, s.open, &s.branch)); err != nil {
			err = l.noRoom(err)
			l.mu.Lock()
			if l.spareErr == nil && l.spare == nil {
				l.spareErr = err
				l.announce()
			}
			l.mu.Unlock()
			return
		}
		err := closeSegment(s.old)
		l.mu.Lock()
		l.sealed = l.sealed[1:]
		if err == nil {
			l.occupied -= s.old.size - s.old.used
			s.old.size = s.old.used
		}
		l.announce()
		l.mu.Unlock()
	}
}

// makeSpare makes a segment ahead where there is none.
func (l *Log) makeSpare(serial int) {
	l.mu.Lock()
	if l.spare != nil || l.closing || l.failure != nil {
		l.mu.Unlock()
		return
	}
	size, over := l.options.SegmentBytes, l.occupied+l.options.SegmentBytes > l.options.MaxBytes
	l.mu.Unlock()

	var spare *segment
	var err error
	if over {
		err = fmt.Errorf("%d bytes at most", l.options.MaxBytes)
	} else {
		path := filepath.Join(l.options.Dir, fmt.Sprintf("next-%d%s", serial, tempSuffix))
		var file Segment
		if file, err = l.options.Disk.Create(path, size); err == nil {
			spare = &segment{path: path, size: size, file: file}
		}
	}
	if err != nil {
		err = l.noRoom(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full
	l.spare, l.spareErr, l.full = spare, nil, false
	if err != nil {
		l.spareErr, l.full = err, full
	} else {
		l.occupied += size
	}
	l.announce()
}

// noRoom is the error of a full log: which directory, who holds it up.
func (l *Log) noRoom(cause error) error {
	if errors.Is(cause, ErrFull) {
		return cause
	}
	remedy := l.Usage().Held
	if remedy == "" {
		remedy = "free space"
	}
	return fmt.Errorf("%w: directory %q: %w: %s: operations are refused until then",
		ErrFull, l.options.Dir, cause, remedy)
}
