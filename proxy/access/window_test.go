// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// TestWindowHoldsInEverySpan: whatever is asked for and when, no span of the
// window's length holds more than the limit, what is refused does not count, and
// the window opens when it says.
func TestWindowHoldsInEverySpan(t *testing.T) {
	random := rand.New(rand.NewPCG(17, 19))
	for round := range 200 {
		seconds := 1 + random.Int32N(100)
		limit := policy.Window{Seconds: seconds, Rows: 1 + random.Int64N(200), Bytes: 1 + random.Int64N(2000)}
		span := time.Duration(seconds) * time.Second
		w := newWindow(seconds)
		type taken struct {
			at          time.Duration
			rows, bytes int64
		}
		var all []taken
		now := time.Duration(random.Int64N(int64(time.Hour)))
		refused := 0
		for range 300 {
			step := span / 8
			if random.IntN(10) == 0 {
				step = span * 5 / 4
			}
			now += time.Duration(random.Int64N(int64(step)))
			rows, bytes := random.Int64N(20), random.Int64N(200)
			switch _, says := w.take(now, limit, amount{rows: rows, bytes: bytes}); says {
			case fits:
				all = append(all, taken{now, rows, bytes})
			case forgotten:
				t.Fatal("a window in use is gone")
			default:
				refused++
				if opens := w.opens(now, limit); opens < 0 || opens > span+w.width {
					t.Fatalf("round %d: opens in %v, after a window of %v", round, opens, span)
				}
			}
			sumRows, sumBytes := int64(0), int64(0)
			for _, e := range all {
				if now-e.at < span {
					sumRows += e.rows
					sumBytes += e.bytes
				}
			}
			if sumRows > limit.Rows || sumBytes > limit.Bytes {
				t.Fatalf("round %d: %d rows and %d bytes within %v, more than %+v", round, sumRows, sumBytes, span, limit)
			}
		}
		if refused == 0 {
			t.Fatalf("round %d: nothing was refused: %+v", round, limit)
		}
	}
}

func TestWindowOpens(t *testing.T) {
	limit := policy.Window{Seconds: 16, Rows: 10}
	w := newWindow(limit.Seconds)
	for _, at := range []time.Duration{100 * time.Millisecond, 3 * time.Second} {
		if _, says := w.take(at, limit, amount{rows: 5, bytes: 0}); says != fits {
			t.Fatalf("5 of 10 rows at %v do not fit", at)
		}
	}
	now := 4 * time.Second
	if _, says := w.take(now, limit, amount{rows: 0, bytes: 0}); says != tooManyRows {
		t.Fatal("a window with nothing left says that something is")
	}
	opens := w.opens(now, limit)
	if want := 13 * time.Second; opens != want {
		t.Errorf("opens in %v, want %v: 16 s after the part in which the first rows were taken", opens, want)
	}
	if _, says := w.take(now+opens-time.Nanosecond, limit, amount{rows: 1, bytes: 0}); says != tooManyRows {
		t.Error("it opened before")
	}
	if _, says := w.take(now+opens, limit, amount{rows: 5, bytes: 0}); says != fits {
		t.Error("it did not open when it said")
	}
}

func TestWindowGive(t *testing.T) {
	limit := policy.Window{Seconds: 16, Rows: 10, Bytes: 10}
	w := newWindow(limit.Seconds)
	part, _ := w.take(0, limit, amount{rows: 10, bytes: 10})
	w.give(part, amount{rows: 10, bytes: 10})
	if _, says := w.take(0, limit, amount{rows: 10, bytes: 10}); says != fits {
		t.Error("what did not leave counts")
	}
	// Long after, the part is another's.
	w.take(time.Hour, limit, amount{rows: 4, bytes: 4})
	w.give(part, amount{rows: 10, bytes: 10})
	if _, says := w.take(time.Hour, limit, amount{rows: 7, bytes: 0}); says != tooManyRows {
		t.Error("what was given back too late made room")
	}
}

// TestWindowTableIsBounded: empty windows make room for others; a table full of
// windows in use takes no more.
func TestWindowTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newWindowTable()
		limit := policy.Window{Seconds: 10, Rows: 5}
		key := func(i int) windowKey {
			return windowKey{subject: strconv.Itoa(i), policyUID: "p", seconds: limit.Seconds}
		}
		first := table.find(key(0))
		first.take(table.now(), limit, amount{rows: 1, bytes: 0})
		for i := 1; len(table.all) < maxWindows; i++ {
			table.find(key(i)).take(table.now(), limit, amount{rows: 1, bytes: 0})
			if i > 2*maxWindows {
				t.Fatal("the table does not fill")
			}
		}
		if w := table.find(key(-1)); w != nil {
			t.Fatal("a full table took another window")
		}
		if table.find(key(0)) != first {
			t.Fatal("a window in use was lost")
		}
		<-time.After(11 * time.Second) // the bubble's clock
		if w := table.find(key(-1)); w == nil {
			t.Fatal("empty windows did not make room")
		}
		if len(table.all) > maxWindows/2 {
			t.Errorf("%d windows are left, most of them empty", len(table.all))
		}
		if _, says := first.take(table.now(), limit, amount{rows: 1, bytes: 0}); says != forgotten {
			t.Error("a window that was thrown out counts on by itself")
		}
	})
}
