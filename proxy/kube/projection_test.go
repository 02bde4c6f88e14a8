// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"slices"
	"testing"
	"time"

	"github.com/doorward/doorward/proxy/record"
)

// TestCountsAreWrittenNowAndThen: a session that goes on is not written each
// second, one that began or ended is written at once.
func TestCountsAreWrittenNowAndThen(t *testing.T) {
	document := func(kind record.Type, index int64) *record.Document {
		return &record.Document{Type: kind, Index: index, Session: "s", Connection: &record.ConnectionDocument{Name: "shop"}}
	}
	start := time.Unix(1_800_000_000, 0)
	p := begin(document(record.SessionStart, 3))
	p.apply(document(record.SessionStart, 3))
	if !p.due(start) || p.from != 3 {
		t.Errorf("a session that began: due %v, from %d", p.due(start), p.from)
	}
	p.dirty, p.urgent, p.counted = false, false, start
	p.apply(document(record.OperationDecided, 5))
	p.apply(document(record.OperationDecided, 6))
	if p.due(start.Add(countEvery-1)) || !p.due(start.Add(countEvery)) {
		t.Error("counts are not written when they are old, and only then")
	}
	if p.from != 5 {
		t.Errorf("first record that is not shown: got %d, want 5", p.from)
	}
	p.apply(document(record.SessionEnd, 7))
	if !p.due(start) || p.from != 5 {
		t.Errorf("a session that ended: due %v, from %d", p.due(start), p.from)
	}
}

// TestProjectionOfBreakGlass: the AuditSession names what was gone ahead by, each once.
func TestProjectionOfBreakGlass(t *testing.T) {
	p := begin(&record.Document{Type: record.SessionStart, Session: "s", Connection: &record.ConnectionDocument{Namespace: "data", Name: "shop"}})
	for i, a := range []*record.ApprovalDocument{
		nil, {Request: "plain"}, {Request: "held", Also: []record.ApprovalDocument{{Request: "one", BreakGlass: true}}}, {Request: "one", BreakGlass: true}, {Request: "two", BreakGlass: true},
	} {
		p.apply(&record.Document{Type: record.OperationDecided, Index: int64(i + 1), Approval: a})
	}
	if got := p.shown().BreakGlass; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("it names %v", got)
	}
}
