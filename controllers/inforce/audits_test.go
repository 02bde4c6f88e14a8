// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package inforce

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/report"
)

var (
	shop  = types.NamespacedName{Namespace: "prod", Name: "shop"}
	till  = types.NamespacedName{Namespace: "prod", Name: "till"}
	trial = policy.Policy{Name: "trial", UID: "u", Generation: 2, Audit: true}
)

func set(policies ...policy.Policy) policy.Set { return policy.Set{Policies: policies} }

func said(instance, nonce string, deny int64) report.Report {
	return report.Report{Instance: instance, Nonce: nonce, Audits: []report.Audit{{Policy: "trial", UID: "u", Generation: 2, Deny: deny}}}
}

// clock is one that tests move on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func started() (*Audits, *clock) {
	c := &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return NewAudits(c.now), c
}

var object = &metav1.ObjectMeta{Namespace: "prod", Name: "trial", UID: "u", Generation: 2}

// written is what would be written a long time later.
func written(t *testing.T, a *Audits, c *clock, before *v1alpha1.PolicyAudit) int64 {
	t.Helper()
	c.at = c.at.Add(time.Hour)
	is, wait := a.Status(object, v1alpha1.PolicyModeAudit, before)
	if wait != 0 || is == nil || is.Generation != 2 {
		t.Fatalf("status %+v, wait %s", is, wait)
	}
	return is.WouldDeny
}

// TestAuditSums: processes add up, and what one said stays when it is gone.
func TestAuditSums(t *testing.T) {
	a, c := started()
	a.Observe(shop, []report.Report{said("0", "a", 3), said("1", "b", 4)}, set(trial))
	a.Observe(till, []report.Report{said("0", "c", 1)}, set(trial))
	if got := written(t, a, c, nil); got != 8 {
		t.Errorf("three processes counted %d, want 8", got)
	}
	a.Observe(shop, []report.Report{said("1", "b", 5)}, set(trial))
	if got := written(t, a, c, nil); got != 9 {
		t.Errorf("one that is gone leaves %d, want 9", got)
	}
	a.Observe(shop, []report.Report{said("0", "again", 2), said("1", "b", 5)}, set(trial))
	if got := written(t, a, c, nil); got != 11 {
		t.Errorf("one that begins anew makes %d, want 11", got)
	}
	a.Observe(shop, []report.Report{said("0", "a", 3), said("1", "b", 1)}, set(trial))
	if got := written(t, a, c, nil); got != 11 {
		t.Errorf("one that comes back, and one that says less, make %d, want 11", got)
	}
}

