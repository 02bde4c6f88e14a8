// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
)

// told reduces a document to what a Brief tells of a plain record.
func told(d Document) Document {
	d.Actor, d.ClientAddress, d.Operation = nil, "", nil
	if d.Decision != nil {
		d.Decision = &DecisionDocument{Effect: d.Decision.Effect}
	}
	d.Previous = Hash{}
	if d.Result != nil {
		result := &ResultDocument{Outcome: d.Result.Outcome}
		if len(d.Result.MaskedFields) > 0 {
			result.MaskedFields = []string{""}
		}
		d.Result = result
	}
	return d
}

// plainEvents are those a Brief need not decode as a whole.
func plainEvents() map[string]Event {
	allowed := events[OperationDecided]
	allowed.Approval = nil
	noMasks := events[OperationResult]
	noMasks.Result = &Result{Outcome: "Succeeded", Rows: 1}
	return map[string]Event{"Allowed": allowed, "Masked": events[OperationResult], "Result": noMasks}
}

func TestBriefPlain(t *testing.T) {
	var brief Brief
	for name, event := range plainEvents() {
		t.Run(name, func(t *testing.T) {
			data := encode(event)
			if _, plain := brief.plain(data); !plain {
				t.Fatalf("decoded as a whole: %s", data)
			}
			got, err := brief.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(told(want), got); diff != "" {
				t.Errorf("Decode(%s): -want +got:\n%s", data, diff)
			}
		})
	}
}

// All that is worth an Event or more than a count is decoded as a whole.
func TestBriefWhole(t *testing.T) {
	cases := map[string]Event{}
	for kind, event := range events {
		if kind != OperationResult {
			cases[string(kind)] = event
		}
	}
	denied := events[OperationDecided]
	denied.Approval, denied.Decision = nil, &Decision{Effect: policy.Deny, Message: "no"}
	cases["Denied"] = denied
	failed := events[OperationResult]
	failed.Result = &Result{Outcome: "Failed", ErrorCode: "42601"}
	cases["Failed"] = failed
	reason := events[OperationResult]
	reason.Reason = "the policies changed"
	cases["Reason"] = reason
	for name, event := range cases {
		t.Run(name, func(t *testing.T) {
			data := encode(event)
			var brief Brief
			got, err := brief.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			want, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Decode(%s): -want +got:\n%s", data, diff)
			}
		})
	}
}

// Whatever event is written, a Brief tells of it what Decode does.
func FuzzBrief(f *testing.F) {
	f.Add("s-1", "orders", "SELECT '\"}{,:' -- \\", "Allow", "Succeeded", uint64(3), int64(7))
	f.Add("\"\\", "\x00\xff", "", "Deny", "Failed", uint64(0), int64(-1))
	f.Fuzz(func(t *testing.T, session, name, statement, effect, outcome string, id uint64, revision int64) {
		for _, event := range []Event{
			{Type: OperationDecided, Operation: &Operation{Statement: statement}, Decision: &Decision{Effect: policy.Effect(effect), Message: name}},
			{Type: OperationResult, Result: &Result{Outcome: outcome, Rows: revision, MaskedFields: []string{name}}},
		} {
			event.Time, event.Session, event.OperationID, event.Revision = at, session, id, revision
			event.Connection = Connection{Namespace: name, Name: name, UID: session}
			data := encode(event)
			want, err := Decode(data)
			if err != nil {
				t.Fatalf("Decode(%s): %v", data, err)
			}
			var brief Brief
			got, err := brief.Decode(data)
			if err != nil {
				t.Fatalf("Brief.Decode(%s): %v", data, err)
			}
			if diff := cmp.Diff(told(want), told(got)); diff != "" {
				t.Errorf("Decode(%s): -want +got:\n%s", data, diff)
			}
		}
	})
}

func BenchmarkBrief(b *testing.B) {
	data := encode(plainEvents()["Allowed"])
	b.Run("Brief", func(b *testing.B) {
		var brief Brief
		for b.Loop() {
			_, _ = brief.Decode(data)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		for b.Loop() {
			_, _ = Decode(data)
		}
	})
}
