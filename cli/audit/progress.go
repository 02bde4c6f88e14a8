// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// meter writes one line again and again, for work that takes a while.
type meter struct {
	out  io.Writer
	what string

	mu    sync.Mutex // guards what follows
	began time.Time
	last  time.Time
	shown bool
}

// How long work takes before anything is shown, and how often it changes.
const (
	showAfter = time.Second
	showEvery = 200 * time.Millisecond
)

func (m *meter) tell(done, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.began.IsZero() {
		m.began = now
	}
	if now.Sub(m.began) < showAfter || now.Sub(m.last) < showEvery || total == 0 {
		return
	}
	m.last, m.shown = now, true
	fmt.Fprintf(m.out, "\r\x1b[K%s: %d of %d MiB, %d%%", m.what, done>>20, total>>20, 100*done/total)
}

// end takes the line away.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
	m.shown = false
}
