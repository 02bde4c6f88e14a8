// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/directway"
	"github.com/doorward/doorward/proxy/report"
)

// ways answers one result for all.
type ways struct {
	result directway.Result
	known  bool
}

func (*ways) Want(types.NamespacedName, directway.Target) {}
func (*ways) Forget(types.NamespacedName)                 {}
func (w *ways) Result(types.NamespacedName) (directway.Result, bool) {
	return w.result, w.known
}

// TestIsolated is checklist 52: what was observed comes to True only where it proves
// that the way is closed, and to words that say what was checked.
func TestIsolated(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	proxy := func(change func(*report.Target)) observed {
		var o observed
		o.Instance, o.ObservedAt, o.staleAt = "shop-0", now, now.Add(report.StaleAfter)
		o.Target = &report.Target{Reached: map[string]time.Time{"db:5432": now.Add(-time.Minute)}, Watched: true}
		if change != nil {
			change(o.Target)
		}
		return o
	}
	foreign := func(own bool, seen time.Duration) observed {
		return proxy(func(t *report.Target) {
			t.Foreign = []report.ForeignLogin{{Target: "db:5432", Login: "7/x", OwnRole: own, Role: "backup", Address: "192.0.2.66:4022", FoundAt: now.Add(-seen), SeenAt: now.Add(-seen)}}
		})
	}
	closedWay := directway.Result{From: "the manager", Closed: []string{"db:5432"}}
	one := surroundings{target: 1}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	for name, tc := range map[string]struct {
		reason   string
		external bool
		unset    bool
		standby  bool // there is a second target
		isolate  v1alpha1.Isolation
		around   surroundings
		live     []observed
		result   *directway.Result
		failed   error
		want     string
		message  string
	}{
		"Closed":          {reason: "tried, and nothing else explains it", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(nil)}, result: &closedWay, want: "True DirectWayClosed", message: "other places were not tried; 1 of 1 proxies watch logins"},
		"External":        {reason: "nothing in this cluster can", external: true, unset: true, live: []observed{proxy(nil)}, want: "Unknown NotApplicable", message: "pg_hba.conf"},
		"ExternalForeign": {reason: "who goes round is told all the same", external: true, unset: true, live: []observed{foreign(true, time.Hour)}, want: "False ForeignLogins", message: "at db:5432 from 192.0.2.66:4022, found 2026-03-04T04:06:07Z"},
		"NotRequested":    {reason: "nobody asked for it", unset: true, want: "False NotRequested", message: "goes round the proxy"},
		"UnsetForeign":    {reason: "also where nobody asked", unset: true, live: []observed{foreign(true, time.Hour)}, want: "False ForeignLogins", message: "change the password"},
		"Failed":          {reason: "it could not be observed", isolate: v1alpha1.Isolation{PodSelector: selector}, failed: errors.New("no connection"), want: "Unknown Progressing", message: "no connection"},
		"Foreign":         {reason: "it outweighs a closed way", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{foreign(true, 23*time.Hour)}, result: &closedWay, want: "False ForeignLogins", message: "without a proxy"},
		"ForeignOld":      {reason: "a day is over", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{foreign(true, 25*time.Hour)}, result: &closedWay, want: "True DirectWayClosed"},
		"ForeignRole":     {reason: "others have their own business there", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{foreign(false, time.Hour)}, result: &closedWay, want: "True DirectWayClosed"},
		"Shared":          {reason: "foreign pods can mount the credential", isolate: v1alpha1.Isolation{PodSelector: selector}, around: surroundings{target: 1, shared: []string{"web-1", "web-2", "web-3", "web-4"}}, live: []observed{proxy(nil)}, result: &closedWay, want: "False SharedNamespace", message: "move web-1, web-2, web-3, and 1 more"},
		"HostNetwork":     {reason: "no policy applies", isolate: v1alpha1.Isolation{PodSelector: selector}, around: surroundings{target: 1, hostNetwork: []string{"db-0"}}, live: []observed{proxy(nil)}, result: &closedWay, want: "False HostNetwork", message: "db-0"},
		"Open":            {reason: "the policy is not enforced", isolate: v1alpha1.Isolation{PodSelector: selector}, around: surroundings{target: 1, others: []string{"allow-all"}}, live: []observed{proxy(nil)}, result: &directway.Result{From: "the manager", Open: []string{"db:5432"}}, want: "False DirectWayOpen", message: "from the manager, which is no proxy, db:5432 could be connected to: the cluster's network does not enforce"},
		"OpenElsewhere":   {reason: "a firewall has a hole", isolate: v1alpha1.Isolation{Probe: v1alpha1.IsolationProbeEnabled}, live: []observed{proxy(nil)}, result: &directway.Result{From: "the manager", Open: []string{"db:5432"}}, want: "False DirectWayOpen", message: "firewall admits more"},
		"OtherPolicies":   {reason: "policies add up", isolate: v1alpha1.Isolation{PodSelector: selector}, around: surroundings{target: 1, others: []string{"allow-all", "metrics"}}, live: []observed{proxy(nil)}, result: &closedWay, want: "False OtherPolicies", message: "narrow allow-all, metrics"},
		"OtherNotProbed":  {reason: "known without trying", isolate: v1alpha1.Isolation{PodSelector: selector, Probe: v1alpha1.IsolationProbeDisabled}, around: surroundings{target: 1, others: []string{"allow-all"}}, want: "False OtherPolicies", message: "allow-all"},
		"NoTarget":        {reason: "a misspelt label closes nothing", isolate: v1alpha1.Isolation{PodSelector: selector}, live: []observed{proxy(nil)}, result: &closedWay, want: "Unknown TargetNotFound", message: "selects no pod"},
		"Disabled":        {reason: "nobody tries", isolate: v1alpha1.Isolation{PodSelector: selector, Probe: v1alpha1.IsolationProbeDisabled}, around: one, live: []observed{proxy(nil)}, result: &closedWay, want: "Unknown NotProbed", message: "probe is Disabled"},
		"NotYet":          {reason: "a policy that was written proves nothing", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(nil)}, want: "Unknown NotProbed", message: "not tried yet"},
		"Untold":          {reason: "DNS", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(nil)}, result: &directway.Result{From: "the manager", Untold: `"db:5432": the name is unknown`}, want: "Unknown NotProbed", message: "the name is unknown"},
		"Elsewhere":       {reason: "one place that is closed says nothing of others", isolate: v1alpha1.Isolation{Probe: v1alpha1.IsolationProbeEnabled}, live: []observed{proxy(nil)}, result: &closedWay, want: "Unknown NotApplicable", message: "firewall"},
		"NoWayOut":        {reason: "the manager's own egress", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(nil)}, result: &directway.Result{From: "the manager", Closed: []string{"db:5432"}, Control: "no answer"}, want: "Unknown EnforcementUnknown", message: "but neither could the proxies (no answer)"},
		"Down":            {reason: "a target that is down is closed, too", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(func(t *report.Target) { t.Reached["db:5432"] = now.Add(-time.Hour) })}, result: &closedWay, want: "Unknown EnforcementUnknown", message: "but no proxy has reached db:5432 lately either"},
		"OneDown":         {reason: "that another target is up says nothing of it", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, standby: true, live: []observed{proxy(nil)}, result: &closedWay, want: "Unknown EnforcementUnknown", message: "but no proxy has reached standby:5432 lately either"},
		"BothUp":          {reason: "each was reached by one of them", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, standby: true, live: []observed{proxy(nil), proxy(func(t *report.Target) { t.Reached = map[string]time.Time{"standby:5432": now} })}, result: &closedWay, want: "True DirectWayClosed"},
		"NoProxy":         {reason: "nobody says that the target is up", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, result: &closedWay, want: "Unknown EnforcementUnknown", message: "logins at the target are not watched"},
		"NotWatched":      {reason: "said, since short of a proof", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(func(t *report.Target) { t.Watched = false })}, result: &closedWay, want: "True DirectWayClosed", message: "logins at the target are not watched"},
		"Blind":           {reason: "whoever copies that proxy's name is judged by nobody", isolate: v1alpha1.Isolation{PodSelector: selector}, around: one, live: []observed{proxy(nil), proxy(func(t *report.Target) { t.Trouble, t.Blind = "a look failed", true })}, result: &closedWay, want: "Unknown LoginsUnknown", message: `1 of 2 proxies watch logins at the target: proxy "shop-0": a look failed`},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Connection{}
			c.Namespace, c.Name, c.Spec.Proxy.Placement = "shop-access", "shop", v1alpha1.PlacementManaged
			c.Spec.Targets = []v1alpha1.Target{{Host: "db", Port: 5432}}
			if tc.standby {
				c.Spec.Targets = append(c.Spec.Targets, v1alpha1.Target{Host: "standby", Port: 5432})
			}
			if tc.external {
				c.Spec.Proxy.Placement = v1alpha1.PlacementExternal
			}
			if !tc.unset {
				c.Spec.Isolation = &tc.isolate
			}
			r := &Reconciler{Options: Options{DirectWay: &ways{}}}
			if tc.result != nil {
				result := *tc.result
				result.Until = now
				r.DirectWay = &ways{result, true}
			}
			s := &scope{connection: c, now: now, surroundings: tc.around, live: tc.live, reached: map[string]bool{"isolate": tc.failed == nil, "observe": true}}
			c.Status.ForeignLogins = foreignLogins(s)
			v := r.isolated(s, tc.failed)
			if got := string(v.Status) + " " + v.Reason; got != tc.want || !strings.Contains(v.Message, tc.message) {
				t.Errorf("%s: %s: %q, want %s: %q", tc.reason, got, v.Message, tc.want, tc.message)
			}
		})
	}
}
