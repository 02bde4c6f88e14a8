// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
)

var actor = &identity.Principal{
	Provider: "corp", Issuer: "https://idp.example.com", Subject: "00u1", UserName: "alice@example.com",
	Groups: []string{"analysts", "staff"}, Kind: identity.Human, Method: "oidc", ExpiresAt: time.Unix(1800000000, 0),
}

// event is a decision of ordinary size.
func event() *record.Event {
	return &record.Event{
		Type: record.OperationDecided, Session: "s-0123456789abcdef", Revision: 12, OperationID: 7, Actor: actor,
		Connection:    record.Connection{Namespace: "payments", Name: "orders", UID: "0d3c1e52-7a8b-4c1d-9e2f-001122334455"},
		ClientAddress: "192.0.2.7:50123",
		Operation: &record.Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
			Digest:   "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			Accesses: []policy.Access{{Action: "select", Resource: "public.pgbench_accounts"}}, Parameters: 1,
		},
		Decision: &record.Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "read", UID: "77", Generation: 4, Rule: "select"}}},
	}
}

// session makes the records of one session. It is for one goroutine.
type session struct {
	decided, done record.Event
}

func newSessions(n int) []*session {
	all := make([]*session, n)
	for i := range all {
		decided := *event()
		decided.Session, decided.OperationID, decided.Memo = fmt.Sprintf("s-%016x", i), 0, new(record.Memo)
		done := decided
		done.Type, done.Operation, done.Decision = record.OperationResult, nil, nil
		done.Result = &record.Result{Outcome: "Succeeded", Rows: 1, Bytes: 14, Duration: 300 * time.Microsecond}
		all[i] = &session{decided: decided, done: done}
	}
	return all
}

// start makes the first record.
func (s *session) start() record.Event {
	begun := s.done
	begun.Type, begun.Result = record.SessionStart, nil
	return begun
}

// refusal makes the one record of an operation that is refused.
func (s *session) refusal() record.Event {
	decided, _ := s.next()
	refused := *decided.Decision
	refused.Effect, decided.Decision = policy.Deny, &refused
	return decided
}

// next makes the two records of the next operation.
func (s *session) next() (decided, done record.Event) {
	s.decided.OperationID++
	s.done.OperationID++
	return s.decided, s.done
}

// recordSize is the size of the event's record in bytes.
func recordSize() int {
	return len(record.AppendJSON(nil, record.Position{LogID: strings.Repeat("0", 32), Index: 100000}, record.Hash{}, event()))
}
