// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/policy"
)

// codeLimit is the code of a limit's refusal where the protocol chooses none:
// configuration_limit_exceeded (SQLSTATE, PostgreSQL's Appendix A).
const codeLimit = "53400"

// Meter counts what one operation returns to the caller against the limits of
// his policies. A nil Meter counts nothing; all methods may be called on it. It
// is for one goroutine; what a window counts is shared by all sessions of the
// caller on this gate.
type Meter struct {
	grant       *Grant
	rows, bytes int64
	refusal     atomic.Pointer[Refusal]
}

// Take counts rows and bytes before they leave. An error is a *Refusal that
// names limit and policy: none of them may leave, and the operation is over.
func (m *Meter) Take(rows, bytes int64) error {
	if m == nil {
		return nil
	}
	if refusal := m.refusal.Load(); refusal != nil {
		return refusal
	}
	if refusal := m.grant.limits.Load().take(m, rows, bytes); refusal != nil {
		m.refusal.Store(refusal)
		return refusal
	}
	return nil
}

// refused is the refusal that ended the operation, or nil.
func (m *Meter) refused() *Refusal {
	if m == nil {
		return nil
	}
	return m.refusal.Load()
}

// limitSet are the limits of one caller under one snapshot. Immutable but for
// the windows it found.
type limitSet struct {
	table *windowTable
	// rows and bytes are the strictest bounds of a statement; zero is none.
	rows, bytes statementLimit
	windows     []callerWindow
}

type statementLimit struct {
	most   int64
	policy policy.RuleRef
}

type callerWindow struct {
	key    windowKey
	limit  policy.Window
	policy policy.RuleRef
	found  atomic.Pointer[window]
}

// limitsUnder are the caller's limits under a state.
func (g *Grant) limitsUnder(st *state) *limitSet {
	list := st.engine.Limits(g.principal)
	set := &limitSet{table: g.gate.windows}
	windows := 0
	for _, l := range list {
		set.rows.narrow(l.RowsPerStatement, l.Policy)
		set.bytes.narrow(l.BytesPerStatement, l.Policy)
		windows += len(l.Windows)
	}
	set.windows = make([]callerWindow, windows)
	for _, l := range list {
		for _, w := range l.Windows {
			windows--
			own := &set.windows[windows]
			own.limit, own.policy = w, l.Policy
			own.key = windowKey{issuer: g.principal.Issuer, subject: g.principal.Subject, policyUID: l.Policy.UID, seconds: w.Seconds}
		}
	}
	return set
}

func (s *statementLimit) narrow(most int64, by policy.RuleRef) {
	if most > 0 && (s.most == 0 || most < s.most) {
		s.most, s.policy = most, by
	}
}

// none says that nothing is limited.
func (s *limitSet) none() bool { return s.rows.most == 0 && s.bytes.most == 0 && len(s.windows) == 0 }

// admit says why nothing may be forwarded now, or nil: a window has nothing left.
func (s *limitSet) admit() *Refusal {
	for i := range s.windows {
		if _, refusal := s.windows[i].take(s.table, 0, 0); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (s *limitSet) take(m *Meter, rows, bytes int64) *Refusal {
	if s.rows.most > 0 && rows > s.rows.most-m.rows {
		return s.rows.refuse("rows", "RowsPerStatement")
	}
	if s.bytes.most > 0 && bytes > s.bytes.most-m.bytes {
		return s.bytes.refuse("bytes", "BytesPerStatement")
	}
	var parts [8]int64
	counted := parts[:0]
	for i := range s.windows {
		part, refusal := s.windows[i].take(s.table, rows, bytes)
		if refusal != nil {
			for j, part := range counted {
				s.windows[j].found.Load().give(part, rows, bytes)
			}
			return refusal
		}
		counted = append(counted, part)
	}
	m.rows += rows
	m.bytes += bytes
	return nil
}

func (s *statementLimit) refuse(unit, limit string) *Refusal {
	return &Refusal{
		Reason: ReasonLimit, Code: codeLimit, Rules: []policy.RuleRef{s.policy},
		Message: fmt.Sprintf("a statement may return at most %d %s (limit %s of AccessPolicy %q)", s.most, unit, limit, s.policy.Policy),
		Hint:    "Ask for less, such as with LIMIT or a narrower WHERE.",
	}
}

// take counts against the window, in the part that it says.
func (c *callerWindow) take(table *windowTable, rows, bytes int64) (part int64, _ *Refusal) {
	for {
		w := c.found.Load()
		if w == nil {
			if w = table.find(c.key); w == nil {
				return 0, unavailable("too many callers have windows of limits on this proxy", "Try again later, or ask the operators for another replica.", nil)
			}
			c.found.Store(w)
		}
		now := table.now()
		part, says := w.take(now, c.limit, rows, bytes)
		switch says {
		case fits:
			return part, nil
		case forgotten:
			c.found.CompareAndSwap(w, nil)
		case tooManyRows:
			return 0, c.refuse(c.limit.Rows, "rows", "RowsPerWindow", w.opens(now, c.limit))
		case tooManyBytes:
			return 0, c.refuse(c.limit.Bytes, "bytes", "BytesPerWindow", w.opens(now, c.limit))
		}
	}
}

func (c *callerWindow) refuse(most int64, unit, limit string, opens time.Duration) *Refusal {
	opens = opens.Truncate(time.Second) + time.Second
	return &Refusal{
		Reason: ReasonLimit, Code: codeLimit, Rules: []policy.RuleRef{c.policy},
		Message: fmt.Sprintf("a caller may get at most %d %s within %d seconds (limit %s of AccessPolicy %q)",
			most, unit, c.limit.Seconds, limit, c.policy.Policy),
		Hint: fmt.Sprintf("The window opens again in %s, at %s.", opens, time.Now().Add(opens).UTC().Format(time.RFC3339)),
	}
}
