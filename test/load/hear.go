// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func (l *Load) began(client int, visitor bool, name string) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &Session{Client: client, Visitor: visitor, Name: name, Began: time.Now()}
	l.sessions = append(l.sessions, s)
	return s
}

func (l *Load) ended(s *Session, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Ended, s.Left, s.Cause = time.Now(), cause == nil, cause
}

func (l *Load) loginFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.failedLogins[said(err)]++
}

// said is what a client was told, without what differs from one to the next.
func said(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return fmt.Sprintf("%s %s: %s", answer.Severity, answer.Code, answer.Message)
	}
	return "no answer"
}

func (l *Load) delivered(mark string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.delivered[mark] = true
}

// operated enters what came of an operation, and returns what ends the session:
// behind an error that is not fatal it goes on.
func (l *Load) operated(w *worker, mark string, began time.Time, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if err == nil {
		l.heard.delivered[mark], l.heard.answered[mark] = true, true
		w.session.Operations++
		w.longest = max(w.longest, now.Sub(w.served)-w.pace())
		w.servedBegan, w.served = began, now
		return nil
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) && answer.Severity == "ERROR" {
		l.heard.refused[mark] = err
		return nil
	}
	l.heard.doubt[mark] = err
	return err
}

// pace is what a client waits between operations of its own will, on average.
func (w *worker) pace() time.Duration { return w.load.options.Interval }

// Answers are what was delivered and what was answered so far, by mark.
func (l *Load) Answers() (delivered, answered map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.heard.delivered), maps.Clone(l.heard.answered)
}

// Refused are the operations that were answered with an error behind which a
// session can go on.
func (l *Load) Refused() map[string]error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.heard.refused)
}
