// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/mask"
	"github.com/doorward/doorward/proxy/record"
)

// What may be the beginning of a finding is held back while a program says no more. Somebody waits
// for each key at a terminal, so that it is shown soon; else it is as long as a question that ends
// so may stay unasked.
const (
	pauseTerminal = 100 * time.Millisecond
	pauseProgram  = 5 * time.Second
)

// veil hides what the detectors of masks find in one stream of a program, however it is cut into
// chunks. It is best effort, as detectors are.
type veil struct {
	// show takes what is shown.
	show  func(text []byte) error
	pause time.Duration

	mu sync.Mutex // guards the fields below, and makes one text follow the other
	// scanner is nil where nothing is masked.
	scanner scanner
	timer   *time.Timer
	out     []byte
	// last is when something was said; pending says that something was since all was shown.
	last    time.Time
	pending bool
	err     error
}

// scanner replaces what detectors find in a text that comes in chunks, as mask.Rules give it.
type scanner interface {
	Append(dst, chunk []byte) []byte
	Pause(dst []byte) []byte
	Flush(dst []byte) []byte
	Found() int
	Rules() uint64
}

// veil is one for a stream of the program.
func (r *run) veil(show func([]byte) error) *veil {
	v := &veil{show: show, pause: pauseProgram}
	if r.terminal != nil {
		v.pause = pauseTerminal
	}
	if set := r.permit.Masks().Detect(); set != nil {
		v.scanner = set.Scanner()
		v.timer = time.AfterFunc(time.Hour, v.rest)
		v.timer.Stop()
	}
	return v
}

// write shows the next of the stream. An error says that nothing more can be shown.
func (v *veil) write(text []byte) error {
	if v.scanner == nil {
		return v.show(text)
	}
	// Whoever takes what is shown may be slow: that is no pause of the program.
	v.timer.Stop()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pass(v.scanner.Append(v.out[:0], text))
	v.last, v.pending = time.Now(), true
	v.timer.Reset(v.pause)
	return v.err
}

// rest shows what is held back, since the program says no more for now.
func (v *veil) rest() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.pending {
		return
	}
	if left := v.pause - time.Since(v.last); left > 0 {
		v.timer.Reset(left)
		return
	}
	v.pending = false
	v.pass(v.scanner.Pause(v.out[:0]))
}

// end shows what is held back, since the stream has ended, and says what was found in it.
func (v *veil) end() (found int, rules uint64) {
	if v.scanner == nil {
		return 0, 0
	}
	v.timer.Stop()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pending {
		v.pending = false
		v.pass(v.scanner.Flush(v.out[:0]))
	}
	return v.scanner.Found(), v.scanner.Rules()
}

func (v *veil) pass(text []byte) {
	if v.out = text[:0]; v.err == nil && len(text) > 0 {
		v.err = v.show(text)
	}
}

// masked is what was masked in a program's output.
type masked struct {
	values int64
	rules  uint64
}

// into adds what was masked to a result.
func (m *masked) into(result *record.Result, rules mask.Rules) {
	result.MaskedValues = m.values
	for i, name := range rules.Detectors() {
		if i < 64 && m.rules&(1<<i) != 0 {
			result.MaskedFields = append(result.MaskedFields, "content:"+name)
		}
	}
}
