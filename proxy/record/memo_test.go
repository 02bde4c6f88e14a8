// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"slices"
	"testing"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// memoEvents differ from the first in one value each that a Memo compares.
func memoEvents() map[string]Event {
	alice, bob := &identity.Principal{UserName: "alice"}, &identity.Principal{UserName: "bob"}
	first := Event{
		Type: OperationDecided, Time: at, Session: "s-1", Connection: Connection{Namespace: "n", Name: "c", UID: "u"}, Revision: 3, Actor: alice,
		ClientAddress: "192.0.2.7:1", OperationID: 1,
		Operation: &Operation{
			Protocol: "postgres", Kind: "SELECT", Statement: "SELECT $1", Digest: "sha256:00", Normalized: "SELECT ?", Parameters: 1, ParametersDigest: "sha256:01",
			Accesses: []policy.Access{{Action: "select", Resource: "public.a"}}, Properties: []string{"p"}, Fields: []string{"public.a.x"},
		},
		Decision: &Decision{Effect: policy.Allow, Rules: []policy.RuleRef{{Policy: "p", UID: "1", Generation: 1, Rule: "r"}}, Masks: []string{"p/m"}},
	}
	changed := func(change func(*Event, *Operation, *Decision)) Event {
		e, op, d := first, *first.Operation, *first.Decision
		op.Accesses, op.Properties = slices.Clone(op.Accesses), slices.Clone(op.Properties)
		d.Rules, d.Masks = slices.Clone(d.Rules), slices.Clone(d.Masks)
		e.Operation, e.Decision = &op, &d
		change(&e, &op, &d)
		return e
	}
	return map[string]Event{
		"First":      first,
		"Session":    changed(func(e *Event, _ *Operation, _ *Decision) { e.Session = "s-2" }),
		"Connection": changed(func(e *Event, _ *Operation, _ *Decision) { e.Connection.UID = "v" }),
		"Revision":   changed(func(e *Event, _ *Operation, _ *Decision) { e.Revision = 4 }),
		"Actor":      changed(func(e *Event, _ *Operation, _ *Decision) { e.Actor = bob }),
		"Client":     changed(func(e *Event, _ *Operation, _ *Decision) { e.ClientAddress = "192.0.2.8:1" }),
		"Number":     changed(func(e *Event, _ *Operation, _ *Decision) { e.OperationID = 2 }),
		"Protocol":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Protocol = "other" }),
		"NoProtocol": changed(func(_ *Event, op *Operation, _ *Decision) { op.Protocol = "" }),
		"Kind":       changed(func(_ *Event, op *Operation, _ *Decision) { op.Kind = "COPY" }),
		"Statement":  changed(func(_ *Event, op *Operation, _ *Decision) { op.Statement = "SELECT $2" }),
		"Normalized": changed(func(_ *Event, op *Operation, _ *Decision) { op.Normalized = "" }),
		"Digest":     changed(func(_ *Event, op *Operation, _ *Decision) { op.Digest = "sha256:ff" }),
		"NoDigest":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Digest = "" }),
		"Access":     changed(func(_ *Event, op *Operation, _ *Decision) { op.Accesses[0].Resource = "public.b" }),
		"Indirect":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Accesses[0].Indirect = true }),
		"Accesses":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Accesses = nil }),
		"Property":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Properties[0] = "q" }),
		"Field":      changed(func(_ *Event, op *Operation, _ *Decision) { op.Fields = []string{"public.a.y"} }),
		"Fields":     changed(func(_ *Event, op *Operation, _ *Decision) { op.Fields = nil }),
		"NoFields":   changed(func(_ *Event, op *Operation, _ *Decision) { op.Fields = []string{} }),
		"Cluster":    changed(func(_ *Event, _ *Operation, d *Decision) { d.Rules[0].Cluster = true }),
		"Audit":      changed(func(_ *Event, _ *Operation, d *Decision) { d.Audit = &Would{Effect: policy.Deny} }),
		"AuditMasks": changed(func(_ *Event, _ *Operation, d *Decision) {
			d.Audit = &Would{Effect: policy.Allow, Masks: []string{"p/m", "q/n"}}
		}),
		"Parameters": changed(func(_ *Event, op *Operation, _ *Decision) { op.Parameters, op.ParametersDigest = 2, "sha256:02" }),
		"Shown":      changed(func(_ *Event, op *Operation, _ *Decision) { op.ParameterText = "1" }),
		"Denied":     changed(func(_ *Event, _ *Operation, d *Decision) { d.Effect = policy.Deny }),
		"Message":    changed(func(_ *Event, _ *Operation, d *Decision) { d.Message = "m" }),
		"Rule":       changed(func(_ *Event, _ *Operation, d *Decision) { d.Rules[0].Generation = 2 }),
		"Mask":       changed(func(_ *Event, _ *Operation, d *Decision) { d.Masks[0] = "p/n" }),
		"Result": changed(func(e *Event, _ *Operation, _ *Decision) {
			e.Type, e.Operation, e.Decision, e.Result = OperationResult, nil, nil, &Result{Outcome: "Succeeded"}
		}),
		"Approved": changed(func(e *Event, _ *Operation, _ *Decision) { e.Approval = &Approval{Request: "r"} }),
	}
}

