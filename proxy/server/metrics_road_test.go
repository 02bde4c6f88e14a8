// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// allowedOperation is what becomes of most operations.
var allowedOperation = access.Observed{
	ID: 1, Operation: &record.Operation{Kind: "SELECT", Statement: "SELECT 'canary'"}, Effect: policy.Allow,
	Took: access.Took{
		Parse: 20 * time.Microsecond, Decide: 30 * time.Microsecond, Record: time.Millisecond, Forward: 2 * time.Millisecond, Answer: time.Millisecond,
	},
	Result: &record.Result{Outcome: "Succeeded", Rows: 3, Bytes: 40, MaskedValues: 2, Transfers: []record.Transfer{{Direction: record.ToTarget, Bytes: 7}, {Direction: record.ToTarget, Bytes: 5}}},
}

func TestFiguresOfTheRoad(t *testing.T) {
	m := NewMetrics()
	o := m.Observe("data/shop")
	login := &access.Login{Client: "192.0.2.7:40000"}
	o.Refused(login, access.ReasonCredential)
	w := o.Opened(login, "shop-1")
	w.Dialed(snapshot.Target{}, time.Now(), time.Millisecond, nil)
	w.Dialed(snapshot.Target{}, time.Now(), time.Millisecond, errors.New("boom"))
	w.Operation(allowedOperation)
	w.Operation(access.Observed{Operation: &record.Operation{}, Effect: policy.Deny, Reason: access.ReasonMasked, Would: policy.Allow})
	w.Operation(access.Observed{
		Operation: &record.Operation{}, Effect: policy.Deny, Reason: access.ReasonApprovalTimeout,
		Approval: &record.Approval{Outcome: access.Expired}, Took: access.Took{Hold: 90 * time.Second},
	})
	w.Operation(access.Observed{
		Operation: &record.Operation{}, Effect: policy.RequireApproval, Approval: &record.Approval{Outcome: access.Approved},
		Took: access.Took{Hold: 3 * time.Second}, Result: &record.Result{Outcome: "Failed"},
	})
	w.Closed(access.EndRevoked, time.Minute)
	m.Committed(5, 700*time.Microsecond)
	answer := httptest.NewRecorder()
	Health(m, logr.Discard()).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	body := answer.Body.String()
	for _, want := range []string{
		`doorward_proxy_logins_refused_total{connection="data/shop",reason="CredentialRejected"} 1`,
		`doorward_proxy_dials_total{connection="data/shop",outcome="Succeeded"} 1`,
		`doorward_proxy_dials_total{connection="data/shop",outcome="Failed"} 1`,
		`doorward_proxy_operations_total{connection="data/shop",effect="Allow"} 1`,
		`doorward_proxy_operations_total{connection="data/shop",effect="Deny"} 2`,
		`doorward_proxy_operations_total{connection="data/shop",effect="RequireApproval"} 1`,
		`doorward_proxy_operations_refused_total{connection="data/shop",reason="CannotMask"} 1`,
		`doorward_proxy_operations_refused_total{connection="data/shop",reason="ApprovalTimeout"} 1`,
		`doorward_proxy_operation_results_total{connection="data/shop",outcome="Succeeded"} 1`,
		`doorward_proxy_operation_results_total{connection="data/shop",outcome="Failed"} 1`,
		`doorward_proxy_result_rows_total{connection="data/shop"} 3`, `doorward_proxy_result_bytes_total{connection="data/shop"} 40`,
		`doorward_proxy_audit_changes_total{connection="data/shop",effect="Allow"} 1`, `doorward_proxy_audit_changes_total{connection="data/shop",effect="Mask"} 0`,
		`doorward_proxy_transferred_bytes_total{connection="data/shop",direction="ToTarget"} 12`,
		`doorward_proxy_transferred_bytes_total{connection="data/shop",direction="ToCaller"} 0`,
		`doorward_proxy_masked_values_total{connection="data/shop"} 2`,
		`doorward_proxy_operation_phase_duration_seconds_count{connection="data/shop",phase="decide"} 4`,
		`doorward_proxy_operation_phase_duration_seconds_count{connection="data/shop",phase="target"} 2`,
		`doorward_proxy_approval_wait_duration_seconds_count{connection="data/shop",outcome="Expired"} 1`,
		`doorward_proxy_sessions_ended_total{connection="data/shop",reason="Revoked"} 1`,
		`doorward_proxy_session_duration_seconds_count{connection="data/shop"} 1`,
		`doorward_log_group_records_sum 5`, `doorward_log_sync_duration_seconds_count 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	// Checklist 47: no label holds what a caller said.
	if strings.Contains(body, "canary") || strings.Contains(body, "192.0.2.7") {
		t.Error("a label holds what it must not")
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	w := NewMetrics().Observe("data/shop").Opened(&access.Login{}, "shop-1")
	if allocs := testing.AllocsPerRun(1000, func() { w.Operation(allowedOperation) }); allocs != 0 {
		t.Errorf("an operation that is counted allocates %v times", allocs)
	}
}

// BenchmarkCount is what the figures cost one operation.
func BenchmarkCount(b *testing.B) {
	w := NewMetrics().Observe("data/shop").Opened(&access.Login{}, "shop-1")
	b.ReportAllocs()
	for b.Loop() {
		w.Operation(allowedOperation)
	}
}
