// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logsink

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/report"
)

var now = time.Unix(1800000000, 0)

// of makes a delivery of instance i.
func of(i int, sink report.Sink) delivery {
	sink.Name = "s"
	return delivery{connection: types.NamespacedName{Namespace: "shop", Name: "db"}, instance: fmt.Sprintf("db-%02d", i), Sink: sink}
}

func ago(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }

// TestStatus: what reports come to.
func TestStatus(t *testing.T) {
	fine := func(lag int64, acknowledged int) report.Sink {
		return report.Sink{Reachable: true, Lag: lag, AcknowledgedAt: ago(acknowledged)}
	}
	down := report.Sink{Lag: 9, AcknowledgedAt: ago(60), Error: "refused"}
	tests := map[string]struct {
		reason  string
		all     []delivery
		status  metav1.ConditionStatus
		because string
		lag     int64
		last    int // seconds ago; -1 for unset
		first   string
	}{
		"Nobody":   {"Nothing is known.", nil, metav1.ConditionUnknown, v1alpha1.ReasonNoReport, 0, -1, ""},
		"Fine":     {"All is delivered.", []delivery{of(1, fine(0, 5)), of(2, fine(0, 7))}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 0, 5, "db-02"},
		"Idle":     {"A proxy that nobody uses says nothing of the sink.", []delivery{of(1, fine(0, 100000)), of(2, fine(3, 2))}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 3, 2, "db-02"},
		"Behind":   {"The one that waits for the longest counts.", []delivery{of(1, fine(2, 10)), of(2, fine(1, 30))}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 2, 30, "db-01"},
		"Never":    {"Nothing of one was ever taken.", []delivery{of(1, fine(2, 10)), of(2, report.Sink{Reachable: true, Lag: 1})}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 2, -1, "db-01"},
		"Partly":   {"One fails.", []delivery{of(1, fine(100, 1)), of(2, down)}, metav1.ConditionFalse, v1alpha1.ReasonPartlyUnreachable, 100, 60, "db-02"},
		"Down":     {"All fail.", []delivery{of(1, down), of(2, down)}, metav1.ConditionFalse, v1alpha1.ReasonUnreachable, 9, 60, "db-01"},
		"Wordless": {"It fails without a reason.", []delivery{of(1, report.Sink{})}, metav1.ConditionFalse, v1alpha1.ReasonUnreachable, 0, -1, "db-01"},
		"Fast":     {"A clock that is ahead is not believed.", []delivery{of(1, fine(0, -3600))}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 0, 0, "db-01"},
		"Negative": {"Nonsense is no lag.", []delivery{of(1, fine(-5, 1))}, metav1.ConditionTrue, v1alpha1.ReasonDelivering, 0, 1, "db-01"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			sink := &v1alpha1.LogSink{}
			sink.Generation = 4
			writeStatus(sink, kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, ""), tc.all, now)
			status := sink.Status
			got := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReachable)
			if got.Status != tc.status || got.Reason != tc.because || got.ObservedGeneration != 4 || status.ObservedGeneration != 4 {
				t.Errorf("%s: %+v", tc.reason, got)
			}
			if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready.Status != tc.status {
				t.Errorf("%s: Ready is %s", tc.reason, ready.Status)
			}
			if *status.ObservedProxies != int32(len(tc.all)) || len(status.Proxies) != len(tc.all) {
				t.Errorf("%s: %d proxies, %d listed", tc.reason, *status.ObservedProxies, len(status.Proxies))
			}
			if len(tc.all) == 0 {
				return
			}
			if *status.Lag != tc.lag || status.Proxies[0].Instance != tc.first {
				t.Errorf("%s: lag %d, first %q", tc.reason, *status.Lag, status.Proxies[0].Instance)
			}
			if tc.last < 0 != (status.LastAcknowledged == nil) || tc.last >= 0 && !status.LastAcknowledged.Time.Equal(ago(tc.last)) {
				t.Errorf("%s: last acknowledged %v", tc.reason, status.LastAcknowledged)
			}
		})
	}
}

// TestNotAccepted: what the sink itself lacks comes first.
func TestNotAccepted(t *testing.T) {
	sink := &v1alpha1.LogSink{}
	writeStatus(sink, kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonIncompleteSecret, "no key"), []delivery{of(1, report.Sink{Error: "no credentials"})}, now)
	ready := meta.FindStatusCondition(sink.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonIncompleteSecret {
		t.Errorf("Ready is %+v", ready)
	}
}

// TestBounds: the status stays small whatever is reported. checklist 38 and 48.
func TestBounds(t *testing.T) {
	var all []delivery
	for i := range 1000 {
		all = append(all, of(i, report.Sink{Lag: int64(i), Error: strings.Repeat("\u202eé\n", 1000), Missed: 1 << 60}))
	}
	sink := &v1alpha1.LogSink{}
	writeStatus(sink, kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, ""), all, now)
	if n := len(sink.Status.Proxies); n != maxProxies {
		t.Fatalf("%d proxies are listed", n)
	}
	if got := sink.Status.Proxies[0].Instance; got != "db-999" {
		t.Errorf("the worst is %q, want the one most behind", got)
	}
	texts := []string{meta.FindStatusCondition(sink.Status.Conditions, v1alpha1.ConditionReachable).Message}
	for _, p := range sink.Status.Proxies {
		texts = append(texts, p.Message)
		if len(p.Message) > 512 {
			t.Errorf("%d bytes of message", len(p.Message))
		}
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\n\x1b\u202e") {
			t.Fatalf("not fit to show: %q", text)
		}
	}
}

// TestMissed: what a sink never got is said, though it is reachable.
func TestMissed(t *testing.T) {
	tests := map[string]struct {
		reason string
		sink   report.Sink
		want   string
	}{
		"Fine":   {"Nothing is wrong.", report.Sink{Reachable: true}, ""},
		"Missed": {"The log was younger than the sink.", report.Sink{Reachable: true, Missed: 3}, "3 records were deleted before the sink came"},
		"Both":   {"And it fails.", report.Sink{Error: "refused", Missed: 3}, "refused; 3 records were deleted before the sink came"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, describe(of(1, tc.sink))); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLeftOut(t *testing.T) {
	good := kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
	bad := kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, "no")
	tests := map[string]struct {
		reason  string
		verdict kit.Verdict
		leftOut []string
		want    kit.Verdict
	}{
		"None":  {"All use it.", good, nil, good},
		"Fault": {"A fault is said first.", bad, []string{"a/b"}, bad},
		"Many": {
			"A condition stays readable.", good,
			[]string{"a/1", "a/2", "a/3", "a/4", "a/5"},
			kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonManagedProxiesLeftOut,
				"the proxies of Managed Connections cannot write files that outlive their pods, and do not use this sink: a/1, a/2, a/3, 2 others"),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, accepted(tc.verdict, tc.leftOut)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
