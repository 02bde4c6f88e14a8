// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// TestOverlapOnlyWhatReadsAndIsAllowed is promise 2: which operations go on
// while their record is written.
func TestOverlapOnlyWhatReadsAndIsAllowed(t *testing.T) {
	overlap := snapshot.Audit{ReadOverlap: true}
	tests := map[string]struct {
		reason   string
		audit    snapshot.Audit
		readOnly bool
		want     bool
	}{
		"Read":  {"the Connection allows it and the operation only reads", overlap, true, true},
		"Write": {"what may change the target waits", overlap, false, false},
		"Unset": {"unset is the safest", snapshot.Audit{}, true, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, allowing)
				defer w.gate.Close(ErrDraining)
				w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit = tc.audit })
				grant := w.authorize()
				release := w.log.Hold()
				var permit *Permit
				durable := make(chan error, 1)
				go func() {
					permit, _ = grant.Decide(context.Background(), statement(func(a *Ask) { a.ReadOnly = tc.readOnly }))
					durable <- permit.Durable(context.Background())
				}()
				synctest.Wait()
				if decided := permit != nil; decided != tc.want {
					t.Errorf("%s: decided while the record was being written: %v", tc.reason, decided)
				}
				select {
				case err := <-durable:
					t.Fatalf("%s: durable before the record was written: %v", tc.reason, err)
				default:
				}
				release()
				if err := <-durable; err != nil {
					t.Errorf("%s: Durable() = %v", tc.reason, err)
				}
				permit.Done(record.Result{Outcome: "Succeeded"})
				grant.Close("")
			})
		})
	}
}

// TestAnswerIsWithheldWithoutRecord: the record that an operation did not wait
// for is lost, so its answer must not leave; the caller learns no cause.
func TestAnswerIsWithheldWithoutRecord(t *testing.T) {
	w := newWorld(t, allowing)
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit.ReadOverlap = true })
	grant := w.authorize()
	release := w.log.Hold()
	permit, err := grant.Decide(t.Context(), statement(func(a *Ask) { a.ReadOnly = true }))
	if err != nil {
		t.Fatal(err)
	}
	w.log.Fail(errBoom)
	release()
	err = permit.Durable(t.Context())
	if reason(err) != ReasonUnavailable || !errors.Is(err, errBoom) {
		t.Fatalf("Durable() = %v, want %s with the log's error as its cause", err, ReasonUnavailable)
	}
	if refusal := AsRefusal(err); strings.Contains(refusal.Message+refusal.Hint, errBoom.Error()) || !strings.Contains(refusal.Hint, "kubectl -n data describe connection shop") {
		t.Errorf("the caller is told %q, %q", refusal.Message, refusal.Hint)
	}
}

// TestDurabilityOfWhatMustNotBeLost: what leads to the target waits for the
// durability of its Connection; a refusal, after which nothing happens, does not.
func TestDurabilityOfWhatMustNotBeLost(t *testing.T) {
	w := newWorld(t, allowing)
	w.apply(allowing, func(s *snapshot.Snapshot) { s.Audit.Durability = "Remote" })
	grant := w.authorize()
	permit, err := grant.Decide(t.Context(), statement())
	if err != nil {
		t.Fatal(err)
	}
	permit.Done(record.Result{Outcome: "Succeeded"})
	if _, err := grant.Decide(t.Context(), statement(func(a *Ask) { a.Refuse = &Refusal{Reason: ReasonProtocol} })); err == nil {
		t.Fatal("not refused")
	}
	want := map[record.Type]record.Durability{record.SessionStart: record.Remote}
	for _, e := range w.log.Events() {
		if e.Type == record.OperationDecided {
			want[e.Type] = record.Remote
			if e.Decision.Effect == "Deny" {
				want[e.Type] = ""
			}
		}
		if e.Durability != want[e.Type] {
			t.Errorf("%s %+v waits for %q, want %q", e.Type, e.Decision, e.Durability, want[e.Type])
		}
	}
}