// TestAuditOthers: reports of what the Connection is not compiled of, or of another
// generation or kind, count for nothing, nor does what nobody can have counted.
func TestAuditOthers(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		change func(*report.Audit)
		set    policy.Set
		want   int64
	}{
		"As":         {"it counts", func(*report.Audit) {}, set(trial), 5},
		"UID":        {"another policy", func(r *report.Audit) { r.UID = "v" }, set(trial), 0},
		"Generation": {"before the edit", func(r *report.Audit) { r.Generation = 1 }, set(trial), 0},
		"Kind":       {"a ClusterAccessPolicy", func(r *report.Audit) { r.Cluster = true }, set(trial), 0},
		"Negative":   {"no number of operations", func(r *report.Audit) { r.Deny = -5 }, set(trial), 0},
		"NotHere":    {"the Connection is compiled of none", func(*report.Audit) {}, set(), 0},
		"Enforced":   {"it is not in mode Audit", func(*report.Audit) {}, set(policy.Policy{Name: "trial", UID: "u", Generation: 2}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, c := started()
			one := said("0", "a", 5)
			tc.change(&one.Audits[0])
			a.Observe(shop, []report.Report{one}, tc.set)
			if got := written(t, a, c, nil); got != tc.want {
				t.Errorf("%s: %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
	a, c := started()
	a.Observe(shop, []report.Report{said("0", "a", math.MaxInt64), said("1", "b", math.MaxInt64)}, set(trial))
	if got := written(t, a, c, nil); got != math.MaxInt64 {
		t.Errorf("more than there are numbers: %d", got)
	}
}

// TestAuditNewManager: a manager goes on from what status says, whatever the order in
// which it hears of status and of proxies, and never below.
func TestAuditNewManager(t *testing.T) {
	status := &v1alpha1.PolicyAudit{Generation: 2, WouldDeny: 10}
	a, c := started()
	a.Observe(shop, []report.Report{said("0", "a", 4)}, set(trial)) // of the ten
	if got := written(t, a, c, status); got != 10 {
		t.Errorf("proxies first: %d, want 10", got)
	}
	a.Observe(till, []report.Report{said("0", "b", 3)}, set(trial)) // of the ten, heard of late
	if got := written(t, a, c, status); got != 10 {
		t.Errorf("a Connection that is heard of late: %d, want 10", got)
	}
	a.Observe(shop, []report.Report{said("0", "a", 6)}, set(trial))
	a.Observe(till, []report.Report{said("0", "b", 3), said("1", "new", 1)}, set(trial))
	if got := written(t, a, c, status); got != 13 {
		t.Errorf("what came since: %d, want 13", got)
	}

	a, c = started()
	if got := written(t, a, c, status); got != 10 {
		t.Errorf("status first: %d, want 10", got)
	}
	a.Observe(shop, []report.Report{said("0", "a", 14)}, set(trial))
	if got := written(t, a, c, status); got != 14 {
		t.Errorf("proxies counted on meanwhile: %d, want 14", got)
	}
	if got := written(t, a, c, &v1alpha1.PolicyAudit{Generation: 1, WouldDeny: 99}); got != 14 {
		t.Errorf("another generation's counts: %d, want 14", got)
	}
}

// TestAuditRate: counts are written at most every ten seconds, the first at once.
func TestAuditRate(t *testing.T) {
	a, c := started()
	is, wait := a.Status(object, v1alpha1.PolicyModeAudit, nil)
	if diff := cmp.Diff(&v1alpha1.PolicyAudit{Generation: 2}, is); diff != "" || wait != 0 {
		t.Fatalf("at the beginning: wait %s, -want +got:\n%s", wait, diff)
	}
	writes, began := 0, c.at
	for i := range int64(300) { // a report each 100 ms
		c.at = began.Add(time.Duration(i) * 100 * time.Millisecond)
		a.Observe(shop, []report.Report{said("0", "a", i)}, set(trial))
		next, wait := a.Status(object, v1alpha1.PolicyModeAudit, is)
		if *next != *is {
			writes++
		} else if i > 0 && (wait <= 0 || wait > auditEvery) {
			t.Fatalf("nothing is written and nobody looks again: wait %s", wait)
		}
		is = next
	}
	if writes != 2 {
		t.Errorf("%d writes in 30 s, want 2 besides the first", writes)
	}
}

// TestAuditDirty: who has other counts is named once, by kind.
func TestAuditDirty(t *testing.T) {
	a, _ := started()
	cluster := policy.Policy{Name: "cap", UID: "c", Generation: 1, Audit: true, Cluster: true}
	one := said("0", "a", 1)
	one.Audits = append(one.Audits, report.Audit{Cluster: true, Policy: "cap", UID: "c", Generation: 1, Allow: 1})
	for range 2 {
		a.Observe(shop, []report.Report{one}, set(trial, cluster))
	}
	for kind, want := range map[bool][]types.NamespacedName{false: {{Namespace: "prod", Name: "trial"}}, true: {{Name: "cap"}}} {
		if len(a.Changed(kind)) != 1 {
			t.Errorf("%d events, want 1", len(a.Changed(kind)))
		}
		if diff := cmp.Diff(want, a.Dirty(kind)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if again := a.Dirty(kind); len(again) != 0 {
			t.Errorf("named again: %v", again)
		}
	}
	a.Forget(types.NamespacedName{Name: "cap"})
	if is, wait := a.Status(object, v1alpha1.PolicyEnforce, &v1alpha1.PolicyAudit{Generation: 2}); is != nil || wait != 0 || len(a.all) != 0 {
		t.Errorf("of a policy that decides: %v, %d tallies", is, len(a.all))
	}
}

// TestAuditBound: proxies that come and go do not fill the memory, and no count is lost.
func TestAuditBound(t *testing.T) {
	a, c := started()
	for i := range 5 * maxProcesses {
		a.Observe(shop, []report.Report{said("0", fmt.Sprint(i), 1)}, set(trial))
	}
	if n := len(a.all["u"].said); n > maxProcesses {
		t.Errorf("%d processes are told apart, the limit is %d", n, maxProcesses)
	}
	if got := written(t, a, c, nil); got != 5*maxProcesses {
		t.Errorf("%d counted, want %d", got, 5*maxProcesses)
	}
}
