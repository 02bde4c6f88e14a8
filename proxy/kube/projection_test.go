// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
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

// TestSharedCredentialIsShown: at once, for as long as the object is there, also to the next
// process.
func TestSharedCredentialIsShown(t *testing.T) {
	document := func(kind record.Type, index int64) *record.Document {
		return &record.Document{
			Type: kind, Index: index, Session: "s", Time: time.Unix(1_800_000_000, 0), Connection: &record.ConnectionDocument{Name: "shop"},
			Actor: &record.ActorDocument{UserName: "alice", ProofID: "0a1b"}, Reason: "the credential is used from several places: 192.0.2.0/24, 198.51.100.0/24",
		}
	}
	p := begin(document(record.SessionStart, 3))
	p.apply(document(record.SessionStart, 3))
	if p.object("i").Spec.Actor.ProofID != "0a1b" {
		t.Error("the session does not say of which credential it is")
	}
	if meta.FindStatusCondition(p.shown().Conditions, v1alpha1.ConditionSharedCredential) != nil {
		t.Error("a credential is shared of which nothing was found")
	}
	p.dirty, p.urgent = false, false
	p.apply(document(record.SharedCredential, 4))
	if !p.urgent {
		t.Error("it is not shown at once")
	}
	object := p.object("i")
	object.Status = p.shown()
	next := resume(object)
	next.apply(document(record.SessionEnd, 5))
	for name, conditions := range map[string][]metav1.Condition{"now": p.shown().Conditions, "after its end, by the next process": next.shown().Conditions} {
		shared := meta.FindStatusCondition(conditions, v1alpha1.ConditionSharedCredential)
		if shared == nil || shared.Status != metav1.ConditionTrue || !strings.Contains(shared.Message, "198.51.100.0/24") || len(conditions) != 2 {
			t.Errorf("%s: %+v", name, conditions)
		}
	}
	for _, session := range []string{"s", ""} {
		d := document(record.SharedCredential, 6)
		d.Session, d.ClientAddress = session, "192.0.2.7:1"
		kind, reason, message := describe(d)
		if kind != "Warning" || reason != "SharedCredential" || !strings.Contains(message, "alice") || !strings.Contains(message, "192.0.2.0/24") {
			t.Errorf("the Event is %s %s: %s", kind, reason, message)
		}
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
