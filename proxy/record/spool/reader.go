// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"

	"github.com/doorward/doorward/proxy/record"
)

// Reader reads the durable records of an open log, and waits for more. It is
// for one goroutine.
type Reader struct {
	log    *Log
	place  place
	notify chan struct{}

	file *os.File
	// end is the index after the open segment's last record, -1 where it is
	// still being written; at is the index of the record at offset.
	end    int64
	at     int64
	offset int64
	// head is what the next record must begin with.
	head []byte
}

// NewReader reads from a record on. The caller closes it.
func (l *Log) NewReader(from int64) (*Reader, error) {
	if from < 0 {
		return nil, fmt.Errorf("cannot read records: negative index: %d", from)
	}
	r := &Reader{log: l, notify: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		return nil, ErrClosed
	}
	r.place.next.Store(from)
	l.readers[r] = struct{}{}
	l.recent.enter(&r.place)
	return r, nil
}

// Close ends the reading.
func (r *Reader) Close() error {
	r.log.mu.Lock()
	delete(r.log.readers, r)
	r.log.mu.Unlock()
	r.log.recent.leave(&r.place)
	return r.shut()
}

func (r *Reader) shut() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// Next waits until there is a record and returns what there is, at most count
// records or about size bytes, at least one record. The records are the
// caller's. After the log is closed and all is read, it returns io.EOF;
// ErrGone where the record asked for was deleted.
func (r *Reader) Next(ctx context.Context, count, size int) ([]record.Record, error) {
	for {
		if r.log.durable.Load() > r.place.next.Load() {
			return r.read(count, size)
		}
		select {
		case <-r.notify:
		case <-r.log.done:
			if r.log.durable.Load() <= r.place.next.Load() {
				return nil, io.EOF
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// usualRecord is the size in bytes of all but few records.
const usualRecord = 1280

func (r *Reader) read(count, size int) ([]record.Record, error) {
	if records, path, offset := r.log.recent.read(&r.place, r.log.identity.id, count, size); len(records) > 0 {
		if r.file != nil && r.file.Name() == path {
			r.at, r.offset = r.place.next.Load(), offset
		}
		return records, nil
	}
	next := r.place.next.Load()
	durable := r.log.durable.Load()
	if err := r.seek(next); err != nil {
		return nil, err
	}
	if r.end >= 0 {
		durable = min(durable, r.end)
	}
	var records []record.Record
	// The records keep the buffer, so it should not be much larger than they are.
	guess := min(durable-r.at, int64(count)) * usualRecord
	buffer := make([]byte, max(min(int64(size), guess), 4<<10))
	for {
		n, err := r.file.ReadAt(buffer, r.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read records: %w", err)
		}
		rest := buffer[:n]
		for r.at < durable && len(records) < count {
			payload, _, err := openFrame(rest)
			if errors.Is(err, errShort) || len(rest) < frameHeader {
				break // a header that is cut may look like the end
			}
			want := record.Position{LogID: r.log.identity.id, Index: r.at}
			if err == nil && !r.begins(payload) {
				err = errors.New("not record " + want.ID())
			}
			if err != nil {
				if len(records) > 0 {
					break // first those before it: the next call comes here again
				}
				return nil, corrupt(r.file.Name(), r.offset, fmt.Sprintf("record %d: %v", r.at, err))
			}
			if r.at >= next {
				records = append(records, record.Record{Position: want, JSON: payload})
				next++
			}
			r.at++
			r.offset += int64(frameHeader + len(payload))
			rest = rest[frameHeader+len(payload):]
		}
		switch {
		case len(records) > 0:
			// Only what is returned is passed.
			r.place.next.Store(next)
			return records, nil
		case n < len(buffer) && len(rest) == n && r.at < durable:
			return nil, corrupt(r.file.Name(), r.offset, fmt.Sprintf("ends before record %d", r.at))
		case len(rest) == n: // not even one record fits
			buffer = make([]byte, 2*len(buffer))
		default: // records before the wanted one were passed over
			buffer = make([]byte, len(buffer))
		}
	}
}

// begins says whether a record begins as the one at r.at does.
func (r *Reader) begins(payload []byte) bool {
	r.head = append(strconv.AppendInt(append(r.head[:0], r.log.prefix...), r.at, 10), ',')
	return bytes.HasPrefix(payload, r.head)
}

// seek opens the segment of a record.
func (r *Reader) seek(next int64) error {
	l := r.log
	l.mu.Lock()
	var at *segment
	end := int64(-1)
	for _, s := range l.segments {
		if s.first > next {
			end = s.first
			break
		}
		at, end = s, -1
	}
	if at == nil {
		first := l.segments[0].first
		l.mu.Unlock()
		return fmt.Errorf("%w: record %d: the oldest kept is %d", ErrGone, next, first)
	}
	path, first := at.path, at.first
	l.mu.Unlock()
	r.end = end
	if r.file != nil && r.file.Name() == path {
		return nil
	}
	if err := r.shut(); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	r.file, r.at, r.offset = file, first, 0
	return nil
}

// Records reads the records of a directory, or a copy of one, without opening
// the log: from the first one kept, each with its checksum checked. The last
// error wraps ErrTorn where the log ends in an incomplete group, and
// ErrCorrupt where it is damaged. A record is good until the next step only.
func Records(dir string) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		if err := records(dir, yield); err != nil {
			yield(record.Record{}, err)
		}
	}
}

// errStop ends records where the caller has had enough.
var errStop = errors.New("stop")

func records(dir string, yield func(record.Record, error) bool) error {
	firsts, err := listSegments(dir)
	if err != nil {
		return err
	}
	logID := ""
	for i, first := range firsts {
		path := segmentPath(dir, first)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if logID == "" {
			logID = logOf(data)
		}
		w, err := walk(path, data, first, logID, func(r record.Record) error {
			if !yield(r, nil) {
				return errStop
			}
			return nil
		})
		switch {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return err
		case i < len(firsts)-1 && (w.torn || w.next != firsts[i+1]):
			return corrupt(path, int64(w.end), fmt.Sprintf("ends before record %d, the next segment begins with %d", w.next, firsts[i+1]))
		case w.torn:
			return fmt.Errorf("%w: segment %q at offset %d after record %d", ErrTorn, path, w.end, w.next-1)
		}
	}
	return nil
}

// logOf reads the log id from the first record of a segment, be its frame
// damaged or not, so that walk can tell damage from a torn tail. Empty where
// there is no record.
func logOf(data []byte) string {
	start := []byte(`{"schema":"` + record.SchemaVersion + `","log":"`)
	_, rest, found := bytes.Cut(data, start)
	id, _, end := bytes.Cut(rest[:min(len(rest), 256)], []byte(`"`))
	if !found || !end {
		return ""
	}
	return string(id)
}
