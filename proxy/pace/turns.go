// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Turns share one rate fairly among those who wait: networks take turns, in each of them
// its hosts, and of one host who came first is first. So whoever comes in great numbers
// waits for himself. Only who waits is remembered. Safe for concurrent use.
type Turns struct {
	common *rate.Limiter

	mu sync.Mutex // guards what follows
	// waiting has lines of networks, of hosts in these, and tickets in these.
	waiting line
	calls   bool
}

// NewTurns makes Turns of so many a second, and bursts.
func NewTurns(perSecond rate.Limit, burst int) *Turns {
	return &Turns{common: rate.NewLimiter(perSecond, burst)}
}

// Wait returns when it is the caller's turn, or with the context's error. The places say
// where he is, the wider first: see Places. All callers name equally many.
func (t *Turns) Wait(ctx context.Context, places ...string) error {
	t.mu.Lock()
	if !t.calls && t.common.Allow() {
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	t.waiting.add(places, mine)
	if !t.calls {
		t.calls = true
		go t.call()
	}
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting.remove(places, mine)
	return ctx.Err()
}

// call calls those who wait, until nobody does.
func (t *Turns) call() {
	for {
		time.Sleep(t.common.Reserve().Delay())
		t.mu.Lock()
		if t.waiting.empty() {
			t.calls = false
			t.mu.Unlock()
			return
		}
		close(t.waiting.next())
		t.mu.Unlock()
	}
}

// line is who waits: further lines, which take turns, or tickets, the first of which is next.
type line struct {
	place   string
	lines   []*line
	tickets []chan struct{}
}

func (l *line) empty() bool { return len(l.lines) == 0 && len(l.tickets) == 0 }

func (l *line) find(place string) int {
	return slices.IndexFunc(l.lines, func(other *line) bool { return other.place == place })
}

func (l *line) add(places []string, ticket chan struct{}) {
	if len(places) == 0 {
		l.tickets = append(l.tickets, ticket)
		return
	}
	i := l.find(places[0])
	if i < 0 {
		i, l.lines = len(l.lines), append(l.lines, &line{place: places[0]})
	}
	l.lines[i].add(places[1:], ticket)
}

// next takes out whose turn it is. The line is not empty.
func (l *line) next() chan struct{} {
	if len(l.lines) == 0 {
		ticket := l.tickets[0]
		l.tickets = slices.Delete(l.tickets, 0, 1)
		return ticket
	}
	first := l.lines[0]
	l.lines = slices.Delete(l.lines, 0, 1)
	ticket := first.next()
	if !first.empty() {
		l.lines = append(l.lines, first)
	}
	return ticket
}

// remove takes a ticket out, where it is still in.
func (l *line) remove(places []string, ticket chan struct{}) {
	if len(places) == 0 {
		if i := slices.Index(l.tickets, ticket); i >= 0 {
			l.tickets = slices.Delete(l.tickets, i, i+1)
		}
		return
	}
	i := l.find(places[0])
	if i < 0 {
		return
	}
	l.lines[i].remove(places[1:], ticket)
	if l.lines[i].empty() {
		l.lines = slices.Delete(l.lines, i, i+1)
	}
}
