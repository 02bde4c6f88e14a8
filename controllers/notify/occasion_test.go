// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/doorward/doorward/api/v1alpha1"
)

// came is a request of scope Session that came to a phase.
func came(phase v1alpha1.ApprovalPhase, inForce, breakGlass bool, conditions ...string) *v1alpha1.ApprovalRequest {
	r := examples()[1]
	r.Status.Phase = phase
	for _, c := range conditions {
		r.Status.Conditions = append(r.Status.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Now()})
	}
	if inForce {
		r.Status.Session.ExpiresAt = metav1.Now()
	}
	if breakGlass {
		r.Status.BreakGlass = &v1alpha1.BreakGlassUse{}
	}
	return r
}

// TestOccasions: what a request is says what is told of it; what nobody approved is never told
// as approved.
func TestOccasions(t *testing.T) {
	const approved, complete, broken, reviewed = v1alpha1.ConditionApproved, v1alpha1.ConditionComplete, v1alpha1.ConditionBreakGlass, v1alpha1.ConditionReviewed
	for name, tc := range map[string]struct {
		reason  string
		request *v1alpha1.ApprovalRequest
		want    string
	}{
		"Pending":         {"It waits for decisions.", came(v1alpha1.ApprovalPending, false, false), "Requested"},
		"Approved":        {"Somebody approved it.", came(v1alpha1.ApprovalApproved, true, false, approved), "Approved"},
		"BreakGlass":      {"Nobody approved it.", came(v1alpha1.ApprovalApproved, true, true, approved, broken), "BreakGlass"},
		"Revoked":         {"An approval was taken back.", came(v1alpha1.ApprovalRevoked, true, false, complete), "Revoked"},
		"Withdrawn":       {"There was nothing to take back.", came(v1alpha1.ApprovalRevoked, false, false, complete), ""},
		"BreakGlassEnded": {"Somebody did it, ended it, and nobody has looked at it.", came(v1alpha1.ApprovalRevoked, true, true, complete, broken), "BreakGlass Revoked ReviewDue"},
		"BreakGlassOver":  {"Somebody did it, and nobody has looked at it.", came(v1alpha1.ApprovalExpired, true, true, complete, broken), "BreakGlass Expired ReviewDue"},
		"Reviewed":        {"Somebody has.", came(v1alpha1.ApprovalExpired, true, true, complete, broken, reviewed), "BreakGlass Expired"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			for _, o := range occasions {
				if _, is := o.at(tc.request); is {
					told = append(told, string(o.event))
				}
			}
			if got := strings.Join(told, " "); got != tc.want {
				t.Errorf("%s: told %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestBreakGlassIsSaid: who hears of it hears that nobody approved it, whatever the event is.
func TestBreakGlassIsSaid(t *testing.T) {
	r := came(v1alpha1.ApprovalApproved, true, true)
	for event, want := range map[v1alpha1.NotifierEvent]string{
		v1alpha1.NotifyBreakGlass: "Goes ahead WITHOUT approvals: alice", v1alpha1.NotifyReviewDue: "Has to be reviewed, went ahead WITHOUT approvals: alice",
		v1alpha1.NotifyExpired: "Expired",
	} {
		m := newMessage(r, event, time.Now(), v1alpha1.MarkupPlain)
		if !m.BreakGlass || !strings.HasPrefix(m.Text, want) || m.Command != "" {
			t.Errorf("%s: %t, %q, %q", event, m.BreakGlass, m.Text, m.Command)
		}
	}
	if newMessage(examples()[1], v1alpha1.NotifyApproved, time.Now(), v1alpha1.MarkupPlain).BreakGlass {
		t.Error("what was approved is told as break-glass")
	}
}

// TestOrder: checklist 38, who makes many requests does not have approvers hear of nobody else;
// what somebody waits for comes before what is over.
func TestOrder(t *testing.T) {
	now := time.Now()
	var waiting []pending
	add := func(who string, event v1alpha1.NotifierEvent, age time.Duration) {
		name := fmt.Sprintf("%s/%s", who, event)
		request := &v1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s%03d", name, len(waiting)), UID: types.UID(fmt.Sprint(len(waiting)))}}
		request.Spec.Requester.Username = who
		waiting = append(waiting, pending{key: key{request.UID, event}, request: request, at: now.Add(-age)})
	}
	for range 100 {
		add("mallory", v1alpha1.NotifyExpired, time.Hour)
		add("mallory", v1alpha1.NotifyRequested, time.Minute)
	}
	add("alice", v1alpha1.NotifyApproved, 0)
	add("alice", v1alpha1.NotifyRequested, 0)
	add("bob", v1alpha1.NotifyBreakGlass, 0)
	add("carol", v1alpha1.NotifyRequested, 2*time.Minute)
	m := &memory{tried: map[key]attempts{waiting[len(waiting)-1].key: {count: 1}}}
	m.order(waiting)
	var first []string
	for _, p := range waiting[:3] {
		first = append(first, p.request.Spec.Requester.Username)
	}
	slices.Sort(first)
	if !slices.Equal(first, []string{"alice", "bob", "mallory"}) {
		t.Errorf("the first that are told are of %q", first)
	}
	at := func(who string, event v1alpha1.NotifierEvent) int {
		return slices.IndexFunc(waiting, func(p pending) bool { return p.event == event && p.request.Spec.Requester.Username == who })
	}
	if got := at("alice", v1alpha1.NotifyApproved); got > 104 {
		t.Errorf("an approval is told after %d others", got)
	}
	if first := at("mallory", v1alpha1.NotifyExpired); first < 102 {
		t.Errorf("what is over is told after %d others only", first)
	}
	if last := waiting[len(waiting)-1]; last.request.Spec.Requester.Username != "carol" {
		t.Errorf("what was tried in vain holds up %s", last.request.Name)
	}
}
