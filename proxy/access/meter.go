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
	if refusal := m.grant.view.Load().limits.take(m, rows, bytes); refusal != nil {
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
	// rows and bytes are the strictest bounds of a statement, session and idle those of
	// a session in seconds, concurrent that of the caller's sessions; zero is none.
	rows, bytes, session, idle, concurrent bound
	windows                                []callerWindow
	// outlives is for how many seconds a session may outlive its token.
	outlives int64
}

type bound struct {
	most   int64
	policy policy.RuleRef
}

type callerWindow struct {
	key    windowKey
	limit  policy.Window
	policy policy.RuleRef
	found  atomic.Pointer[window]
}

// limitsOf are the limits of a caller's standing.
func (g *Grant) limitsOf(standing policy.Standing) *limitSet {
	list := standing.Limits()
	set := &limitSet{table: g.gate.windows, outlives: outlives(list)}
	windows := 0
	for _, l := range list {
		set.rows.narrow(l.RowsPerStatement, l.Policy)
		set.bytes.narrow(l.BytesPerStatement, l.Policy)
		set.session.narrow(l.SessionSeconds, l.Policy)
		set.idle.narrow(l.IdleSeconds, l.Policy)
		set.concurrent.narrow(l.ConcurrentSessions, l.Policy)
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

func (s *bound) narrow(most int64, by policy.RuleRef) {
	if most > 0 && (s.most == 0 || most < s.most) {
		s.most, s.policy = most, by
	}
}

// none says that nothing that answers hold is limited.
func (s *limitSet) none() bool {
	for i := range s.windows {
		if limit := &s.windows[i].limit; limit.Rows > 0 || limit.Bytes > 0 {
			return false
		}
	}
	return s.rows.most == 0 && s.bytes.most == 0
}

// admit says why nothing may be forwarded now, or nil: a window has nothing left.
func (s *limitSet) admit() *Refusal {
	for i := range s.windows {
		if _, refusal := s.windows[i].take(s.table, amount{}); refusal != nil {
			return refusal
		}
	}
	return nil
}

// operation counts one operation.
func (s *limitSet) operation() *Refusal { return s.takeAll(amount{operations: 1}) }

func (s *limitSet) take(m *Meter, rows, bytes int64) *Refusal {
	if s.rows.most > 0 && rows > s.rows.most-m.rows {
		return s.rows.refuse("rows", "RowsPerStatement")
	}
	if s.bytes.most > 0 && bytes > s.bytes.most-m.bytes {
		return s.bytes.refuse("bytes", "BytesPerStatement")
	}
	if refusal := s.takeAll(amount{rows: rows, bytes: bytes}); refusal != nil {
		return refusal
	}
	m.rows += rows
	m.bytes += bytes
	return nil
}

// takeAll counts against every window, or against none.
func (s *limitSet) takeAll(more amount) *Refusal {
	var parts [8]share
	counted := parts[:0]
	for i := range s.windows {
		part, refusal := s.windows[i].take(s.table, more)
		if refusal != nil {
			for _, earlier := range counted {
				earlier.window.give(earlier.part, more)
			}
			return refusal
		}
		counted = append(counted, part)
	}
	return nil
}

// share is where something was counted: a part of a window.
type share struct {
	window *window
	part   int64
}

func (s *bound) refuse(unit, limit string) *Refusal {
	return &Refusal{
		Reason: ReasonLimit, Code: codeLimit, Rules: []policy.RuleRef{s.policy},
		Message: fmt.Sprintf("one operation may return at most %d %s (limit %s of %s)", s.most, unit, limit, nameOf(s.policy)),
		Hint:    "Ask for less: of a table, with LIMIT or a narrower WHERE.",
	}
}

// take counts against the window, and says where.
func (c *callerWindow) take(table *windowTable, more amount) (share, *Refusal) {
	for {
		w := c.found.Load()
		if w == nil {
			if w = table.find(c.key); w == nil {
				return share{}, unavailable("too many callers have windows of limits on this proxy", "Try again later, or ask the operators for another replica.", nil)
			}
			c.found.Store(w)
		}
		now := table.now()
		part, says := w.take(now, c.limit, more)
		switch says {
		case fits:
			return share{w, part}, nil
		case forgotten:
			c.found.CompareAndSwap(w, nil)
		case tooManyRows:
			return share{}, c.refuse(c.limit.Rows, "rows", "RowsPerWindow", w.opens(now, c.limit))
		case tooManyBytes:
			return share{}, c.refuse(c.limit.Bytes, "bytes", "BytesPerWindow", w.opens(now, c.limit))
		case tooManyOperations:
			return share{}, c.refuse(c.limit.Operations, "operations", "OperationsPerWindow", w.opens(now, c.limit))
		}
	}
}

func (c *callerWindow) refuse(most int64, unit, limit string, opens time.Duration) *Refusal {
	opens = opens.Truncate(time.Second) + time.Second
	return &Refusal{
		Reason: ReasonLimit, Code: codeLimit, Rules: []policy.RuleRef{c.policy},
		Message: fmt.Sprintf("a caller may have at most %d %s within %d seconds (limit %s of %s)",
			most, unit, c.limit.Seconds, limit, nameOf(c.policy)),
		Hint: fmt.Sprintf("The window opens again in %s, at %s.", opens, time.Now().Add(opens).UTC().Format(time.RFC3339)),
	}
}

// getPolicy is the command that shows a policy.
func getPolicy(namespace string, ref policy.RuleRef) string {
	if ref.Cluster {
		return fmt.Sprintf("kubectl get clusteraccesspolicy %s -o yaml", ref.Policy)
	}
	return fmt.Sprintf("kubectl -n %s get accesspolicy %s -o yaml", namespace, ref.Policy)
}

// seeRule is what to do about a rule that refuses. ClusterAccessPolicies are read by those
// who look after the cluster, and not by requesters.
func seeRule(namespace string, ref policy.RuleRef) string {
	if ref.Cluster {
		return "Ask an admin of the cluster about the rule: " + getPolicy(namespace, ref)
	}
	return "See the rule: " + getPolicy(namespace, ref)
}

// nameOf is a policy with its kind.
func nameOf(ref policy.RuleRef) string {
	if ref.Cluster {
		return fmt.Sprintf("ClusterAccessPolicy %q", ref.Policy)
	}
	return fmt.Sprintf("AccessPolicy %q", ref.Policy)
}
