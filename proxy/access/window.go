// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// windowParts is into how many parts a window is cut. What was taken counts
// until the part it was taken in lies behind as a whole: for the length of the
// window, and at most one part longer, so that no span of that length ever holds
// more than the limit.
const windowParts = 16

// window counts what one caller took, over all of his sessions on a gate.
type window struct {
	mu sync.Mutex
	// gone says that the window was empty and is forgotten; look it up again.
	gone  bool
	width time.Duration // of a part
	// part is the number of the part being filled, since the table was made.
	part int64
	// taken is what was taken in each part, at its number modulo the length.
	taken [windowParts + 1]amount
	sum   amount
}

// amount is so much of each thing that windows count.
type amount struct{ rows, bytes, operations int64 }

func (a *amount) add(b amount) {
	a.rows += b.rows
	a.bytes += b.bytes
	a.operations += b.operations
}

func (a *amount) sub(b amount) {
	a.rows -= b.rows
	a.bytes -= b.bytes
	a.operations -= b.operations
}

func newWindow(seconds int32) *window {
	return &window{width: max(time.Duration(seconds)*time.Second/windowParts, time.Millisecond)}
}

// advance forgets what lies behind. mu is held.
func (w *window) advance(now time.Duration) {
	part := int64(now / w.width)
	if part-w.part > windowParts {
		clear(w.taken[:])
		w.sum = amount{}
		w.part = part
		return
	}
	for w.part < part {
		w.part++
		at := w.part % (windowParts + 1)
		w.sum.sub(w.taken[at])
		w.taken[at] = amount{}
	}
}

// verdict is what a window says to a request.
type verdict int

const (
	fits verdict = iota
	tooManyRows
	tooManyBytes
	tooManyOperations
	forgotten
)

// take counts what is taken where it fits, and says in which part. Asked for
// nothing, it says whether anything is left.
func (w *window) take(now time.Duration, limit policy.Window, more amount) (part int64, _ verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return 0, forgotten
	}
	w.advance(now)
	if says := over(limit, w.sum, more); says != fits {
		return 0, says
	}
	w.taken[w.part%(windowParts+1)].add(more)
	w.sum.add(more)
	return w.part, fits
}

// over says which bound would be passed by more than was taken.
func over(limit policy.Window, taken, more amount) verdict {
	asked := more != amount{}
	switch {
	case exceeds(limit.Rows, taken.rows, more.rows, asked):
		return tooManyRows
	case exceeds(limit.Bytes, taken.bytes, more.bytes, asked):
		return tooManyBytes
	case exceeds(limit.Operations, taken.operations, more.operations, asked):
		return tooManyOperations
	}
	return fits
}

// exceeds says whether more would be more than a limit allows; zero is none.
func exceeds(limit, taken, more int64, asked bool) bool {
	if limit <= 0 {
		return false
	}
	left := limit - taken
	return more > left || !asked && left <= 0
}

// give takes back what was counted in a part and did not leave.
func (w *window) give(part int64, back amount) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone || w.part-part > windowParts {
		return
	}
	w.taken[part%(windowParts+1)].sub(back)
	w.sum.sub(back)
}

// opens says how long it takes until something is left.
func (w *window) opens(now time.Duration, limit policy.Window) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advance(now)
	left := w.sum
	for part := w.part - windowParts; part <= w.part; part++ {
		if part < 0 {
			continue
		}
		taken := w.taken[part%(windowParts+1)]
		left.sub(taken)
		if taken != (amount{}) && over(limit, left, amount{}) == fits {
			return time.Duration(part+windowParts+1)*w.width - now
		}
	}
	return 0
}

// forget marks an empty window as gone.
func (w *window) forget(now time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advance(now)
	w.gone = w.sum == amount{}
	return w.gone
}

// Bounds of a table: some 500 bytes a window, hence at most some 35 MiB. A table
// that is full of windows in use lets nobody in who has none.
const (
	maxWindows    = 1 << 16
	sweepFrom     = 1 << 10
	sweepInterval = time.Second
)

// windowKey names a window: whose, of which policy, how long. The limits are
// not part of it, so that a changed policy finds what was taken before.
type windowKey struct {
	issuer, subject, policyUID string
	seconds                    int32
}

// windowTable holds the windows of a gate. Its clock begins with it and does not
// follow the clock on the wall.
type windowTable struct {
	start time.Time

	mu sync.Mutex
	// all, sweepAt and swept: empty windows are thrown out where there are too
	// many, which makes a look-up cheap on the whole.
	all     map[windowKey]*window
	sweepAt int
	swept   time.Duration
}

func newWindowTable() *windowTable {
	return &windowTable{start: time.Now(), all: map[windowKey]*window{}, sweepAt: sweepFrom}
}

func (t *windowTable) now() time.Duration { return time.Since(t.start) }

// find returns the window of a name, making it; nil where there is no room.
func (t *windowTable) find(key windowKey) *window {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w := t.all[key]; w != nil {
		return w
	}
	if now := t.now(); len(t.all) >= t.sweepAt && (len(t.all) < maxWindows || now-t.swept >= sweepInterval) {
		for name, w := range t.all {
			if w.forget(now) {
				delete(t.all, name)
			}
		}
		t.swept, t.sweepAt = now, min(max(sweepFrom, 2*len(t.all)), maxWindows)
	}
	if len(t.all) >= maxWindows {
		return nil
	}
	w := newWindow(key.seconds)
	t.all[key] = w
	return w
}
