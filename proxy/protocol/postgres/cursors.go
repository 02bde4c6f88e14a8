// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"

	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
)

// cursors are those that were declared in SQL, by name, as the target has them
// once it has answered all it was asked. The session's mu guards them.
type cursors map[string]*sql.Statement

// settle notes what a statement that has run did to cursors. One that could be
// declared is the only one of its name.
func (c cursors) settle(st *sql.Statement) {
	e := &st.Effects
	switch {
	case e.DeclaresCursor != "":
		c[e.DeclaresCursor] = st
	case e.ClosesAllCursors, e.Discards == "all":
		clear(c)
	case e.ClosesCursor != "":
		delete(c, e.ClosesCursor)
	}
}

// ended notes the end of a transaction, which only cursors WITH HOLD outlive.
func (c cursors) ended() {
	for name, st := range c {
		if !st.HoldsCursor() {
			delete(c, name)
		}
	}
}

func (s *session) cursorsFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cursors) >= maxPortals
}

// declared is the statement that a cursor was declared by; what is asked for was
// answered before, or stands before in the same text.
func (s *session) declared(name string) (*sql.Statement, error) {
	st, inText := s.inText[name]
	if !inText {
		s.mu.Lock()
		st = s.cursors[name]
		s.mu.Unlock()
	}
	if st == nil {
		return nil, fmt.Errorf("cursor %q was not declared by a statement of this session, so its rows cannot be masked", name)
	}
	return st, nil
}

// noteInText notes what a statement does to the cursors for those behind it in the
// same text: they run only where it succeeds.
func (s *session) noteInText(st *sql.Statement) {
	e := &st.Effects
	if e.DeclaresCursor == "" && e.ClosesCursor == "" && !e.ClosesAllCursors {
		return
	}
	if s.inText == nil {
		s.inText = map[string]*sql.Statement{}
	}
	switch {
	case e.DeclaresCursor != "":
		s.inText[e.DeclaresCursor] = st
	case e.ClosesCursor != "":
		s.inText[e.ClosesCursor] = nil
	default:
		s.mu.Lock()
		for name := range s.cursors {
			s.inText[name] = nil
		}
		s.mu.Unlock()
		for name := range s.inText {
			s.inText[name] = nil
		}
	}
}
