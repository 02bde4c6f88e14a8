// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	chunkSize = 1 << 20
	// maxLine is what a line may have; one of twice as much is passed over.
	maxLine = 16 << 20
	// A file that was written to just now may end in the middle of a line that its
	// writer has in hand: its rest is waited for.
	justNow    = 2 * time.Second
	restPause  = 20 * time.Millisecond
	restPauses = 50
)

// open opens a file for reading, decompressed where it begins as gzip does.
func open(path string) (reader io.Reader, compressed bool, file *os.File, err error) {
	if file, err = os.Open(path); err != nil {
		return nil, false, nil, err
	}
	buffered := bufio.NewReaderSize(file, 64<<10)
	if magic, _ := buffered.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return buffered, false, file, nil
	}
	expanded, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, true, nil, errors.Join(err, file.Close())
	}
	return expanded, true, file, nil
}

// feedLines sends a file's lines in chunks. A buffer comes from free and goes
// back there when its chunk is done with.
func (s *scanner) feedLines(ctx context.Context, number int) error {
	reader, compressed, file, err := open(s.sources.Files[number].Path)
	if err != nil {
		s.trouble(Problem{File: number, Index: -1, What: "it cannot be read: " + err.Error()})
		return nil
	}
	defer func() { _ = file.Close() }()
	s.sources.Files[number].compressed = compressed
	var (
		offset int64
		rest   []byte // the beginning of a line
		skip   bool   // the rest of a line that is too long
		waited int    // for the rest of the last line
	)
	for {
		buffer, err := s.buffer(ctx, max(chunkSize, 2*len(rest)))
		if err != nil {
			return err
		}
		n := copy(buffer, rest)
		read, readErr := fill(reader, buffer[n:])
		s.progressed(read)
		data := buffer[:n+read]
		end := len(data)
		if errors.Is(readErr, io.EOF) && !compressed && waited < restPauses && unfinished(data) && writtenJustNow(file) {
			waited, readErr = waited+1, pause(ctx)
			if readErr != nil {
				return readErr
			}
		}
		if readErr == nil {
			end = bytes.LastIndexByte(data, '\n') + 1
		}
		from := 0
		if skip {
			from = bytes.IndexByte(data, '\n') + 1
			skip = from == 0
			if skip {
				from, end = len(data), len(data)
			}
		}
		rest = append(rest[:0:0], data[end:]...)
		if len(rest) > maxLine {
			s.trouble(Problem{File: number, Offset: offset + int64(end), Index: -1, What: fmt.Sprintf("line of more than %d bytes", maxLine)})
			rest, skip = nil, true
		}
		if err := s.send(ctx, job{file: number, offset: offset + int64(from), data: data[from:end], buffer: buffer}); err != nil {
			return err
		}
		offset += int64(len(data) - len(rest))
		switch {
		case readErr == nil:
		case errors.Is(readErr, io.EOF):
			return nil
		default:
			s.trouble(Problem{File: number, Offset: offset, Index: -1, What: "it cannot be read to its end: " + readErr.Error()})
			return nil
		}
	}
}

// unfinished says that data ends within a line; one that is JSON lacks its line feed only.
func unfinished(data []byte) bool {
	last := data[bytes.LastIndexByte(data, '\n')+1:]
	return len(last) > 0 && !json.Valid(last)
}

func writtenJustNow(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && time.Since(info.ModTime()) < justNow
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(restPause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// fill reads until the buffer is full or the reader ends.
func fill(reader io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = reader.Read(buffer[n:])
		n += more
	}
	if n == len(buffer) {
		return n, nil
	}
	return n, err
}

// lines visits the records in whole lines.
func (w *worker) lines(j job) error {
	data, offset := j.data, j.offset
	if !bytes.Contains(data, []byte(word)) {
		return nil // soon done with what expands to very much of nothing
	}
	for len(data) > 0 {
		line, length := data, len(data)
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, length = data[:i], i+1
		}
		w.found = extract(w.found[:0], line)
		for part, f := range w.found {
			r := Record{Position: f.position, JSON: f.json, Broken: f.broken, File: j.file, Offset: offset, Part: part}
			if err := w.visit(w.number, &r); err != nil {
				return err
			}
		}
		w.count(j.file, len(w.found))
		data, offset = data[length:], offset+int64(length)
	}
	return nil
}
