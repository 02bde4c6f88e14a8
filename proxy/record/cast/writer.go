// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

const (
	// PartBytes bounds the data of one part.
	PartBytes = 48 << 10
	// PartTime is how long a part gathers at most, as far as anything comes: a
	// writer that stays idle needs a Flush.
	PartTime = time.Second
	// pieceBytes bounds the text of one event, which escaping may make six
	// times as long.
	pieceBytes = 4 << 10
	// maxSide bounds a terminal's size.
	maxSide = 1 << 16
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("recording closed")

// Options describe a recording.
type Options struct {
	// ID is unique within the session.
	ID string
	// Width and Height are the terminal's first size in characters; 80 and 24
	// where one is not positive.
	Width, Height int
	// Start is when the recording began.
	Start time.Time
	// Title, Command and Term are shown by players; they may be empty.
	Title, Command, Term string
	// Emit takes a finished part. Its error ends the recording: whoever writes
	// to it must then end the session.
	Emit func(record.Recording) error
}

// Writer makes the parts of one recording. It is for one goroutine.
type Writer struct {
	options Options
	part    []byte
	// opened is when the part's first event was, last when the last one was.
	opened, last time.Duration
	output       decoder
	input        decoder
	sequence     int64
	digests      hash.Hash
	err          error
}

// NewWriter begins a recording. The header is part of the first part.
func NewWriter(options Options) (*Writer, error) {
	if options.ID == "" || options.Emit == nil {
		return nil, fmt.Errorf("recording needs an id and a taker of its parts: id %q", options.ID)
	}
	if options.Width <= 0 || options.Height <= 0 {
		options.Width, options.Height = 80, 24
	}
	w := &Writer{options: options, digests: sha256.New()}
	w.part = fmt.Appendf(w.part, `{"version":2,"width":%d,"height":%d,"timestamp":%d`, min(options.Width, maxSide), min(options.Height, maxSide), options.Start.Unix())
	w.member(`,"command":`, options.Command)
	w.member(`,"title":`, options.Title)
	if options.Term != "" {
		w.member(`,"env":{"TERM":`, options.Term)
		w.part = append(w.part, '}')
	}
	w.part = append(w.part, '}', '\n')
	return w, nil
}

// member adds a member of the header, bounded so that the part stays below its limit.
func (w *Writer) member(name, value string) {
	if value != "" {
		w.part = append(appendText(append(append(w.part, name...), '"'), whole([]byte(value[:min(len(value), pieceBytes/4)]))), '"')
	}
}

// Output records what the terminal shows, at a time since the beginning. The
// bytes are not kept.
func (w *Writer) Output(at time.Duration, data []byte) error { return w.text(at, 'o', &w.output, data) }

// Input records what is typed.
func (w *Writer) Input(at time.Duration, data []byte) error { return w.text(at, 'i', &w.input, data) }

// Resize records the terminal's new size.
func (w *Writer) Resize(at time.Duration, width, height int) error {
	width, height = min(max(width, 0), maxSide), min(max(height, 0), maxSide)
	return w.event(at, 'r', fmt.Appendf(nil, "%dx%d", width, height))
}

func (w *Writer) text(at time.Duration, kind byte, d *decoder, data []byte) error {
	for len(data) > 0 && w.err == nil {
		n := min(len(data), pieceBytes)
		if text := d.decode(data[:n]); len(text) > 0 {
			w.err = w.event(at, kind, text)
		}
		data = data[n:]
	}
	return w.err
}

// event adds one line; it first emits the part that the line does not belong
// to any more.
func (w *Writer) event(at time.Duration, kind byte, text []byte) error {
	if w.err != nil {
		return w.err
	}
	at = max(at, w.last)
	if w.opened > 0 && at-w.opened >= PartTime {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	line := append(make([]byte, 0, 64+2*len(text)), '[')
	line = strconv.AppendFloat(line, at.Seconds(), 'f', 6, 64)
	line = append(line, ',', '"', kind, '"', ',', '"')
	line = append(appendText(line, text), '"', ']', '\n')
	if len(w.part)+len(line) > PartBytes {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if w.opened == 0 {
		w.opened = max(at, 1)
	}
	w.last = at
	w.part = append(w.part, line...)
	return nil
}

// Flush emits what there is. Call it once a second where the terminal is idle.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.part) == 0 {
		return w.err
	}
	r := record.Recording{ID: w.options.ID, Format: Format, Sequence: w.sequence, Digest: Digest(w.part), Data: string(w.part)}
	w.digests.Write([]byte(r.Digest + "\n"))
	w.sequence++
	w.part, w.opened = w.part[:0], 0
	if err := w.options.Emit(r); err != nil {
		w.err = fmt.Errorf("cannot keep recording %q: part %d: %w", w.options.ID, r.Sequence, err)
	}
	return w.err
}

// Close emits what is left and returns the end of the recording, which the
// caller records. After an error there is none.
func (w *Writer) Close() (record.Recording, error) {
	for kind, d := range map[byte]*decoder{'o': &w.output, 'i': &w.input} {
		if text := d.rest(); len(text) > 0 && w.err == nil {
			w.err = w.event(w.last, kind, text)
		}
	}
	if err := w.Flush(); err != nil {
		return record.Recording{}, err
	}
	w.err = ErrClosed
	return record.Recording{
		ID: w.options.ID, Format: Format, Sequence: w.sequence, Digest: "sha256:" + hex.EncodeToString(w.digests.Sum(nil)),
	}, nil
}

// Digest is the digest of a part's data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
