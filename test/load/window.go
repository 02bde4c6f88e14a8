// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"maps"
	"time"
)

// Window is what the clients lived through since a moment.
type Window struct {
	Since time.Time
	// Live are the names of the sessions that ran at the beginning, visitors'
	// excepted; Lost are those of them that have ended without the client's
	// will, with what it was told.
	Live []string
	Lost map[string]string
	// Longest is the longest time that a client had to wait for an answer,
	// beyond its own pace, coming back included; LongestLogin the same for
	// visitors, who log in each time.
	Longest, LongestLogin time.Duration
	// Doubt are the marks of operations that were cut before there was an
	// answer; most were sent into a connection that was gone already. Refused is
	// the number of those that were answered with an error.
	Doubt   []string
	Refused int
	// FailedLogins are those since the beginning, by what they were told.
	FailedLogins map[string]int

	load                *Load
	doubtThen           map[string]bool
	refThen             int
	failedThen          map[string]int
	liveSessions        []*Session
	answeredThen, atEnd int
}

// Open begins a window now.
func (l *Load) Open() *Window {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &Window{
		Since: time.Now(), load: l, doubtThen: map[string]bool{}, refThen: len(l.heard.refused),
		failedThen: maps.Clone(l.heard.failedLogins), answeredThen: len(l.heard.answered),
	}
	for mark := range l.heard.doubt {
		w.doubtThen[mark] = true
	}
	for _, s := range l.sessions {
		if s.Ended.IsZero() && !s.Visitor {
			w.liveSessions = append(w.liveSessions, s)
			w.Live = append(w.Live, s.Name)
		}
	}
	for _, client := range l.workers {
		client.longest = 0
	}
	return w
}

// Live are the names of the sessions that run, visitors' excepted.
func (l *Load) Live() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		if s.Ended.IsZero() && !s.Visitor {
			names = append(names, s.Name)
		}
	}
	return names
}

// Served says whether every client and visitor was answered something that it
// asked after a moment; the error counts those that were not.
func (l *Load) Served(after time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := 0
	for _, w := range l.workers {
		if !w.servedBegan.After(after) {
			waiting++
		}
	}
	if waiting > 0 {
		return fmt.Errorf("%d of %d clients have not been answered since", waiting, len(l.workers))
	}
	return nil
}

// Close reads the window off.
func (w *Window) Close() {
	l := w.load
	l.mu.Lock()
	defer l.mu.Unlock()
	w.Lost = map[string]string{}
	for _, s := range w.liveSessions {
		if !s.Ended.IsZero() && !s.Left {
			w.Lost[s.Name] = said(s.Cause)
		}
	}
	now := time.Now()
	for _, client := range l.workers {
		// Who still waits has waited, too.
		longest := max(client.longest, now.Sub(client.served)-2*client.pace())
		if client.visitor {
			w.LongestLogin = max(w.LongestLogin, longest)
		} else {
			w.Longest = max(w.Longest, longest)
		}
	}
	for mark := range l.heard.doubt {
		if !w.doubtThen[mark] {
			w.Doubt = append(w.Doubt, mark)
		}
	}
	w.Refused = len(l.heard.refused) - w.refThen
	w.FailedLogins = map[string]int{}
	for text, n := range l.heard.failedLogins {
		if n -= w.failedThen[text]; n > 0 {
			w.FailedLogins[text] = n
		}
	}
	w.atEnd = len(l.heard.answered)
}

// Answered is the number of operations that were answered well in the window.
func (w *Window) Answered() int { return w.atEnd - w.answeredThen }
