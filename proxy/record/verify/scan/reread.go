// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reread reads the record that was found at a place again.
func (s *Sources) Reread(file int, offset int64, part int) ([]byte, error) {
	f := &s.Files[file]
	if f.IsSegment {
		opened, err := os.Open(f.Path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		if _, err := opened.Seek(offset, io.SeekStart); err != nil {
			return nil, err
		}
		reader := frames{file: opened, read: func(int) {}}
		payload, _, err := reader.next()
		return payload, err
	}
	reader, closer, err := s.at(file, offset)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	line, err := bufio.NewReaderSize(io.LimitReader(reader, maxLine+1), 64<<10).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	all := extract(nil, bytes.TrimSuffix(line, []byte("\n")))
	if part >= len(all) {
		return nil, fmt.Errorf("file changed while it was read: %q: no record at offset %d", f.Path, offset)
	}
	return all[part].json, nil
}

// Line is the number of the line at an offset, from 1; 0 where the file has
// none or cannot be read.
func (s *Sources) Line(file int, offset int64) int64 {
	if s.Files[file].IsSegment {
		return 0
	}
	reader, closer, err := s.at(file, 0)
	if err != nil {
		return 0
	}
	defer func() { _ = closer.Close() }()
	line, buffer := int64(1), make([]byte, 256<<10)
	for offset > 0 {
		n, err := reader.Read(buffer[:min(offset, int64(len(buffer)))])
		line += int64(bytes.Count(buffer[:n], []byte("\n")))
		offset -= int64(n)
		if err != nil {
			return 0
		}
	}
	return line
}

// Before is how much of a file has to be read to get to an offset of its content.
func (s *Sources) Before(file int, offset int64) int64 {
	if s.Files[file].compressed {
		return offset
	}
	return 0
}

// at opens a file at an offset of its content.
func (s *Sources) at(file int, offset int64) (io.Reader, io.Closer, error) {
	reader, compressed, opened, err := open(s.Files[file].Path)
	if err != nil {
		return nil, nil, err
	}
	if compressed {
		_, err = io.CopyN(io.Discard, reader, offset)
	} else {
		reader = opened
		_, err = opened.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, nil, errors.Join(err, opened.Close())
	}
	return reader, opened, nil
}
