// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/doorward/doorward/api/v1alpha1"
)

// TestWarnedAfterCrash: a manager that dies before it warned leaves that to the next, which
// does so once, also where it is over by then.
func TestWarnedAfterCrash(t *testing.T) {
	for _, phase := range []v1alpha1.ApprovalPhase{v1alpha1.ApprovalApproved, v1alpha1.ApprovalExpired} {
		o := newOffice(t, made("a", ahead))
		a := o.judge(t, "a")
		if a.Status.BreakGlass.WarnedAt.IsZero() {
			t.Fatal("nothing says that it was warned of")
		}
		for range len(o.events.Events) {
			<-o.events.Events
		}
		a.Status.BreakGlass.WarnedAt, a.Status.Phase, o.outcomes = metav1.Time{}, phase, nil
		if err := o.client.Status().Update(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		o.judge(t, "a")
		o.judge(t, "a")
		warned := 0
		for range len(o.events.Events) {
			if strings.HasPrefix(<-o.events.Events, "Warning BreakGlass ") {
				warned++
			}
		}
		if warned != 2 || strings.Join(o.outcomes, " ") != BreakGlassActivated {
			t.Errorf("%s: %d warnings, counted %v; want one on the request, one on its Connection, and one counted", phase, warned, o.outcomes)
		}
	}
}

// strictRecorder is as strict as the API server: that refuses a note of more bytes, and the recorder drops
// what it refuses.
type strictRecorder struct {
	t     *testing.T
	notes []string
}

func (s *strictRecorder) Eventf(_, _ runtime.Object, _, _, _, note string, args ...any) {
	text := fmt.Sprintf(note, args...)
	if len(text) > 1024 || !utf8.ValidString(text) {
		s.t.Errorf("the API server refuses a note of %d bytes: %.60q", len(text), text)
		return
	}
	s.notes = append(s.notes, text)
}

// TestLongReasonIsAnnounced: checklist 38, no reason, in whatever script, keeps an Event from
// being made.
func TestLongReasonIsAnnounced(t *testing.T) {
	for _, letter := range []string{"a", "é", "注", "🙈"} {
		long := func(r *v1alpha1.ApprovalRequest) { r.Spec.Session.Reason = strings.Repeat(letter, 1024) }
		revoked := func(r *v1alpha1.ApprovalRequest) {
			r.Spec.Revoke = &v1alpha1.Revocation{Username: "alice", Reason: strings.Repeat(letter, 1024)}
		}
		o := newOffice(t, made("a", ahead, long), made("b", revoked))
		recorder := &strictRecorder{t: t}
		o.Events = recorder
		o.judge(t, "a")
		if len(recorder.notes) != 2 || !strings.Contains(recorder.notes[0], "alice goes ahead without approvals") || !strings.Contains(recorder.notes[0], letter) {
			t.Errorf("%q: told %.100q", letter, recorder.notes)
		}
		o.judge(t, "b")
		if len(recorder.notes) != 3 || !strings.Contains(recorder.notes[2], "is Revoked") {
			t.Errorf("%q: of a revocation told %.100q", letter, recorder.notes)
		}
	}
}
