// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

const (
	// maxTerminals bounds the recordings of one session that are played.
	maxTerminals = 64
	// maxLine bounds a line of a recording: a part holds whole lines.
	maxLine = 2 * cast.PartBytes
)

// terminals are the recordings of a session's terminals, each in a file of its own until
// the session is verified. The nil value takes none.
type terminals struct {
	dir string
	all []*recorded
}

// recorded is the recording of one terminal.
type recorded struct {
	id    string
	file  *os.File
	parts *cast.Assembler
	// damaged is why it cannot be played.
	damaged error
}

// take takes the recording's part out of a record.
func (t *terminals) take(d *record.Document) error {
	r := d.Recording
	if r == nil {
		return nil
	}
	data := *r
	r.Data = "" // records are kept in memory
	if t == nil || data.Format != cast.Format {
		return nil
	}
	one, err := t.of(r.ID)
	if err != nil {
		return err
	}
	if one.damaged == nil && d.Type == record.RecordingEnd {
		one.damaged = one.parts.End(&data)
	} else if one.damaged == nil {
		one.damaged = one.parts.Part(&data)
	}
	return nil
}

func (t *terminals) of(id string) (*recorded, error) {
	for _, one := range t.all {
		if one.id == id {
			return one, nil
		}
	}
	if len(t.all) == maxTerminals {
		return nil, fmt.Errorf("the session has more than %d recordings of terminals: play them one by one, with \"kubectl doorward audit export\", or give --no-wait for the transcript", maxTerminals)
	}
	file, err := os.CreateTemp(t.dir, "doorward-terminal-")
	if err != nil {
		return nil, fmt.Errorf("cannot keep the recording until it is verified: %w", err)
	}
	one := &recorded{id: id, file: file, parts: cast.NewAssembler(id, file)}
	t.all = append(t.all, one)
	return one, nil
}

// close removes what was kept.
func (t *terminals) close() error {
	if t == nil {
		return nil
	}
	var err error
	for _, one := range t.all {
		err = errors.Join(err, one.file.Close(), os.Remove(one.file.Name()))
	}
	return err
}

// any says whether there is anything to play.
func (t *terminals) any() bool { return t != nil && len(t.all) > 0 }

// terminals plays what the terminals of a session showed, one after the other.
func (p *player) terminals(ctx context.Context, entries []record.Document, t *terminals, from time.Duration) error {
	p.began = entries[0].Time
	out := bufio.NewWriter(p.out)
	write(out, p.header(entries))
	for _, one := range t.all {
		if err := p.terminal(ctx, out, one, from); err != nil {
			return fmt.Errorf("recording %q: %w", audit.Safe(one.id), err)
		}
	}
	write(out, "What was decided is in the transcript: give --no-wait.\n")
	return out.Flush()
}

// header of a recording, as far as it is of use here.
type castHeader struct {
	Version   int   `json:"version"`
	Width     int   `json:"width"`
	Height    int   `json:"height"`
	Timestamp int64 `json:"timestamp"`
}

var errNoHeader = fmt.Errorf("%w: no header of asciicast 2", cast.ErrDamaged)

func headerOf(line []byte) (header castHeader, _ error) {
	if json.Unmarshal(line, &header) != nil || header.Version != 2 {
		return header, errNoHeader
	}
	return header, nil
}

// opening says whose terminal follows, which began that long after its session.
func (h *castHeader) opening(id string, after time.Duration) string {
	return fmt.Sprintf("Terminal %s, %d x %d, from %s on:\n", line(id), h.Width, h.Height, offset(max(after, 0)))
}

// terminal plays one recording. What was before from is shown at once, so that the screen
// is as it was.
func (p *player) terminal(ctx context.Context, out *bufio.Writer, one *recorded, from time.Duration) error {
	if one.damaged != nil {
		return one.damaged
	}
	if _, err := one.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewScanner(one.file)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if !lines.Scan() {
		return errors.Join(lines.Err(), errNoHeader)
	}
	header, err := headerOf(lines.Bytes())
	if err != nil {
		return err
	}
	// The header has whole seconds.
	after := max(time.Unix(header.Timestamp, 0).Sub(p.began.Truncate(time.Second)), 0)
	write(out, header.opening(one.id, after))
	shown := newScreen(out)
	err = p.events(ctx, out, lines, shown, from-after)
	shown.end()
	if err == nil {
		write(out, fmt.Sprintf("Terminal %s ends%s.\n", line(one.id), interrupted(one)))
		if shown.leftOut > 0 {
			write(out, fmt.Sprintf("%d sequences were left out that draw nothing, such as of clipboard, title and queries.\n", shown.leftOut))
		}
	}
	return errors.Join(err, out.Flush())
}

func interrupted(one *recorded) string {
	if one.parts.Ended() {
		return ""
	}
	return " without the recording's end: it goes on, or was interrupted"
}

// events plays the lines behind the header, from a time of the recording on.
func (p *player) events(ctx context.Context, out *bufio.Writer, lines *bufio.Scanner, to *screen, from time.Duration) error {
	last := max(from, 0)
	for lines.Scan() {
		at, kind, text, err := event(lines.Bytes())
		if err != nil {
			return err
		}
		if kind != "o" {
			continue // what was typed, and the terminal's size
		}
		if at > last {
			if err := out.Flush(); err != nil {
				return err
			}
			if err := p.pause(ctx, at-last); err != nil {
				return err
			}
			last = at
		}
		to.show(text)
	}
	return lines.Err()
}

// event is one line: [seconds, kind, text].
func event(line []byte) (at time.Duration, kind, text string, _ error) {
	var parts []json.RawMessage
	var seconds float64
	err := json.Unmarshal(line, &parts)
	if err == nil && len(parts) != 3 {
		err = errors.New("no event")
	}
	if err == nil {
		err = errors.Join(json.Unmarshal(parts[0], &seconds), json.Unmarshal(parts[1], &kind), json.Unmarshal(parts[2], &text))
	}
	if err != nil || seconds < 0 || seconds > maxSeconds {
		return 0, "", "", fmt.Errorf("%w: %s", cast.ErrDamaged, strings.TrimSpace(audit.Safe(string(line[:min(len(line), 80)]))))
	}
	return time.Duration(seconds * float64(time.Second)), kind, text, nil
}

// maxSeconds bounds a recording: a year.
const maxSeconds = 366 * 24 * 3600
