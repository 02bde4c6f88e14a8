// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package figures

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/doorward/doorward/api/v1alpha1"
)

func conditions(ready metav1.ConditionStatus) []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready}}
}

func reader(t *testing.T, fails error) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "data", Name: name} }
	ended := metav1.Now()
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&v1alpha1.Connection{ObjectMeta: meta("a"), Status: v1alpha1.ConnectionStatus{Conditions: conditions(metav1.ConditionTrue)}},
		&v1alpha1.Connection{ObjectMeta: meta("b"), Status: v1alpha1.ConnectionStatus{Conditions: conditions(metav1.ConditionFalse)}},
		&v1alpha1.AuditSession{ObjectMeta: meta("live")},
		&v1alpha1.AuditSession{ObjectMeta: meta("over"), Status: v1alpha1.AuditSessionStatus{EndedAt: &ended}},
		&v1alpha1.ApprovalRequest{ObjectMeta: meta("r"), Status: v1alpha1.ApprovalRequestStatus{Phase: v1alpha1.ApprovalPending}},
		&v1alpha1.ApprovalRequest{ObjectMeta: meta("s"), Status: v1alpha1.ApprovalRequestStatus{Phase: v1alpha1.ApprovalApproved}},
		&v1alpha1.ApprovalRequest{ObjectMeta: meta("ahead"), Status: v1alpha1.ApprovalRequestStatus{Phase: v1alpha1.ApprovalApproved, BreakGlass: &v1alpha1.BreakGlassUse{}}},
		&v1alpha1.ApprovalRequest{ObjectMeta: meta("past"), Status: v1alpha1.ApprovalRequestStatus{Phase: v1alpha1.ApprovalExpired, BreakGlass: &v1alpha1.BreakGlassUse{}}},
		&v1alpha1.AuditLog{ObjectMeta: meta("l"), Status: v1alpha1.AuditLogStatus{State: v1alpha1.AuditLogConflict}},
	).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if fails != nil {
				return fails
			}
			return c.List(ctx, list, options...)
		},
	}).Build()
}

func TestState(t *testing.T) {
	elected, waiting := make(chan struct{}), make(chan struct{})
	close(elected)
	for name, tc := range map[string]struct {
		reason  string
		elected chan struct{}
		fails   error
		want    []string
		absent  []string
	}{
		"Leader": {
			reason: "the leader tells what there is", elected: elected,
			want: []string{
				`doorward_manager_objects{kind="Connection"} 2`, `doorward_manager_objects{kind="LogSink"} 0`,
				`doorward_manager_object_conditions{condition="Ready",kind="Connection",status="True"} 1`,
				`doorward_manager_object_conditions{condition="Ready",kind="Connection",status="False"} 1`,
				`doorward_manager_live_sessions 1`, `doorward_manager_witness_conflicts 1`,
				`doorward_manager_approval_requests{phase="Pending"} 1`, `doorward_manager_approval_requests{phase="Void"} 0`,
				`doorward_manager_break_glass_in_force 1`,
				`doorward_manager_enforcement_proven 1`, `doorward_manager_ca_expiry_timestamp_seconds{authority="serving"} 1.9e+09`,
			},
		},
		"Standby": {reason: "who does not lead tells nothing, so that nothing is counted twice", elected: waiting, absent: []string{"doorward_manager"}},
		"Unread": {
			reason: "part of the objects would look like a loss", elected: elected, fails: errors.New("boom"),
			want: []string{`doorward_manager_enforcement_proven 1`}, absent: []string{"doorward_manager_objects", "witness_conflicts"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			if err := Watch(registry, Sources{
				Reader: reader(t, tc.fails), Elected: tc.elected, Proven: func() bool { return true },
				AuthorityExpiry: map[string]func() time.Time{
					"serving":  func() time.Time { return time.Unix(1900000000, 0) },
					"ssh-host": func() time.Time { return time.Time{} },
				},
			}); err != nil {
				t.Fatal(err)
			}
			answer := httptest.NewRecorder()
			promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
			got := answer.Body.String()
			for _, want := range tc.want {
				if !strings.Contains(got, want+"\n") {
					t.Errorf("%s: lacks %q in\n%s", tc.reason, want, got)
				}
			}
			for _, absent := range tc.absent {
				if strings.Contains(got, absent) {
					t.Errorf("%s: has %q in\n%s", tc.reason, absent, got)
				}
			}
		})
	}
}

// TestNobodyCounts: the zero pointer counts nothing, and does not panic.
func TestNobodyCounts(*testing.T) {
	var f *Figures
	f.Published(time.Second, true, nil)
	f.Beat(nil)
	f.Approval("Denied")
}
