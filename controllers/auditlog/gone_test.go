// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package auditlog

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/witness"
)

// TestAbsent: a log ends when its proxy has been gone for long enough, seen by
// this process without a break.
func TestAbsent(t *testing.T) {
	start := time.Unix(1800000000, 0)
	const id, other = "00000000000000000000000000000001", "00000000000000000000000000000002"
	type look struct {
		after   time.Duration // since start
		present bool
		log     string // that the instance submits
		ended   bool
	}
	tests := map[string]struct {
		reason   string
		complete kit.Verdict
		looks    []look
	}{
		"Gone": {
			reason: "A proxy that stays away has ended its log.", complete: open(),
			looks: []look{{log: id}, {after: goneAfter - time.Second, log: id}, {after: goneAfter, log: id, ended: true}},
		},
		"Back": {
			reason: "A proxy that comes back in time has not, and the count begins anew.", complete: open(),
			looks: []look{
				{log: id},
				{after: goneAfter - time.Second, present: true, log: id},
				{after: goneAfter, log: id},
				{after: 2*goneAfter - time.Second, log: id},
				{after: 2 * goneAfter, log: id, ended: true},
			},
		},
		"Replaced": {
			reason: "A proxy that has begun another log does not go on with this one.", complete: open(),
			looks: []look{{present: true, log: other}, {after: goneAfter, present: true, log: other, ended: true}},
		},
		"Closed": {
			reason: "A log that was closed in order has nothing missing.", complete: closed(7),
			looks: []look{{}, {after: goneAfter}, {after: 2 * goneAfter}},
		},
		"EndedBefore": {
			reason: "It is said once.", complete: ended(7),
			looks: []look{{}, {after: goneAfter}, {after: 2 * goneAfter}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := New(Options{})
			log := &v1alpha1.AuditLog{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: id}, Spec: v1alpha1.AuditLogSpec{Instance: "shop-0"}}
			writeStatus(log, tc.complete)
			for i, l := range tc.looks {
				s := &scope{now: start.Add(l.after), reports: map[string]string{}, submissions: map[string]*witness.Submission{}}
				if l.present {
					s.reports["shop-0"] = "{}"
				}
				if l.log != "" {
					s.submissions["shop-0"] = &witness.Submission{Log: l.log}
				}
				wait, gone := r.absent(s, log)
				if gone != l.ended {
					t.Errorf("%s: look %d: ended %v, want %v", tc.reason, i, gone, l.ended)
				}
				if !gone && !l.present && !over(log) && wait <= 0 {
					t.Errorf("%s: look %d: nobody looks again", tc.reason, i)
				}
			}
		})
	}
}

// TestState: what is found out first about a log's honesty outweighs the rest.
func TestState(t *testing.T) {
	log := &v1alpha1.AuditLog{}
	for _, step := range []struct {
		complete kit.Verdict
		want     v1alpha1.AuditLogState
	}{
		{open(), v1alpha1.AuditLogOpen},
		{closed(3), v1alpha1.AuditLogClosed},
		{open(), v1alpha1.AuditLogOpen},
		{ended(4), v1alpha1.AuditLogEnded},
		{kit.Verdict{}, v1alpha1.AuditLogEnded},
		{open(), v1alpha1.AuditLogOpen},
	} {
		writeStatus(log, step.complete)
		if log.Status.State != step.want {
			t.Errorf("%s: state %s, want %s", step.complete.Reason, log.Status.State, step.want)
		}
	}
	kit.Write(&log.Status.Conditions, 1, kit.False(v1alpha1.ConditionConsistent, v1alpha1.ReasonForked, "two histories"))
	for _, complete := range []kit.Verdict{open(), closed(5), ended(5)} {
		writeStatus(log, complete)
		if reason, _ := distrusted(log); log.Status.State != v1alpha1.AuditLogConflict || reason != v1alpha1.ReasonForked {
			t.Errorf("%s: state %s, reason %q", complete.Reason, log.Status.State, reason)
		}
	}
}
