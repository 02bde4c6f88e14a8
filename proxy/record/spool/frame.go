// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/doorward/doorward/proxy/record"
)

const (
	frameHeader = 8
	groupStart  = 1 << 31
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// errEnd is a frame of zeros: nothing was written here.
	errEnd = errors.New("end of records")
	// errShort is a frame that goes beyond the bytes at hand.
	errShort = errors.New("frame goes beyond the segment")
	errSum   = errors.New("checksum does not match")
)

// sealFrame fills in the header of the frame whose payload follows the first
// eight bytes of b.
func sealFrame(b []byte, first bool) {
	length := uint32(len(b) - frameHeader) //nolint:gosec // at most record.MaxSize
	if first {
		length |= groupStart
	}
	binary.LittleEndian.PutUint32(b, length)
	binary.LittleEndian.PutUint32(b[4:], checksum(b[:4], b[frameHeader:]))
}

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, length), castagnoli, payload)
}

// openFrame returns the payload of the frame at the beginning of b, which
// stays part of b, and whether it begins a group.
func openFrame(b []byte) (payload []byte, first bool, err error) {
	if len(b) < frameHeader {
		if zero(b) {
			return nil, false, errEnd
		}
		return nil, false, errShort
	}
	word := binary.LittleEndian.Uint32(b)
	length := int(word &^ groupStart)
	if length == 0 {
		if zero(b[:frameHeader]) {
			return nil, false, errEnd
		}
		return nil, false, errSum
	}
	if length > record.MaxSize {
		return nil, false, errSum
	}
	if length > len(b)-frameHeader {
		return nil, false, errShort
	}
	payload = b[frameHeader : frameHeader+length : frameHeader+length]
	if checksum(b[:4], payload) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, false, errSum
	}
	return payload, word&groupStart != 0, nil
}

func zero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// walked is what walk found.
type walked struct {
	// next is the index after the last good record, end the offset after it.
	next int64
	end  int
	// torn says that something unreadable follows end.
	torn bool
}

// walk reads the frames of a whole segment that begins with record first, and
// calls visit for each. It tells a torn tail, which is reported in the result,
// from damage, which is an error.
func walk(path string, data []byte, first int64, logID string, visit func(record.Record) error) (walked, error) {
	w := walked{next: first}
	for w.end < len(data) {
		payload, _, err := openFrame(data[w.end:])
		if errors.Is(err, errEnd) && zero(data[w.end:]) {
			return w, nil
		}
		if err != nil {
			w.torn = true
			if at := groupAfter(data, w.end, w.next, logID); at >= 0 {
				return w, corrupt(path, int64(w.end), "record "+itoa(w.next)+" cannot be read and a later group follows at offset "+itoa(int64(at)))
			}
			return w, nil
		}
		position, err := record.Head(payload)
		if err != nil {
			return w, corrupt(path, int64(w.end), err.Error())
		}
		if want := (record.Position{LogID: logID, Index: w.next}); position != want {
			return w, corrupt(path, int64(w.end), "record "+position.ID()+" where "+want.ID()+" must be")
		}
		if visit != nil {
			if err := visit(record.Record{Position: position, JSON: payload}); err != nil {
				return w, err
			}
		}
		w.next++
		w.end += frameHeader + len(payload)
	}
	return w, nil
}

// groupAfter finds a readable frame behind offset end that begins a group, and
// returns its offset, or -1.
func groupAfter(data []byte, end int, next int64, logID string) int {
	prefix := []byte(record.HeadPrefix(logID))
	for at := end + 1; ; {
		n := bytes.Index(data[at:], prefix)
		if n < 0 {
			return -1
		}
		header := at + n - frameHeader
		at += n + 1
		if header <= end {
			continue
		}
		payload, first, err := openFrame(data[header:])
		if err != nil || !first {
			continue
		}
		if p, err := record.Head(payload); err == nil && p.Index >= next {
			return header
		}
	}
}