// TestMemoChangesNoRecord: whatever came before, an event is encoded as it is
// without a Memo.
func TestMemoChangesNoRecord(t *testing.T) {
	for name, event := range memoEvents() {
		for before, other := range memoEvents() {
			memo := new(Memo)
			other.Memo, event.Memo = memo, memo
			for range 3 { // what comes again is remembered
				AppendBody(nil, &other)
			}
			got := AppendBody(nil, &event)
			event.Memo = nil
			if want := AppendBody(nil, &event); !bytes.Equal(want, got) {
				t.Errorf("%s after %s:\n%s\nwant:\n%s", name, before, got, want)
			}
		}
	}
}

// TestMemoComparesCopies: whoever uses memory again for other values gets the
// records of these.
func TestMemoComparesCopies(t *testing.T) {
	event := memoEvents()["First"]
	event.Memo = new(Memo)
	for range 3 {
		AppendBody(nil, &event)
	}
	event.Operation.Accesses[0].Resource = "public.secrets"
	event.Decision.Rules[0].Rule = "other"
	got := AppendBody(nil, &event)
	event.Memo = nil
	if want := AppendBody(nil, &event); !bytes.Equal(want, got) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestMemoForgets: many statements of one session keep no more than a few.
func TestMemoForgets(t *testing.T) {
	event := memoEvents()["First"]
	event.Memo = new(Memo)
	for i := range 1000 {
		event.Operation.Statement = "SELECT " + string(rune('a'+i%26)) + "$1"
		got := AppendBody(nil, &event)
		plain := event
		plain.Memo = nil
		if want := AppendBody(nil, &plain); !bytes.Equal(want, got) {
			t.Fatalf("got:\n%s\nwant:\n%s", got, want)
		}
	}
	event.Operation.Statement = string(bytes.Repeat([]byte("x"), memoText+1))
	for range 3 {
		AppendBody(nil, &event)
	}
	for i := range event.Memo.operations {
		if p := event.Memo.operations[i].Load(); p != nil && len(p.op.Statement) > memoText {
			t.Error("a long statement is kept")
		}
	}
}

// TestReadTime: what appendTime writes is read as time.Parse does, anything
// else is left to Decode.
func TestReadTime(t *testing.T) {
	if got, ok := readTime(appendTime(nil, at)); !ok || !got.Equal(at) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, text := range []string{
		"", "2026-02-30T00:00:00.000000000Z", "2026-13-01T00:00:00.000000000Z", "2026-01-01T24:00:00.000000000Z",
		"2026-01-01T00:60:00.000000000Z", "2026-01-01 00:00:00.000000000Z", "2026-01-01T00:00:00.00000000xZ",
	} {
		if got, ok := readTime([]byte(text)); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
