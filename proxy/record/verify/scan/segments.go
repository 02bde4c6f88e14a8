// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"github.com/doorward/doorward/proxy/record"
)

// The frames of a segment are described in package spool.
const (
	frameHeader = 8
	groupStart  = 1 << 31
	windowSize  = 2 * (record.MaxSize + frameHeader)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment visits the records of a segment, also of one that is being written.
// What cannot be read is passed over up to the next frame that can.
func (w *worker) segment(j job) error {
	file := &w.scanner.sources.Files[j.file]
	opened, err := os.Open(file.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a running log has deleted it meanwhile
	}
	if err != nil {
		w.scanner.trouble(Problem{File: j.file, Index: -1, What: "it cannot be read: " + err.Error()})
		return nil
	}
	defer func() { _ = opened.Close() }()
	reader := frames{file: opened, buffer: w.window, read: w.scanner.progressed}
	defer func() { w.window = reader.buffer }()
	next := file.Segment
	for {
		payload, at, err := reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTorn):
			w.scanner.torn(j.file, at, next)
			return nil
		case errors.Is(err, errGap):
			w.scanner.trouble(Problem{File: j.file, Offset: at, Index: next, What: "a frame cannot be read"})
			continue
		case err != nil:
			w.scanner.trouble(Problem{File: j.file, Offset: at, Index: next, What: "it cannot be read to its end: " + err.Error()})
			return nil
		}
		position, err := record.Head(payload)
		if err != nil {
			w.scanner.trouble(Problem{File: j.file, Offset: at, Index: next, What: "a frame holds no record"})
			continue
		}
		r := Record{Position: position, JSON: payload, Broken: reader.damaged, File: j.file, Offset: at}
		if err := w.visit(w.number, &r); err != nil {
			return err
		}
		w.count(j.file, 1)
		next = position.Index + 1
	}
}

var (
	errTorn = errors.New("nothing readable follows")
	errGap  = errors.New("frame cannot be read")
)

// frames reads frame by frame.
type frames struct {
	file   io.Reader
	read   func(int)
	buffer []byte
	// data is the unread part of buffer, offset its place in the file.
	data   []byte
	offset int64
	ended  error
	// damaged says that the last frame's checksum does not match.
	damaged bool
}

// need returns at least n unread bytes, fewer where the file ends.
func (f *frames) need(n int) ([]byte, error) {
	if len(f.data) < n && f.ended == nil {
		if f.buffer == nil {
			f.buffer = make([]byte, windowSize)
		}
		kept := copy(f.buffer, f.data)
		more, err := fill(f.file, f.buffer[kept:])
		f.read(more)
		f.data, f.ended = f.buffer[:kept+more], err
	}
	if f.ended != nil && !errors.Is(f.ended, io.EOF) {
		return nil, f.ended
	}
	return f.data, nil
}

func (f *frames) advance(n int) {
	f.data, f.offset = f.data[n:], f.offset+int64(n)
}

// next returns the next frame's payload and the offset of the frame. errGap:
// it cannot be read and others follow, from which the next call reads.
// errTorn: nothing can be read up to the end. io.EOF: nothing but zeros follow.
func (f *frames) next() ([]byte, int64, error) {
	f.damaged = false
	at := f.offset
	data, err := f.need(frameHeader + record.MaxSize)
	if err != nil {
		return nil, at, err
	}
	if payload, whole := frame(data); whole {
		sum := crc32.Update(crc32.Update(0, castagnoli, data[:4]), castagnoli, payload)
		f.damaged = sum != binary.LittleEndian.Uint32(data[4:])
		if !f.damaged || json.Valid(payload) {
			f.advance(frameHeader + len(payload))
			return payload, at, nil
		}
	}
	content, err := f.search()
	switch {
	case err != nil:
		return nil, at, err
	case len(f.data) > 0:
		return nil, at, errGap
	case content:
		return nil, at, errTorn
	}
	return nil, at, io.EOF
}

// frame is the payload of what may be a frame at the beginning of data.
func frame(data []byte) ([]byte, bool) {
	if len(data) < frameHeader {
		return nil, false
	}
	length := int(binary.LittleEndian.Uint32(data) &^ groupStart)
	if length == 0 || length > record.MaxSize || length > len(data)-frameHeader {
		return nil, false
	}
	payload := data[frameHeader:][:length]
	return payload, bytes.HasPrefix(payload, []byte(start)) && payload[length-1] == '}'
}

// search goes on to the next readable frame behind the present place, or to
// the end. It says whether there was anything but zeros on the way.
func (f *frames) search() (content bool, err error) {
	for skip := 1; ; skip = 0 {
		data, err := f.need(frameHeader + record.MaxSize)
		if err != nil {
			return content, err
		}
		for from := min(skip, len(data)); ; {
			i := bytes.Index(data[from:], []byte(start))
			if i < 0 {
				break
			}
			header := from + i - frameHeader
			from += i + 1
			if header < skip {
				continue
			}
			if payload, whole := frame(data[header:]); whole &&
				crc32.Update(crc32.Update(0, castagnoli, data[header:][:4]), castagnoli, payload) == binary.LittleEndian.Uint32(data[header+4:]) {
				f.advance(header)
				return true, nil
			}
		}
		// A frame may begin in what is kept.
		passed := len(data)
		if f.ended == nil {
			passed = max(len(data)-frameHeader-record.MaxSize, 1)
		}
		content = content || len(bytes.TrimLeft(data[:passed], "\x00")) > 0
		f.advance(passed)
		if len(f.data) == 0 {
			return content, nil
		}
	}
}

// unreadable says what a segment's end that cannot be read means.
func unreadable(next int64) string {
	return fmt.Sprintf("nothing can be read behind record %d", next-1)
}
