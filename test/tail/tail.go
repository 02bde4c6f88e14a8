// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tail reads on in files that are only appended to: logs, and what sinks
// have received.
package tail

import (
	"bytes"
	"io"
	"os"
)

// Since reads a file from an offset, in bytes, to its end.
func Since(path string, offset int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, offset, 1<<40))
}

// Lines are files read line by line, each line once. The zero value has read none.
type Lines struct {
	offsets map[string]int64
}

// Skip goes on in a file from an offset, in bytes.
func (l *Lines) Skip(path string, offset int64) {
	if l.offsets == nil {
		l.offsets = map[string]int64{}
	}
	l.offsets[path] = offset
}

// Read shows each line that a file has gained, without its end, until there is an
// error. A line without an end is still being written, and comes later.
func (l *Lines) Read(path string, take func(line []byte) error) error {
	content, err := Since(path, l.offsets[path])
	if err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(content, []byte{'\n'})
		if !whole {
			return nil
		}
		l.Skip(path, l.offsets[path]+int64(len(line)+1))
		if err := take(line); err != nil {
			return err
		}
		content = rest
	}
}
