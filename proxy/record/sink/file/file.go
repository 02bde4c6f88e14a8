// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package file is the sink that writes records as JSON lines to files in a
// directory. Each file is named after its first record and synced before its
// records count as accepted.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// DefaultMaxBytes is the size at which a new file is begun.
const DefaultMaxBytes = 128 << 20

const suffix = ".jsonl"

// Options say where files go.
type Options struct {
	// Dir is made where it is missing. Several logs may share it.
	Dir string
	// MaxBytes is the size at which a new file is begun; DefaultMaxBytes where
	// zero.
	MaxBytes int64
	// Retention is how long a finished file is kept; zero keeps all. The newest
	// file of a log, and files that this sink did not write, always stay.
	Retention time.Duration
	// Encode makes a line; nil is sink.Native.
	Encode sink.Encoder
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Sink writes to the files of one directory.
type Sink struct {
	options Options
	log     string
	file    *os.File
	// good is the size up to which the file holds accepted records.
	good   int64
	buffer []byte
	// looked is when old files were last looked for.
	looked time.Time
}

// New makes a sink. Files are opened by the first Write.
func New(options Options) (*Sink, error) {
	if options.MaxBytes == 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Retention < 0 {
		return nil, fmt.Errorf("file sink not usable: negative retention: %s", options.Retention)
	}
	if options.Dir == "" || options.MaxBytes < 0 {
		return nil, fmt.Errorf("file sink not usable: directory %q, %d bytes at most: both are needed", options.Dir, options.MaxBytes)
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("file sink not usable: %w", err)
	}
	return &Sink{options: options}, nil
}

// Write implements sink.Sink.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot write records: %w", context.Cause(ctx))
	}
	if len(batch) == 0 {
		return nil
	}
	err := s.write(batch)
	if err == nil {
		return nil
	}
	// What the file holds is read again before the next attempt.
	return errors.Join(fmt.Errorf("cannot write records to directory %q: %w", s.options.Dir, err), s.Close())
}

// Close closes the file.
func (s *Sink) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

func (s *Sink) write(batch []record.Record) error {
	first := batch[0].Position
	if s.file != nil && s.log != first.LogID {
		if err := s.Close(); err != nil {
			return err
		}
	}
	if s.file == nil {
		if err := s.resume(first.LogID); err != nil {
			return err
		}
	}
	if s.file == nil || s.good >= s.options.MaxBytes {
		if err := s.begin(first); err != nil {
			return err
		}
	}
	s.buffer = s.buffer[:0]
	for _, r := range batch {
		var err error
		if s.buffer, err = sink.AppendLine(s.buffer, r, s.options.Encode); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(s.buffer, s.good); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.good += int64(len(s.buffer))
	s.retire()
	return nil
}

// begin makes the file whose first record is at a position.
func (s *Sink) begin(first record.Position) error {
	if err := s.Close(); err != nil {
		return err
	}
	path := filepath.Join(s.options.Dir, fmt.Sprintf("%s-%020d%s", first.LogID, first.Index, suffix))
	// It may be there: empty, or with records that were not acknowledged.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	s.file, s.log = file, first.LogID
	if s.good, err = wholeLines(file); err != nil {
		return err
	}
	return syncDir(s.options.Dir)
}

// resume opens the log's newest file, if there is one, and cuts a line that
// was broken off: it was never acknowledged.
func (s *Sink) resume(log string) error {
	paths, err := filepath.Glob(filepath.Join(s.options.Dir, log+"-*"+suffix))
	if err != nil || len(paths) == 0 {
		return err
	}
	slices.Sort(paths)
	file, err := os.OpenFile(paths[len(paths)-1], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	s.file, s.log = file, log
	s.good, err = wholeLines(file)
	return err
}

// wholeLines cuts a file behind its last line feed and returns its size.
func wholeLines(file *os.File) (int64, error) {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	part := make([]byte, 64<<10)
	for end := size; end > 0; {
		n := min(end, int64(len(part)))
		if _, err := file.ReadAt(part[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part[:n], '\n'); i >= 0 {
			end += int64(i) + 1 - n
			return end, file.Truncate(end)
		}
		end -= n
	}
	return 0, file.Truncate(0)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
