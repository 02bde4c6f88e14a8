// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
	"github.com/doorward/doorward/proxy/record/verify/scan"
)

// Bounds of what is kept in memory of logs and keys.
const (
	maxLogs      = 1 << 12
	maxRotations = 1 << 10
)

// gatherer takes down of each record what the checks need, on disk.
type gatherer struct {
	entries *sorter
	// marks are the checkpoints by log and size: see mark.
	marks *sorter

	mu      sync.Mutex // guards what follows
	numbers map[string]uint32
	logs    []*logInfo
	notes   *os.File
	noted   int64
}

// logInfo is what the records of a log say of its keys.
type logInfo struct {
	id string
	// first is the log's first key, empty where no checkpoint names it.
	first     string
	rotations []rotation
}

type rotation struct {
	index int64
	note  string
	place place
}

// mark is a checkpoint found in a record.
type mark struct {
	log   uint32
	size  int64
	index int64
	noted int64
	place place
}

const markSize = 4 + 8 + 8 + 8 + 4 + 8 + 2

func (m *mark) encode(b []byte) {
	order := binary.BigEndian
	order.PutUint32(b, m.log)
	order.PutUint64(b[4:], uint64(m.size))   //nolint:gosec // not negative
	order.PutUint64(b[12:], uint64(m.index)) //nolint:gosec // not negative
	order.PutUint64(b[20:], uint64(m.noted)) //nolint:gosec // not negative
	order.PutUint32(b[28:], m.place.file)
	order.PutUint64(b[32:], uint64(m.place.offset)) //nolint:gosec // not negative
	order.PutUint16(b[40:], m.place.part)
}

func (m *mark) decode(b []byte) {
	order := binary.BigEndian
	m.log = order.Uint32(b)
	m.size = int64(order.Uint64(b[4:]))   //nolint:gosec // as it was
	m.index = int64(order.Uint64(b[12:])) //nolint:gosec // as it was
	m.noted = int64(order.Uint64(b[20:])) //nolint:gosec // as it was
	m.place.file = order.Uint32(b[28:])
	m.place.offset = int64(order.Uint64(b[32:])) //nolint:gosec // as it was
	m.place.part = order.Uint16(b[40:])
}

// add takes a record down; each worker has lanes of its own.
func (g *gatherer) add(worker int, r *scan.Record) error {
	number, err := g.number(r.Position.LogID)
	if err != nil {
		return err
	}
	e := entry{
		log: number, index: r.Position.Index, hash: record.LeafHash(r.JSON), broken: r.Broken, noted: -1,
		place: place{file: uint32(r.File), offset: r.Offset, part: uint16(min(r.Part, 1<<16-1))}, //nolint:gosec // files are listed in memory
	}
	// A record without a hash of the one before it breaks the chain as any
	// other hash would.
	e.previous, _ = record.Previous(r.JSON)
	if kind := kindOf(r.JSON); !r.Broken && kind != "" {
		if err := g.note(worker, number, &e, kind, r.JSON); err != nil {
			return err
		}
	}
	room, err := g.entries.lanes[worker].add()
	if err != nil {
		return err
	}
	e.encode(room)
	return nil
}

// kindOf is the record's type where it is one of those kept, else empty.
func kindOf(json []byte) record.Type {
	const member = `,"type":"`
	head := json[:min(len(json), 512)]
	_, rest, _ := bytes.Cut(head, []byte(member))
	for _, kind := range []record.Type{record.Checkpoint, record.KeyRotated} {
		if bytes.HasPrefix(rest, []byte(kind+`"`)) {
			return kind
		}
	}
	return ""
}

func (g *gatherer) number(id string) (uint32, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, known := g.numbers[id]; known {
		return n, nil
	}
	if len(g.logs) >= maxLogs {
		return 0, fmt.Errorf("cannot verify: records of more than %d logs: verify parts of the files one after the other", maxLogs)
	}
	n := uint32(len(g.logs)) //nolint:gosec // at most maxLogs
	g.numbers[id] = n
	g.logs = append(g.logs, &logInfo{id: id})
	return n, nil
}

// note keeps a record that is about keys and signatures.
func (g *gatherer) note(worker int, number uint32, e *entry, kind record.Type, json []byte) error {
	d, err := record.Decode(json)
	if err != nil {
		return nil // what is wrong with it shows in its hash
	}
	if kind == record.KeyRotated {
		g.mu.Lock()
		defer g.mu.Unlock()
		info := g.logs[number]
		if d.Rotation != nil && len(info.rotations) < maxRotations {
			info.rotations = append(info.rotations, rotation{index: e.index, note: d.Rotation.Note, place: e.place})
		}
		return nil
	}
	if d.Checkpoint == nil {
		return nil
	}
	room, err := g.marks.lanes[worker].add()
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if info := g.logs[number]; info.first == "" {
		if _, err := tree.NewKeys(info.id, d.Checkpoint.Key); err == nil {
			info.first = d.Checkpoint.Key
		}
	}
	e.noted = g.noted
	// A negative size, which no signed note has, fails as 0 does.
	m := mark{log: number, size: max(d.Checkpoint.Size, 0), index: e.index, noted: g.noted, place: e.place}
	m.encode(room)
	text := binary.BigEndian.AppendUint32(nil, uint32(len(d.Checkpoint.Note))) //nolint:gosec // part of a record
	text = append(text, d.Checkpoint.Note...)
	if _, err := g.notes.WriteAt(text, g.noted); err != nil {
		return fmt.Errorf("cannot keep checkpoints: %w", err)
	}
	g.noted += int64(len(text))
	return nil
}

// signed reads a checkpoint's note back.
func (g *gatherer) signed(at int64) (string, error) {
	var length [4]byte
	if _, err := g.notes.ReadAt(length[:], at); err != nil {
		return "", fmt.Errorf("cannot read checkpoints: %w", err)
	}
	text := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := g.notes.ReadAt(text, at+4); err != nil {
		return "", fmt.Errorf("cannot read checkpoints: %w", err)
	}
	return string(text), nil
}

func newGatherer(dir string, workers int) (*gatherer, error) {
	notes, err := os.CreateTemp(dir, "notes-")
	if err != nil {
		return nil, fmt.Errorf("cannot keep checkpoints: %w", err)
	}
	return &gatherer{
		entries: newSorter(dir, entrySize, workers), marks: newSorter(dir, markSize, workers),
		numbers: map[string]uint32{}, notes: notes,
	}, nil
}

func (g *gatherer) close() error { return errors.Join(g.notes.Close(), os.Remove(g.notes.Name())) }
