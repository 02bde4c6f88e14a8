// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/doorward/doorward/proxy/record"
)

// The frame of the log on disk, as package spool documents it.
const (
	sector      = 512
	frameHeader = 8
	groupStart  = 1 << 31
	// frameBytes is the size of a record in some sectors.
	frameBytes = 3 * sector
)

// frame is a record's frame with some text for a record. Only the first frame
// of a group begins one.
func frame(log string, index int64, size int, first bool) []byte {
	payload := fmt.Appendf(nil, `{"schema":%q,"log":%q,"index":%d,"text":"`, record.SchemaVersion, log, index)
	for len(payload) < size {
		payload = append(payload, "lost "...)
	}
	payload = append(payload, '"', '}')
	length := uint32(len(payload))
	if first {
		length |= groupStart
	}
	b := binary.LittleEndian.AppendUint32(nil, length)
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Update(0, castagnoli, b), castagnoli, payload)
	return append(binary.LittleEndian.AppendUint32(b, sum), payload...)
}

// framesEnd is the offset after the last frame of a segment.
func framesEnd(data []byte) int {
	end := 0
	for end+frameHeader <= len(data) {
		length := int(binary.LittleEndian.Uint32(data[end:]) &^ groupStart)
		if length == 0 {
			break
		}
		end += frameHeader + length
	}
	return end
}

// tears are what a crash of the machine may leave of a group that was being
// written: whole is the group, which begins at an offset of the segment.
var tears = map[string]struct {
	reason string
	leave  func(whole []byte, at int, moments *rand.Rand) []byte
}{
	"LastSectorZero": {
		reason: "all but the last sector of a group of one was written",
		leave: func(whole []byte, at int, _ *rand.Rand) []byte {
			one := whole[:len(whole)/2]
			return one[:lastSector(one, at)]
		},
	},
	"LastSectorGarbage": {
		reason: "the last sector of a group of one holds what was on the disk before",
		leave: func(whole []byte, at int, moments *rand.Rand) []byte {
			one := whole[:len(whole)/2]
			garble(one[lastSector(one, at):], moments)
			return one
		},
	},
	"MiddleSectorZero": {
		reason: "a sector in the middle of the first frame is lost, the second frame is whole",
		leave: func(whole []byte, at int, _ *rand.Rand) []byte {
			lost := sector - at%sector
			clear(whole[lost : lost+sector])
			return whole
		},
	},
	"Half": {
		reason: "the write ended within a sector",
		leave:  func(whole []byte, _ int, _ *rand.Rand) []byte { return whole[:len(whole)/4] },
	},
	"FirstSectorZero": {
		reason: "sectors need not be written in order: the group's beginning is lost, a whole frame of it is there",
		leave: func(whole []byte, at int, _ *rand.Rand) []byte {
			clear(whole[:sector-at%sector])
			return whole
		},
	},
	"HeaderOnly": {
		reason: "a length without its record",
		leave:  func(whole []byte, _ int, _ *rand.Rand) []byte { return whole[:frameHeader] },
	},
	"Garbage": {
		reason: "nothing of it makes sense",
		leave: func(whole []byte, _ int, moments *rand.Rand) []byte {
			garble(whole, moments)
			return whole
		},
	},
}

// lastSector is where the last sector of a group begins within it.
func lastSector(group []byte, at int) int {
	return (at+len(group)-1)/sector*sector - at
}

func garble(b []byte, moments *rand.Rand) {
	for i := range b {
		b[i] = byte(1 + moments.IntN(255))
	}
}

// tear damages what follows the last group of the newest segment of a proxy
// that does not run. It returns where that begins, and how long it is.
func (s *scene) tear(t *testing.T, leave func([]byte, int, *rand.Rand) []byte, moments *rand.Rand) (at, size int) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(s.proxy.Spool, "*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments in %q: %v", s.proxy.Spool, err)
	}
	newest := slices.Max(segments)
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	at = framesEnd(data)
	next := int64(len(s.trail.sums))
	group := slices.Concat(frame(s.trail.log, next, frameBytes, true), frame(s.trail.log, next+1, frameBytes, false))
	if at+len(group) > len(data) {
		t.Fatalf("segment %q has no room for a torn group: %d of %d bytes used", newest, at, len(data))
	}
	left := bytes.TrimRight(leave(group, at, moments), "\x00")
	file, err := os.OpenFile(newest, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(left, int64(at))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return at, len(left)
}

// TestTornSector damages the sectors after the last durable group of a proxy
// that was killed, as a crash of the machine may: the proxy starts, says in the
// log itself what it cut, and has lost nothing that was acknowledged
// (checklist 42).
func TestTornSector(t *testing.T) {
	moments := chance(t)
	s := newScene(t, loadOptions{label: "torn", proxy: world.Proxy(), clients: clients, seed: moments.Uint64()})
	for _, name := range slices.Sorted(maps.Keys(tears)) {
		tc := tears[name]
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s.answers(t)
			s.kill(t)
			at, size := s.tear(t, tc.leave, moments)
			torn, former := s.trail.torn, len(s.trail.recoveries)
			if err := s.trail.read(); err != nil {
				t.Fatal(err)
			}
			if s.trail.torn != torn+1 {
				t.Error("the log is not torn: the damage shows nothing")
			}
			s.launch(t)
			s.answers(t)
			s.kill(t)
			s.launch(t)
			if len(s.trail.recoveries) != former+1 {
				t.Fatalf("%d recoveries on record, want %d", len(s.trail.recoveries), former+1)
			}
			attributes := map[string]string{}
			recovery := s.trail.recoveries[former]
			for _, attribute := range recovery.Attributes {
				attributes[attribute.Name] = attribute.Value
			}
			if attributes["cutOffset"] != strconv.Itoa(at) || attributes["cutBytes"] != strconv.Itoa(size) {
				t.Errorf("the Recovery says %v, want cutOffset %d and cutBytes %d", attributes, at, size)
			}
		})
		if t.Failed() {
			return
		}
	}
	s.answers(t)
	s.settle(t)
	t.Logf("%d ways to tear a group: %s; executed and not on record: 0", len(tears), s.total())
}
