// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// brokenFacts are those of a request of alice, of the group on-call, to go ahead without
// approvals, that nobody has looked at.
func brokenFacts(change ...func(*Facts)) Facts {
	f := sessionFacts()
	f.Request.Status = v1alpha1.ApprovalRequestStatus{}
	f.Request.Generation = 1
	f.Request.Spec.Session.BreakGlass, f.Request.Spec.Session.DurationSeconds = v1alpha1.BreakGlassDeclared, 600
	f.Request.Spec.Requester.Groups = []string{"on-call"}
	f.Policies["p"].Rules[0].Approval.BreakGlass = &v1alpha1.BreakGlass{
		Subjects: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "on-call"}}, MaxDurationSeconds: 900,
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// TestEvaluateBreakGlass: who goes ahead without approvals, and what ends it.
func TestEvaluateBreakGlass(t *testing.T) {
	terms := func(f *Facts) *v1alpha1.ApprovalTerms { return f.Policies["p"].Rules[0].Approval }
	active := func(change func(*Facts)) Facts {
		f := brokenFacts()
		take(&f, Evaluate(f))
		change(&f)
		return f
	}
	decided := func(verdict v1alpha1.Verdict) func(*Facts) {
		return func(f *Facts) {
			d := by("bob", verdict, "leads")
			d.OperationDigest = f.Request.Status.Session.Digest
			f.Request.Spec.Decisions, f.Entitled[0] = []v1alpha1.Decision{d}, true
		}
	}
	for name, tc := range map[string]struct {
		reason string
		facts  Facts
		phase  v1alpha1.ApprovalPhase
		word   string
		broken bool
	}{
		"Group": {"A member of a named group.", brokenFacts(), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"User": {"Who is named.", brokenFacts(func(f *Facts) {
			terms(f).BreakGlass.Subjects = []v1alpha1.Approver{{Kind: v1alpha1.ApproverUser, Name: "alice"}}
		}), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"Others": {"Nobody else.", brokenFacts(func(f *Facts) { f.Request.Spec.Requester.Groups = []string{"leads"} }), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"System": {"No service account.", brokenFacts(func(f *Facts) { f.Request.Spec.Requester.Username = "system:serviceaccount:ci:bot" }), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"Nobody": {"Not where the rule lets nobody.", brokenFacts(func(f *Facts) { terms(f).BreakGlass = nil }), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"Operation": {"Also where the rule holds each operation.", brokenFacts(func(f *Facts) {
			terms(f).Scope, terms(f).MaxDurationSeconds = "", 0
		}), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"OneOfTwo": {"Each rule must let the requester, that of a ClusterAccessPolicy too.", brokenFacts(func(f *Facts) {
			f.Request.Spec.Session.Rules = append(f.Request.Spec.Session.Rules, v1alpha1.RequestedRule{Kind: v1alpha1.KindClusterAccessPolicy, Policy: "p", Rule: "all"})
			f.Policies["q"] = Policy{Kind: v1alpha1.KindClusterAccessPolicy, Name: "p", UID: "q", Generation: 4, Rules: []v1alpha1.Rule{sessionRule("all", "security")}}
		}), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"TooLong":  {"The rule bounds it.", brokenFacts(func(f *Facts) { f.Request.Spec.Session.DurationSeconds = 901 }), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"NoGroups": {"A member of more groups than a request can state has to be named.", brokenFacts(func(f *Facts) { f.Request.Spec.Requester.Groups = nil }), v1alpha1.ApprovalVoid, "TermsMismatch", false},
		"TooLate": {"Nobody expects it in force long after it was made.", brokenFacts(func(f *Facts) {
			f.Request.CreationTimestamp = metav1.NewTime(f.Now.Add(-breakGlassWithin))
		}), v1alpha1.ApprovalExpired, "Expired", false},
		"InTime": {"The last moment.", brokenFacts(func(f *Facts) {
			f.Request.CreationTimestamp = metav1.NewTime(f.Now.Add(time.Second - breakGlassWithin))
		}), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"Waiting":     {"What else of the requester waits does not matter.", brokenFacts(func(f *Facts) { f.Waiting = maxWaiting }), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"Kept":        {"Checklist 38: but what is kept does.", brokenFacts(func(f *Facts) { f.Kept = maxKept }), v1alpha1.ApprovalVoid, "QuotaExceeded", false},
		"Unreviewed":  {"Not before what was done is reviewed.", brokenFacts(func(f *Facts) { f.Unreviewed = maxUnreviewed }), v1alpha1.ApprovalVoid, "ReviewsOutstanding", false},
		"OneMore":     {"The last that may be unreviewed.", brokenFacts(func(f *Facts) { f.Unreviewed = maxUnreviewed - 1 }), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"NotBelieved": {"Checklist 31: it may be forged.", brokenFacts(func(f *Facts) { f.NotBelieved = errors.New("off") }), v1alpha1.ApprovalVoid, "AdmissionNotEnforced", false},
		"Later":       {"It goes on; what else is unreviewed does not matter any more.", active(func(f *Facts) { f.Unreviewed, f.Now = 9, now.Add(599*time.Second) }), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"Over":        {"Checklist 36: its time is over.", active(func(f *Facts) { f.Now = now.Add(600 * time.Second) }), v1alpha1.ApprovalExpired, "Expired", true},
		"Denied":      {"An approver denies it after all.", active(decided(v1alpha1.VerdictDeny)), v1alpha1.ApprovalDenied, "Denied", true},
		"Approved":    {"Approving changes nothing.", active(decided(v1alpha1.VerdictApprove)), v1alpha1.ApprovalApproved, "BreakGlass", true},
		"Revoked":     {"Checklist 36: it was revoked.", active(func(f *Facts) { f.Request.Spec.Revoke = &v1alpha1.Revocation{Username: "alice", Reason: "done"} }), v1alpha1.ApprovalRevoked, "Revoked", true},
		"Stale":       {"Checklist 33: the Connection changed.", active(func(f *Facts) { f.Connection.Generation++ }), v1alpha1.ApprovalStale, "Stale", true},
		"Void":        {"Admission is not enforced any more.", active(func(f *Facts) { f.NotBelieved = errors.New("off") }), v1alpha1.ApprovalVoid, "AdmissionNotEnforced", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := Evaluate(tc.facts)
			if got.Phase != tc.phase || got.Reason != tc.word || got.BreakGlass != tc.broken {
				t.Errorf("%s: phase %s, %s (%s), without approvals: %t; want %s, %s, %t", tc.reason, got.Phase, got.Reason, got.Message, got.BreakGlass, tc.phase, tc.word, tc.broken)
			}
		})
	}
}

// TestBreakGlassStatus: it says loudly that nobody approved.
func TestBreakGlassStatus(t *testing.T) {
	f := brokenFacts()
	s := &scope{request: f.Request, facts: f, result: Evaluate(f), judged: true, enforcement: strings.Repeat("a", 64)}
	writeStatus(s, nil)
	status := &f.Request.Status
	if status.BreakGlass == nil || status.BreakGlass.ReasonDigest != reasonDigest(f.Request) || !f.Request.AwaitsReview() || status.MinimumApprovals != 0 {
		t.Errorf("status %+v, %+v", status, status.BreakGlass)
	}
	if !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionBreakGlass) || !meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionReviewed) {
		t.Errorf("conditions %+v", status.Conditions)
	}
	if end := status.Session.ExpiresAt.Time; !end.Equal(now.Add(10*time.Minute)) || !status.ExpiresAt.Time.Equal(end) {
		t.Errorf("until %s, want ten minutes from now", end)
	}
}

// TestJudgeReview: checklist 31 and 32, a review is judged like a decision.
func TestJudgeReview(t *testing.T) {
	interval := strings.Repeat("a", 64)
	for name, tc := range map[string]struct {
		reason string
		change func(*ReviewFacts)
		want   string
	}{
		"Counts":      {"Another, entitled person.", func(*ReviewFacts) {}, "Reviewed"},
		"None":        {"There is none.", func(f *ReviewFacts) { f.Request.Spec.Review = nil }, "ReviewAwaited"},
		"Self":        {"Nobody reviews their own.", func(f *ReviewFacts) { f.Request.Spec.Review.Reviewer.Username = "alice" }, "SelfApproval"},
		"NotStamped":  {"Nobody knows whose it is.", func(f *ReviewFacts) { f.Request.Spec.Review.Reviewer = nil }, "NotStamped"},
		"NotNamed":    {"The verb alone does not review.", func(f *ReviewFacts) { f.Request.Spec.Review.Reviewer.Groups = []string{"others"} }, "NotEntitled"},
		"System":      {"A system user is no member of a group.", func(f *ReviewFacts) { f.Request.Spec.Review.Reviewer.Username = "system:serviceaccount:ci:bot" }, "NotEntitled"},
		"NoVerb":      {"The group alone does not review.", func(f *ReviewFacts) { f.Entitled = false }, "NotEntitled"},
		"Digest":      {"It is of something else.", func(f *ReviewFacts) { f.Request.Spec.Review.OperationDigest = digest }, "DigestMismatch"},
		"NotBelieved": {"It may be forged.", func(f *ReviewFacts) { f.NotBelieved = errors.New("off") }, "AdmissionNotEnforced"},
		"Interrupted": {"It may have been forged in between.", func(f *ReviewFacts) { f.Enforcement = strings.Repeat("b", 64) }, "AdmissionNotEnforced"},
	} {
		t.Run(name, func(t *testing.T) {
			f := brokenFacts()
			s := &scope{request: f.Request, facts: f, result: Evaluate(f), judged: true, enforcement: interval}
			writeStatus(s, nil)
			f.Request.Spec.Review = &v1alpha1.Review{
				OperationDigest: f.Request.Status.Session.Digest, Reason: "seen", Reviewer: &v1alpha1.DecisionApprover{Username: "bob", Groups: []string{"leads"}},
			}
			facts := ReviewFacts{Request: f.Request, Enforcement: interval, Entitled: true}
			tc.change(&facts)
			if got, message := judgeReview(facts); got != tc.want {
				t.Errorf("%s: %s (%s), want %s", tc.reason, got, message, tc.want)
			}
		})
	}
}

// TestEndsAnyhow: what ends whatever its decisions say needs no proof.
func TestEndsAnyhow(t *testing.T) {
	yes := v1alpha1.VerdictApprove
	change := func(f Facts, c func(*Facts)) Facts { c(&f); return f }
	approved := func() Facts {
		f := sessionFacts(by("bob", yes, "leads"))
		take(&f, Evaluate(f))
		f.Entitled = map[int]bool{} // not asked yet
		return f
	}
	for name, tc := range map[string]struct {
		reason string
		facts  Facts
		phase  v1alpha1.ApprovalPhase
	}{
		"NoPolicy":   {"There is no such policy.", change(sessionFacts(), func(f *Facts) { f.Request.Status, f.Policies = v1alpha1.ApprovalRequestStatus{}, nil }), v1alpha1.ApprovalVoid},
		"Withdrawn":  {"It was revoked.", sessionFactsRevoked(), v1alpha1.ApprovalRevoked},
		"Ended":      {"So was what was approved.", change(approved(), func(f *Facts) { f.Request.Spec.Revoke = &v1alpha1.Revocation{Username: "alice", Reason: "done"} }), v1alpha1.ApprovalRevoked},
		"Late":       {"Its time is over.", change(sessionFacts(), func(f *Facts) { f.Now = now.Add(time.Hour) }), v1alpha1.ApprovalExpired},
		"Waits":      {"It waits.", sessionFacts(), ""},
		"Decided":    {"What the decisions say has to be believed.", sessionFacts(by("bob", yes, "leads")), ""},
		"Denied":     {"So has a denial.", sessionFacts(by("bob", v1alpha1.VerdictDeny, "leads")), ""},
		"Approved":   {"Who approved is asked for first.", approved(), ""},
		"Unreviewed": {"Too much is not reviewed.", brokenFacts(func(f *Facts) { f.Unreviewed = maxUnreviewed }), v1alpha1.ApprovalVoid},
		"BreakGlass": {"Who goes ahead without approvals has to be believed.", brokenFacts(), ""},
		"HeldByNobody": {"An operation whose session is over.", change(facts(), func(f *Facts) {
			f.Session = &v1alpha1.AuditSession{Status: v1alpha1.AuditSessionStatus{Phase: v1alpha1.SessionEnded}}
		}), v1alpha1.ApprovalVoid},
	} {
		t.Run(name, func(t *testing.T) {
			got, ends := endsAnyhow(tc.facts)
			if ends != (tc.phase != "") || ends && got.Phase != tc.phase {
				t.Errorf("%s: ends: %t, %s; want %q", tc.reason, ends, got.Phase, tc.phase)
			}
		})
	}
}

// TestRetention: checklist 38, what no approver had a say in goes soon; what was done without
// approvals stays until after its review.
func TestRetention(t *testing.T) {
	request := func(reason string, status v1alpha1.ApprovalRequestStatus) *v1alpha1.ApprovalRequest {
		status.Conditions = append(status.Conditions, metav1.Condition{Type: v1alpha1.ConditionComplete, Status: metav1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(now)})
		return &v1alpha1.ApprovalRequest{Status: status}
	}
	counted := []v1alpha1.DecisionStatus{{State: v1alpha1.DecisionCounted}}
	reviewed := []metav1.Condition{{Type: v1alpha1.ConditionReviewed, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(time.Hour))}}
	for name, tc := range map[string]struct {
		request *v1alpha1.ApprovalRequest
		want    time.Duration
	}{
		"Excess":    {request(v1alpha1.ReasonQuotaExceeded, v1alpha1.ApprovalRequestStatus{}), 10 * time.Minute},
		"Void":      {request(v1alpha1.ReasonTermsMismatch, v1alpha1.ApprovalRequestStatus{}), time.Hour},
		"Withdrawn": {request(v1alpha1.ReasonRevoked, v1alpha1.ApprovalRequestStatus{}), time.Hour},
		"VoidDecision": {request(v1alpha1.ReasonExpired, v1alpha1.ApprovalRequestStatus{
			Decisions: []v1alpha1.DecisionStatus{{State: v1alpha1.DecisionVoid}},
		}), time.Hour},
		"Denied":   {request(v1alpha1.ReasonDenied, v1alpha1.ApprovalRequestStatus{Decisions: counted}), 7 * 24 * time.Hour},
		"Approved": {request(v1alpha1.ReasonExpired, v1alpha1.ApprovalRequestStatus{Decisions: counted}), 7 * 24 * time.Hour},
		"Reviewed": {request(v1alpha1.ReasonExpired, v1alpha1.ApprovalRequestStatus{Conditions: reviewed, BreakGlass: &v1alpha1.BreakGlassUse{}}), 7*24*time.Hour + time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := completedAt(tc.request).Add(stays(tc.request)).Sub(now); got != tc.want {
				t.Errorf("stays %s, want %s", got, tc.want)
			}
		})
	}
}

// TestAskedRules: checklist 33 and 37, approvers read what an approval lets through, and it
// is in the digest.
func TestAskedRules(t *testing.T) {
	f := sessionFacts()
	fresh := func(change func(*v1alpha1.Rule)) *v1alpha1.SessionApproval {
		f.Request.Status = v1alpha1.ApprovalRequestStatus{}
		change(&f.Policies["p"].Rules[0])
		accept(&f)
		return f.Request.Status.Session
	}
	base := fresh(func(r *v1alpha1.Rule) { r.Actions = []string{"update", "delete"} })
	if got := base.Rules; len(got) != 1 || got[0].Rule != "fix" || got[0].Policy != "p" || got[0].Lets != "update, delete on everything" || got[0].Truncation != v1alpha1.TruncationNone {
		t.Errorf("approvers read %+v", got)
	}
	digests := map[string]bool{base.Digest: true}
	for name, tc := range map[string]struct {
		change    func(*v1alpha1.Rule)
		want      string
		truncated bool
	}{
		"Resources":  {change: func(r *v1alpha1.Rule) { r.Resources = []string{"public.orders"} }, want: "update, delete on public.orders"},
		"Properties": {change: func(r *v1alpha1.Rule) { r.Properties = []string{"unboundedWrite"} }, want: "where unboundedWrite"},
		"Bidi":       {change: func(r *v1alpha1.Rule) { r.Resources = []string{"a\u202eb"} }, want: `a\u{202e}b`},
		"Long":       {change: func(r *v1alpha1.Rule) { r.Resources = []string{strings.Repeat("é", 3000)} }, truncated: true},
		"LongEnd":    {change: func(r *v1alpha1.Rule) { r.Resources = []string{strings.Repeat("é", 3000) + "!"} }, truncated: true},
	} {
		t.Run(name, func(t *testing.T) {
			got := fresh(tc.change)
			lets := got.Rules[0].Lets
			if !strings.Contains(lets, tc.want) || strings.ContainsRune(lets, '\u202e') || len([]rune(lets)) > maxLets || (got.Rules[0].Truncation == v1alpha1.TruncationTruncated) != tc.truncated {
				t.Errorf("approvers read %.80q (%s)", lets, got.Rules[0].Truncation)
			}
			if digests[got.Digest] {
				t.Error("the digest does not cover it")
			}
			digests[got.Digest] = true
		})
	}
	f.Request.Spec.Requester.Issuer = "https://issuer.example"
	if got := fresh(func(*v1alpha1.Rule) {}); got.Claimed != "not proven: issuer https://issuer.example" {
		t.Errorf("what the requester says of themselves: %q", got.Claimed)
	}
}
