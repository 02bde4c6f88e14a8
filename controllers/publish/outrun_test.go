// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"math"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestOutrun: what a proxy says it has seen moves the revision up, never down, and
// cannot use the numbers up.
func TestOutrun(t *testing.T) {
	connection := &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", UID: "u"}}
	connection.Status.Snapshot = &v1alpha1.SnapshotStatus{Revision: 7}
	now := time.Unix(1800000000, 0)
	p := New(nil, nil, nil)
	p.now = func() time.Time { return now }
	for _, step := range []struct {
		reason string
		after  time.Duration
		wants  int64
		moved  bool
		floor  int64
	}{
		{reason: "nothing is wanted", wants: 0, floor: 0},
		{reason: "what was published", wants: 7, floor: 0},
		{reason: "less than that", wants: math.MinInt64, floor: 0},
		{reason: "more", wants: 10, moved: true, floor: 10},
		{reason: "more again, at once", wants: 12, floor: 10},
		{reason: "later", after: leapEvery, wants: 12, moved: true, floor: 12},
		{reason: "all numbers there are", after: leapEvery, wants: math.MaxInt64, moved: true, floor: 12 + maxLeap},
	} {
		now = now.Add(step.after)
		if moved := p.Outrun(connection, step.wants); moved != step.moved {
			t.Errorf("%s: moved %t, want %t", step.reason, moved, step.moved)
		}
		if l := p.lives[client.ObjectKeyFromObject(connection)]; l.revision != step.floor || l.beating {
			t.Errorf("%s: floor %d, beating %t, want %d and no heartbeat of what is not published", step.reason, l.revision, l.beating, step.floor)
		}
	}
}
