// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/events"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/report"
)

// TestWarnOfLogs is checklist 43: a log that cannot be written is told as an
// Event, once for each change.
func TestWarnOfLogs(t *testing.T) {
	full := report.Problem{Type: report.LogWritable, Reason: "LogUnavailable", Message: "record log full"}
	tight := report.Problem{Type: report.LogSpace, Reason: "LogFillsUp", Message: "80 % used"}
	other := report.Problem{Type: v1alpha1.ConditionCredentialAvailable, Reason: "SecretNotFound", Message: "no Secret"}
	steps := []struct {
		reason   string
		problems []report.Problem
		want     []string
	}{
		{"Nothing is wrong.", nil, nil},
		{"It fills up.", []report.Problem{tight}, []string{"Warning LogFillsUp proxy \"one\": 80 % used"}},
		{"It still does.", []report.Problem{tight}, nil},
		{"It is full, which is worse.", []report.Problem{tight, full}, []string{"Warning LogUnavailable proxy \"one\": record log full"}},
		{"It still is.", []report.Problem{tight, full}, nil},
		{"There is room again.", nil, nil},
		{"It is full once more.", []report.Problem{full}, []string{"Warning LogUnavailable proxy \"one\": record log full"}},
		{"Other problems have conditions of their own.", []report.Problem{other}, nil},
	}
	recorder := events.NewFakeRecorder(8)
	r := &Reconciler{Options: Options{Events: recorder}}
	s := &scope{connection: &v1alpha1.Connection{}, reached: map[string]bool{"observe": true}}
	for _, step := range steps {
		o := observed{}
		o.Instance, o.Problems = "one", step.problems
		s.live = []observed{o}
		r.warnOfLogs(s)
		s.connection.Status.Proxies = proxies(s)
		var got []string
		for len(recorder.Events) > 0 {
			got = append(got, <-recorder.Events)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
	}
}
