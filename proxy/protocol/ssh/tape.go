// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/cast"
)

// tape is the recording of a terminal, or of a shell without one. A nil tape records nothing;
// all methods may be called on it.
type tape struct {
	emit  func(record.Recording) error
	began time.Time
	// broke ends the session with why nothing can be recorded any more.
	broke func(error)

	mu     sync.Mutex // guards the fields below
	writer *cast.Writer
	closed bool
	// timer is set while anything waits for its part to be full; an idle terminal has none.
	timer *time.Timer

	// flushing counts the timer.
	flushing sync.WaitGroup
}

// record begins the recording of what is started: of every shell, and of what has a terminal.
// Others are on record by their command line.
func (r *run) record() (*tape, error) {
	if !r.wanted.shell && r.terminal == nil {
		return nil, nil //nolint:nilnil // nothing is recorded
	}
	options := cast.Options{
		ID: fmt.Sprintf("terminal-%d", r.permit.Operation()), Start: time.Now(),
		Title: r.grant.Principal().UserName + " on " + r.connection,
	}
	if !r.wanted.shell {
		options.Command = r.wanted.statement
	}
	if r.terminal != nil {
		options.Width, options.Height, options.Term = characters(r.terminal.Columns), characters(r.terminal.Rows), r.terminal.Term
	}
	t := &tape{
		emit: r.permit.Recording, began: options.Start, broke: func(err error) { r.cancel(err) },
	}
	options.Emit = t.emit
	writer, err := cast.NewWriter(options)
	if err != nil {
		return nil, err
	}
	t.writer = writer
	// The first part is on record before the program starts.
	return t, writer.Flush()
}

// characters bounds a size that a client gave.
func characters(n uint32) int { return int(min(n, 10000)) }

// output records what is about to be shown.
func (t *tape) output(data []byte) error {
	return t.write(func(w *cast.Writer, at time.Duration) error { return w.Output(at, data) })
}

// input records what is typed. That is for shells without a terminal only, since a terminal shows
// what is typed, but for passwords.
func (t *tape) input(data []byte) error {
	return t.write(func(w *cast.Writer, at time.Duration) error { return w.Input(at, data) })
}

func (t *tape) resize(columns, rows uint32) {
	_ = t.write(func(w *cast.Writer, at time.Duration) error {
		return w.Resize(at, characters(columns), characters(rows))
	})
}

func (t *tape) write(what func(*cast.Writer, time.Duration) error) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	err := what(t.writer, time.Since(t.began))
	switch {
	case err != nil:
		t.broke(err)
	case t.timer == nil:
		t.flushing.Add(1)
		t.timer = time.AfterFunc(cast.PartTime, t.due)
	}
	return err
}

// due records what an idle terminal has shown, a part's time after it was.
func (t *tape) due() {
	defer t.flushing.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	if !t.closed {
		if err := t.writer.Flush(); err != nil {
			t.broke(err)
		}
	}
}

// close records the end.
func (t *tape) close() error {
	if t == nil {
		return nil
	}
	defer t.flushing.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	if t.timer != nil && t.timer.Stop() {
		t.flushing.Done()
	}
	end, err := t.writer.Close()
	if err != nil {
		return err
	}
	return t.emit(end)
}
