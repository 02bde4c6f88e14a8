// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditsession

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestLose: a session is lost when its proxy has been gone for long enough, seen by this
// process without a break.
func TestLose(t *testing.T) {
	start := time.Unix(1800000000, 0)
	type look struct {
		after   time.Duration // since start
		present bool
		lost    bool
	}
	tests := map[string]struct {
		reason string
		phase  v1alpha1.SessionPhase
		looks  []look
	}{
		"Gone": {
			reason: "A proxy that stays away loses its sessions.", phase: v1alpha1.SessionActive,
			looks: []look{{}, {after: lostAfter - time.Second}, {after: lostAfter, lost: true}},
		},
		"NotWrittenYet": {
			reason: "A session without a status is no other.",
			looks:  []look{{}, {after: lostAfter, lost: true}},
		},
		"Back": {
			reason: "A proxy that came back begins anew.", phase: v1alpha1.SessionActive,
			looks: []look{{}, {after: lostAfter - time.Second, present: true}, {after: lostAfter}, {after: 2*lostAfter - time.Second}, {after: 2 * lostAfter, lost: true}},
		},
		"NewProcess": {
			reason: "A manager that just started has seen nothing yet.", phase: v1alpha1.SessionActive,
			looks: []look{{after: 24 * time.Hour}},
		},
		"Over": {
			reason: "What has ended is not lost.", phase: v1alpha1.SessionEnded,
			looks: []look{{}, {after: 2 * lostAfter}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{}
			session := &v1alpha1.AuditSession{Status: v1alpha1.AuditSessionStatus{Phase: tc.phase}}
			for i, l := range tc.looks {
				s := &scope{session: session, now: start.Add(l.after), present: l.present}
				if err := r.lose(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if s.lost != l.lost {
					t.Errorf("%s: look %d: lost %v, want %v", tc.reason, i, s.lost, l.lost)
				}
				if !l.lost && !over(session) && s.after <= 0 {
					t.Errorf("%s: look %d: nobody looks again", tc.reason, i)
				}
			}
		})
	}
}

// TestWriteLost: the status says for the proxy what it can no longer say.
func TestWriteLost(t *testing.T) {
	s := &scope{session: &v1alpha1.AuditSession{}, now: time.Unix(1800000000, 0)}
	s.session.Generation = 2
	writeLost(s)
	status := s.session.Status
	complete := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionComplete)
	if status.Phase != v1alpha1.SessionLost || status.EndedAt == nil || !status.EndedAt.Time.Equal(s.now) || status.EndReason == "" {
		t.Errorf("status %+v", status)
	}
	if complete == nil || complete.Status != "True" || complete.Reason != v1alpha1.ReasonSessionLost || complete.ObservedGeneration != 2 {
		t.Errorf("condition %+v", complete)
	}
}
