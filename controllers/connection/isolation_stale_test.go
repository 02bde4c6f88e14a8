// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/directway"
)

// TestIsolatedStale is checklist 52: a way that was closed once is not known to be when
// nobody has tried for too long; one that was open is open until it is seen to be closed.
func TestIsolatedStale(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := isolatedConnection("shop")
	c.Spec.Isolation = &v1alpha1.Isolation{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}}
	judge := func(result directway.Result, now time.Time) string {
		r := New(Options{DirectWay: &ways{result, true}})
		s := &scope{connection: c, now: now, surroundings: surroundings{target: 1}, reached: map[string]bool{"isolate": true, "observe": true}}
		if after := r.after(s); now.Before(result.Until) && now.Add(after).Before(result.Until) || after > 10*time.Minute {
			t.Errorf("looked at again after %s, want when the result is too old", after)
		}
		v := r.isolated(s, nil)
		return string(v.Status) + " " + v.Reason + ": " + v.Message
	}
	closed := directway.Result{From: "the manager", Closed: []string{"db:5432"}, At: at, Until: at.Add(5 * time.Minute)}
	if got := judge(closed, at.Add(time.Minute)); strings.Contains(got, "NotProbed") {
		t.Errorf("a minute later: %s", got)
	}
	if got := judge(closed, at.Add(6*time.Minute)); !strings.HasPrefix(got, "Unknown NotProbed: ") || !strings.Contains(got, "2026-03-04T05:06:07Z") {
		t.Errorf("too late: %s, want Unknown NotProbed and when it was tried", got)
	}
	open := closed
	open.Open, open.Closed = open.Closed, nil
	if got := judge(open, at.Add(time.Hour)); !strings.HasPrefix(got, "False DirectWayOpen") {
		t.Errorf("open, and not tried since: %s", got)
	}
}
