// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditsession

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// deleter counts deletions, and whether they were bound to what was looked at.
type deleter struct {
	client.Client
	deleted int
	bound   bool
}

func (d *deleter) Delete(_ context.Context, _ client.Object, options ...client.DeleteOption) error {
	d.deleted++
	all := (&client.DeleteOptions{}).ApplyOptions(options)
	d.bound = all.Preconditions != nil && all.Preconditions.UID != nil && all.Preconditions.ResourceVersion != nil
	return nil
}

// TestRetire: a session goes when it has been over for its Connection's time, not before, and
// never while it goes on.
func TestRetire(t *testing.T) {
	now := time.Unix(1800000000, 0)
	ago := func(d time.Duration) *metav1.Time { at := metav1.NewTime(now.Add(-d)); return &at }
	tests := map[string]struct {
		reason  string
		phase   v1alpha1.SessionPhase
		created time.Duration // ago
		ended   *metav1.Time
		keep    time.Duration
		deleted bool
		after   time.Duration
	}{
		"Active":    {"What goes on stays, however old.", v1alpha1.SessionActive, 1000 * time.Hour, nil, time.Minute, false, 0},
		"Unwritten": {"No status says nothing of an end.", "", 1000 * time.Hour, nil, time.Minute, false, 0},
		"Kept":      {"Its time is not over.", v1alpha1.SessionEnded, time.Hour, ago(59 * time.Second), time.Minute, false, time.Second},
		"Over":      {"Its time is over.", v1alpha1.SessionEnded, time.Hour, ago(time.Minute), time.Minute, true, 0},
		"Lost":      {"A lost session is over too.", v1alpha1.SessionLost, time.Hour, ago(time.Hour), time.Minute, true, 0},
		"Default":   {"A week where nothing else is said.", v1alpha1.SessionEnded, time.Hour, ago(DefaultRetention - time.Minute), DefaultRetention, false, time.Minute},
		"Long":      {"A retention time that is shortened later is noticed.", v1alpha1.SessionEnded, time.Hour, ago(0), DefaultRetention, false, lookEvery},
		"NoEnd":     {"Without a time of its end, it counts from its creation.", v1alpha1.SessionEnded, time.Hour, nil, time.Minute, true, 0},
		"Future":    {"A proxy's clock that is ahead keeps it longer.", v1alpha1.SessionEnded, time.Hour, ago(-time.Minute), time.Minute, false, 2 * time.Minute},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := &deleter{}
			session := &v1alpha1.AuditSession{Status: v1alpha1.AuditSessionStatus{Phase: tc.phase, EndedAt: tc.ended}}
			session.UID, session.ResourceVersion = types.UID("uid"), "7"
			session.CreationTimestamp = *ago(tc.created)
			s := &scope{session: session, now: now, keep: tc.keep}
			if err := (&Reconciler{Client: d}).retire(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			if (d.deleted == 1) != tc.deleted || s.deleted != tc.deleted || s.after != tc.after {
				t.Errorf("%s: deleted %v, again after %s; want %v, %s", tc.reason, s.deleted, s.after, tc.deleted, tc.after)
			}
			if tc.deleted && !d.bound {
				t.Errorf("%s: it deletes whatever is there by now", tc.reason)
			}
		})
	}
}
