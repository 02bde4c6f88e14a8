// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// ledger knows which sessions, and which forwarded operations without result,
// are under way at a point of the log.
type ledger map[string]*underWay

type underWay struct {
	Session    string            `json:"session"`
	Connection record.Connection `json:"connection"`
	// Actor is who began the session.
	Actor      *record.ActorDocument `json:"actor,omitempty"`
	Started    bool                  `json:"started"`
	Operations []uint64              `json:"operations,omitempty"`

	// seen is the crowd's: the number of the last group that the session waited
	// for, from 1.
	seen uint64
}

// mark is what the ledger needs of an event.
type mark struct {
	kind       record.Type
	session    string
	connection record.Connection
	operation  uint64
	forwarded  bool
	// actor is set for the start of a session.
	actor *record.ActorDocument
}

func markOf(e *record.Event) mark {
	m := mark{kind: e.Type, session: e.Session, connection: e.Connection, operation: e.OperationID}
	if e.Type == record.SessionStart {
		m.actor = actorOf(e.Actor)
	}
	if e.Decision != nil {
		m.forwarded = forwarded(e.Decision.Effect, e.Approval != nil && e.Approval.Outcome == approved)
	}
	return m
}

func markOfDocument(d *record.Document) mark {
	m := mark{kind: d.Type, session: d.Session, operation: d.OperationID}
	if d.Type == record.SessionStart {
		m.actor = d.Actor
	}
	if c := d.Connection; c != nil {
		m.connection = record.Connection{Namespace: c.Namespace, Name: c.Name, UID: c.UID}
	}
	if d.Decision != nil {
		m.forwarded = forwarded(policy.Effect(d.Decision.Effect), d.Approval != nil && d.Approval.Outcome == approved)
	}
	return m
}

const approved = "Approved"

// forwarded says whether a decision lets the operation through to the target.
func forwarded(effect policy.Effect, approved bool) bool {
	return effect == policy.Allow || effect == policy.RequireApproval && approved
}

func (l ledger) apply(m mark) {
	switch m.kind {
	case record.SessionStart:
		u := l.of(m)
		u.Started, u.Actor = true, m.actor
	case record.OperationDecided:
		if m.forwarded {
			u := l.of(m)
			u.Operations = append(u.Operations, m.operation)
		}
	case record.OperationResult:
		u := l[m.session]
		if u == nil {
			return
		}
		if i := slices.Index(u.Operations, m.operation); i >= 0 {
			u.Operations = slices.Delete(u.Operations, i, i+1)
		}
		if len(u.Operations) == 0 && !u.Started {
			delete(l, m.session)
		}
	case record.SessionEnd:
		delete(l, m.session)
	default: // begins and ends nothing
	}
}

func (l ledger) of(m mark) *underWay {
	u := l[m.session]
	if u == nil {
		u = &underWay{Session: m.session, Connection: m.connection}
		l[m.session] = u
	}
	return u
}

// list returns a copy, sorted by session.
func (l ledger) list() []underWay {
	all := make([]underWay, 0, len(l))
	for _, u := range l {
		c := *u
		c.Operations = slices.Clone(u.Operations)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b underWay) int { return strings.Compare(a.Session, b.Session) })
	return all
}

// opening is what a segment's list file holds: the segment before it, and what
// is under way where it begins.
type opening struct {
	Previous      int64      `json:"previous"`
	PreviousBytes int64      `json:"previousBytes"`
	UnderWay      []underWay `json:"underWay"`
	// Tree is that of all records before the segment, Leaves that of those in
	// the one before it. Logs without checkpoints had none.
	Tree   *tree.Range `json:"tree,omitempty"`
	Leaves *tree.Range `json:"leaves,omitempty"`
}

func newOpening(before *segment, open []underWay, b *branch) opening {
	return opening{Previous: before.first, PreviousBytes: before.used, UnderWay: open, Tree: &b.before, Leaves: &b.last}
}

func writeOpening(path string, o opening) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return writeFile(path, append(data, '\n'))
}

func readOpening(path string) (opening, error) {
	var o opening
	data, err := os.ReadFile(path)
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf("%w: %q: %w", ErrCorrupt, path, err)
	}
	if o.Tree != nil && o.Tree.Begin() != 0 || o.Leaves != nil && (o.Leaves.Begin() != o.Previous || o.Tree == nil || o.Tree.End() != o.Leaves.End()) {
		return o, fmt.Errorf("%w: %q: its trees do not fit together", ErrCorrupt, path)
	}
	return o, nil
}

func (o opening) ledger() ledger {
	l := ledger{}
	for i := range o.UnderWay {
		l[o.UnderWay[i].Session] = &o.UnderWay[i]
	}
	return l
}
