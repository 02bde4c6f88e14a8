// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// cursorDelay is how old a cursor on disk may get. After a crash as much is
// delivered again.
const cursorDelay = time.Second

var sinkName = regexp.MustCompile(`^_?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)

const readerMark = "_"

// ReaderName is the name of a reader that is no sink, such as what shows sessions:
// it holds back deletion as sinks do, but a log that has readers only deletes
// nothing. No sink's name begins as a reader's does.
func ReaderName(name string) string { return readerMark + name }

func isReader(name string) bool { return strings.HasPrefix(name, readerMark) }

// spoken is what an error calls a sink or a reader.
func spoken(name string) string {
	if isReader(name) {
		return fmt.Sprintf("the proxy's reader %q", strings.TrimPrefix(name, readerMark))
	}
	return fmt.Sprintf("sink %q", name)
}

func checkSinkName(name string) error {
	if !sinkName.MatchString(name) {
		return fmt.Errorf("sink name not usable: %q: at most 253 lower-case letters, digits, dots and hyphens", name)
	}
	return nil
}

// cursor is how far one sink has acknowledged.
type cursor struct {
	name string
	path string
	log  string

	mu      sync.Mutex
	next    int64 // the first record not acknowledged
	missed  int64 // records that were deleted before the sink came, or came back
	written int64 // what of next is on disk
	at      time.Time
}

type cursorDocument struct {
	Log    string `json:"log"`
	Next   int64  `json:"next"`
	Missed int64  `json:"missed,omitempty"`
}

func openCursor(dir, name, log string) (*cursor, error) {
	c := &cursor{name: name, path: filepath.Join(dir, cursorDir, name), log: log}
	data, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	var d cursorDocument
	if err := json.Unmarshal(data, &d); err != nil || d.Log != log || d.Next < 0 || d.Missed < 0 {
		return nil, fmt.Errorf("%w: cursor %q is not of log %s: remove it to deliver all records again", ErrCorrupt, c.path, log)
	}
	c.next, c.missed, c.written = d.Next, d.Missed, d.Next
	return c, nil
}

// pass moves the cursor over records that are deleted.
func (c *cursor) pass(first int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next < first {
		c.missed += first - c.next
		c.next = first
	}
}

func (c *cursor) missing() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.missed
}

func (c *cursor) acknowledged() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

// advance moves the cursor up, and puts it on disk where that is due.
func (c *cursor) advance(next int64, now time.Time) error {
	c.mu.Lock()
	c.next = max(c.next, next)
	due := now.Sub(c.at) >= cursorDelay || now.Before(c.at)
	if due {
		c.at = now
	}
	c.mu.Unlock()
	if due {
		return c.persist()
	}
	return nil
}

func (c *cursor) persist() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == c.written {
		return nil
	}
	data, err := json.Marshal(cursorDocument{Log: c.log, Next: c.next, Missed: c.missed})
	if err != nil {
		return err
	}
	if err := writeFile(c.path, append(data, '\n')); err != nil {
		return fmt.Errorf("cannot keep how far %s is: %w", spoken(c.name), err)
	}
	c.written = c.next
	return nil
}
