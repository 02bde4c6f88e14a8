// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// TestForeignLoginsStay is checklist 52: no proxy that is ended, replaced or started
// again takes what it found out of the condition, and neither does a crowd; that the
// password was changed does, but for whoever is seen after that.
func TestForeignLoginsStay(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	login := func(name string, found, seen time.Duration) report.ForeignLogin {
		return report.ForeignLogin{Target: "db:5432", Login: name, OwnRole: true, FoundAt: now.Add(-found), SeenAt: now.Add(-seen)}
	}
	kept := func(name string, found, seen time.Duration) v1alpha1.ForeignLogin {
		return v1alpha1.ForeignLogin{Target: "db:5432", Login: name, FoundAt: ago(found), SeenAt: ago(seen)}
	}
	proxy := func(skew time.Duration, logins ...report.ForeignLogin) observed {
		var o observed
		o.ObservedAt, o.staleAt, o.Target = now.Add(skew), now.Add(report.StaleAfter), &report.Target{}
		for _, l := range logins {
			l.FoundAt, l.SeenAt = l.FoundAt.Add(skew), l.SeenAt.Add(skew)
			o.Target.Foreign = append(o.Target.Foreign, l)
		}
		return o
	}
	other := login("1", time.Hour, 0)
	other.OwnRole = false
	var crowd []report.ForeignLogin
	var first []v1alpha1.ForeignLogin
	for i := range report.MaxForeign {
		crowd = append(crowd, login(fmt.Sprint(i), time.Minute, 0))
		first = append(first, kept(fmt.Sprint(i), time.Minute, 0))
	}
	long := strings.Repeat("é", 400)
	for name, tc := range map[string]struct {
		reason     string
		before     []v1alpha1.ForeignLogin
		live, gone []observed
		changed    string
		want       []v1alpha1.ForeignLogin
		refused    string
	}{
		"None":       {reason: "nobody was found", live: []observed{{}, proxy(0)}},
		"Found":      {reason: "by a proxy whose clock is off", live: []observed{proxy(-time.Hour, login("1", 2*time.Minute, time.Minute))}, want: []v1alpha1.ForeignLogin{kept("1", 2*time.Minute, time.Minute)}},
		"OtherRole":  {reason: "others have their own business there", live: []observed{proxy(0, other)}},
		"ByTwo":      {reason: "replicas tell of one login", live: []observed{proxy(0, login("1", time.Minute, 0), login("2", time.Minute, time.Minute)), proxy(0, login("1", time.Hour, time.Minute))}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, 0), kept("2", time.Minute, time.Minute)}},
		"Restarted":  {reason: "the proxy remembers nothing", before: []v1alpha1.ForeignLogin{kept("1", 23*time.Hour, 23*time.Hour)}, live: []observed{proxy(0)}, want: []v1alpha1.ForeignLogin{kept("1", 23*time.Hour, 23*time.Hour)}},
		"NoProxy":    {reason: "nor does nobody", before: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}},
		"Killed":     {reason: "this process has never seen the proxy live", gone: []observed{proxy(0, login("1", time.Hour, time.Hour))}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}},
		"SeenAgain":  {reason: "the day begins with the last look", before: []v1alpha1.ForeignLogin{kept("1", 30*time.Hour, 23*time.Hour)}, live: []observed{proxy(0, login("1", time.Minute, 0))}, want: []v1alpha1.ForeignLogin{kept("1", 30*time.Hour, 0)}},
		"DayOver":    {reason: "not for ever", before: []v1alpha1.ForeignLogin{kept("1", 48*time.Hour, 24*time.Hour+time.Second)}, live: []observed{proxy(0, login("2", 48*time.Hour, 25*time.Hour))}},
		"Crowd":      {reason: "bounded, and the last to be seen counts the longest", before: []v1alpha1.ForeignLogin{kept("old", time.Hour, time.Minute)}, live: []observed{proxy(0, crowd...)}, want: first},
		"Malformed":  {reason: "no report keeps the status from being written", live: []observed{proxy(0, report.ForeignLogin{OwnRole: true, Target: long, Login: long, Address: long + "\xff", SeenAt: now.Add(time.Hour)})}, want: []v1alpha1.ForeignLogin{{Target: strings.Repeat("é", 160), Login: strings.Repeat("é", 128), Address: strings.Repeat("é", 128), FoundAt: ago(longestForeign), SeenAt: ago(0)}}},
		"Nameless":   {reason: "the API wants names", live: []observed{proxy(0, report.ForeignLogin{OwnRole: true, FoundAt: now, SeenAt: now})}, want: []v1alpha1.ForeignLogin{{Target: "unknown", Login: "unknown", FoundAt: ago(0), SeenAt: ago(0)}}},
		"Changed":    {reason: "the former password is of no use, whatever proxies remember", changed: "2026-03-04T05:05:07Z", before: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, live: []observed{proxy(0, login("1", time.Hour, time.Hour), login("2", time.Hour, 2*time.Minute))}},
		"StillThere": {reason: "a session outlives its password", changed: "2026-03-04T07:05:07+02:00", live: []observed{proxy(0, login("1", time.Hour, 0))}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, 0)}},
		"Future":     {reason: "that would let pass whoever comes", changed: "2026-03-04T05:06:08Z", before: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, refused: "future"},
		"NoTime":     {reason: "a typo clears nothing, and is told", changed: "yesterday", before: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, want: []v1alpha1.ForeignLogin{kept("1", time.Hour, time.Hour)}, refused: `"yesterday"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.Connection{}
			c.Status.ForeignLogins = tc.before
			if tc.changed != "" {
				c.Annotations = map[string]string{v1alpha1.AnnotationCredentialChangedAt: tc.changed}
			}
			s := &scope{connection: c, live: tc.live, gone: tc.gone, now: now}
			got := foreignLogins(s)
			if diff := cmp.Diff(append([]v1alpha1.ForeignLogin{}, tc.want...), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			c.Status.ForeignLogins = got
			v := (&Reconciler{}).isolated(s, nil)
			if (v.Reason == v1alpha1.ReasonForeignLogins) != (len(tc.want) > 0) || !strings.Contains(v.Message, tc.refused) {
				t.Errorf("%s: %s %q", tc.reason, v.Reason, v.Message)
			}
			if _, refused := credentialChangedAt(s); (refused != "") != (tc.refused != "") {
				t.Errorf("%s: refused %q", tc.reason, refused)
			}
		})
	}
}
