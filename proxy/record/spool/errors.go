// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"errors"
	"fmt"
)

// Errors that Open and the appending functions wrap.
var (
	// ErrFull: no record is accepted until sinks acknowledge or space is freed.
	ErrFull = errors.New("record log full")
	// ErrBroken: a write or sync failed; the log refuses everything from then on.
	ErrBroken = errors.New("record log broken")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("record log closed")
	// ErrLocked: another process has the directory.
	ErrLocked = errors.New("record log in use")
	// ErrCorrupt: the directory does not hold what a log wrote.
	ErrCorrupt = errors.New("record log corrupt")
	// ErrGone: the record was deleted after all sinks had acknowledged it.
	ErrGone = errors.New("record deleted after acknowledgement")
	// ErrConflict: the log does not continue what its witness holds of it.
	ErrConflict = errors.New("record log conflicts with its witness")
	// ErrNoCheckpoint: none has been made yet since the log was opened.
	ErrNoCheckpoint = errors.New("record log has no checkpoint yet")
	// ErrTorn: the last segment ends in an incomplete group, as after a crash.
	ErrTorn = errors.New("record log ends in an incomplete group")
)

func corrupt(path string, offset int64, detail string) error {
	return fmt.Errorf("%w: segment %q at offset %d: %s: restore the directory from a copy, or move it away to begin a new log and keep it as evidence",
		ErrCorrupt, path, offset, detail)
}
