// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// sessionFacts are those of a request of scope Session for an hour, made a minute ago and
// accepted, with these decisions on it.
func sessionFacts(decisions ...v1alpha1.Decision) Facts {
	f := Facts{
		Request: &v1alpha1.ApprovalRequest{
			ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "shop", UID: "r", CreationTimestamp: metav1.NewTime(now.Add(-time.Minute))},
			Spec: v1alpha1.ApprovalRequestSpec{
				ConnectionRef: v1alpha1.ConnectionReference{Name: "shop"}, Scope: v1alpha1.ApprovalScopeSession,
				Requester: v1alpha1.Requester{Username: "alice"},
				Session: v1alpha1.RequestedSession{
					Reason: "INC-1", DurationSeconds: 3600,
					Rules: []v1alpha1.RequestedRule{{Kind: v1alpha1.KindAccessPolicy, Policy: "p", Rule: "fix"}},
				},
			},
		},
		Connection: &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "c", Generation: 1}},
		Policies: map[string]Policy{"p": {
			Kind: v1alpha1.KindAccessPolicy, Name: "p", UID: "p", Generation: 1, Rules: []v1alpha1.Rule{sessionRule("fix", "leads")},
		}},
		Entitled: map[int]bool{}, Now: now,
	}
	accept(&f)
	for i := range decisions {
		if decisions[i].OperationDigest == digest {
			decisions[i].OperationDigest = f.Request.Status.Session.Digest
		}
		f.Entitled[i] = true
	}
	f.Request.Spec.Decisions = decisions
	return f
}

func sessionRule(name, group string) v1alpha1.Rule {
	return v1alpha1.Rule{Name: name, Effect: v1alpha1.EffectRequireApproval, Approval: &v1alpha1.ApprovalTerms{
		Scope: v1alpha1.ApprovalScopeSession, MaxDurationSeconds: 7200, TimeoutSeconds: 600, Minimum: 1,
		Approvers: []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: group}},
	}}
}

// accept has the request looked at once, as the manager does before there are decisions.
func accept(f *Facts) { take(f, Evaluate(*f)) }

// take writes what was judged into the status.
func take(f *Facts, r Result) {
	s := &scope{request: f.Request, facts: *f, result: r, judged: true}
	writeStatus(s, nil)
}

// TestEvaluateSession: checklist 31 to 34, 36 and 38 for what is asked for in advance.
func TestEvaluateSession(t *testing.T) {
	yes, no := v1alpha1.VerdictApprove, v1alpha1.VerdictDeny
	with := func(f Facts, change func(*Facts)) Facts { change(&f); return f }
	fresh := func(change func(*Facts)) Facts {
		f := sessionFacts()
		f.Request.Status = v1alpha1.ApprovalRequestStatus{}
		change(&f)
		return f
	}
	approved := func(change func(*Facts)) Facts {
		f := sessionFacts(by("bob", yes, "leads"))
		take(&f, Evaluate(f))
		change(&f)
		return f
	}
	twoRules := func(decisions ...v1alpha1.Decision) Facts {
		f := sessionFacts(decisions...)
		f.Request.Status = v1alpha1.ApprovalRequestStatus{}
		f.Request.Spec.Session.Rules = append(f.Request.Spec.Session.Rules, v1alpha1.RequestedRule{Kind: v1alpha1.KindClusterAccessPolicy, Policy: "p", Rule: "all"})
		f.Policies["q"] = Policy{Kind: v1alpha1.KindClusterAccessPolicy, Name: "p", UID: "q", Generation: 4, Rules: []v1alpha1.Rule{sessionRule("all", "security")}}
		f.Request.Spec.Decisions = nil
		accept(&f)
		for i := range decisions {
			decisions[i].OperationDigest = f.Request.Status.Session.Digest
		}
		f.Request.Spec.Decisions = decisions
		return f
	}
	other := by("bob", yes, "leads")
	other.OperationDigest = "sha256:bb"
	rule := func(f *Facts) *v1alpha1.Rule { return &f.Policies["p"].Rules[0] }
	generation := func(f *Facts) {
		p := f.Policies["p"]
		p.Generation++
		f.Policies["p"] = p
	}
	tests := map[string]struct {
		reason string
		facts  Facts
		phase  v1alpha1.ApprovalPhase
		word   string // Reason of the result
		last   string // reason of the last decision
	}{
		"Waits":    {"Without a decision it waits.", sessionFacts(), v1alpha1.ApprovalPending, "Pending", ""},
		"Approved": {"Another, entitled person.", sessionFacts(by("bob", yes, "leads")), v1alpha1.ApprovalApproved, "Approved", "Counted"},
		"Denied":   {"One denial is enough.", sessionFacts(by("bob", no, "leads")), v1alpha1.ApprovalDenied, "Denied", "Counted"},
		"DeniedLate": {"A denial ends what was approved.", approved(func(f *Facts) {
			f.Request.Spec.Decisions = append(f.Request.Spec.Decisions, v1alpha1.Decision{Verdict: no, OperationDigest: f.Request.Status.Session.Digest, Approver: &v1alpha1.DecisionApprover{Username: "carol", Groups: []string{"leads"}}})
			f.Entitled[1] = true
		}), v1alpha1.ApprovalDenied, "Denied", "Counted"},
		"Self":          {"Checklist 32: nobody approves their own request.", sessionFacts(by("alice", yes, "leads")), v1alpha1.ApprovalPending, "Pending", "SelfApproval"},
		"System":        {"Checklist 32: a system user is no member of a group.", sessionFacts(by("system:serviceaccount:ci:bot", yes, "leads")), v1alpha1.ApprovalPending, "Pending", "NotEntitled"},
		"NotNamed":      {"The verb alone does not approve.", sessionFacts(by("bob", yes, "others")), v1alpha1.ApprovalPending, "Pending", "NotEntitled"},
		"OtherDigest":   {"Checklist 34: it is for something else.", sessionFacts(other), v1alpha1.ApprovalPending, "Pending", "DigestMismatch"},
		"OneOfTwo":      {"Each rule's approvers are asked.", twoRules(by("bob", yes, "leads")), v1alpha1.ApprovalPending, "Pending", "Counted"},
		"TwoOfTwo":      {"Each rule's approvers have approved.", with(twoRules(by("bob", yes, "leads"), by("sam", yes, "security")), func(f *Facts) { f.Entitled[1] = true }), v1alpha1.ApprovalApproved, "Approved", "Counted"},
		"NotBelieved":   {"Nothing in it is believed, also where it was.", approved(func(f *Facts) { f.NotBelieved = errors.New("off") }), v1alpha1.ApprovalVoid, "AdmissionNotEnforced", ""},
		"Revoked":       {"Checklist 36: it was revoked.", approved(func(f *Facts) { f.Request.Spec.Revoke = &v1alpha1.Revocation{Reason: "done", Username: "carol"} }), v1alpha1.ApprovalRevoked, "Revoked", ""},
		"Withdrawn":     {"It was revoked before it was approved.", sessionFactsRevoked(), v1alpha1.ApprovalRevoked, "Revoked", ""},
		"NotInTime":     {"Nobody approved in time.", with(sessionFacts(by("bob", yes, "leads")), func(f *Facts) { f.Now = now.Add(10 * time.Minute) }), v1alpha1.ApprovalExpired, "Expired", ""},
		"Runs":          {"The time to approve in does not bound the approval.", approved(func(f *Facts) { f.Now = now.Add(59 * time.Minute) }), v1alpha1.ApprovalApproved, "Approved", ""},
		"Over":          {"Checklist 36: its time is over.", approved(func(f *Facts) { f.Now = now.Add(time.Hour) }), v1alpha1.ApprovalExpired, "Expired", ""},
		"Connection":    {"Checklist 33: the Connection changed.", approved(func(f *Facts) { f.Connection.Generation++ }), v1alpha1.ApprovalStale, "Stale", ""},
		"Policy":        {"Checklist 33: the policy changed.", approved(generation), v1alpha1.ApprovalStale, "Stale", ""},
		"PolicyGone":    {"Checklist 33: the policy is gone.", approved(func(f *Facts) { f.Policies = nil }), v1alpha1.ApprovalStale, "Stale", ""},
		"PolicyWaiting": {"Checklist 33: it changed before anybody decided.", with(sessionFacts(), generation), v1alpha1.ApprovalStale, "Stale", ""},
		"Request":       {"Checklist 33: what is asked for is not what was accepted.", approved(func(f *Facts) { f.Request.Spec.Session.DurationSeconds = 7200 }), v1alpha1.ApprovalStale, "Stale", ""},
		"Disentitled":   {"Checklist 31: who approved may not any more.", approved(func(f *Facts) { f.Entitled[0] = false }), v1alpha1.ApprovalVoid, "NotEntitled", ""},
		"TooLong":       {"The rule bounds the duration.", fresh(func(f *Facts) { rule(f).Approval.MaxDurationSeconds = 60 }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"TooFar":        {"It may not begin in the far future.", fresh(func(f *Facts) { f.Request.Spec.Session.NotBefore = metav1.NewTime(now.Add(8 * 24 * time.Hour)) }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"OtherScope":    {"The rule asks for an approval of each operation.", fresh(func(f *Facts) { rule(f).Approval.Scope = v1alpha1.ApprovalScopeOperation }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"NoScope":       {"A rule without a scope asks for each operation.", fresh(func(f *Facts) { rule(f).Approval.Scope = "" }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"NoRule":        {"There is no such rule.", fresh(func(f *Facts) { f.Request.Spec.Session.Rules[0].Rule = "no" }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"NoPolicy":      {"There is no such policy.", fresh(func(f *Facts) { f.Request.Spec.Session.Rules[0].Policy = "no" }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"OtherKind":     {"There is no such policy of that kind.", fresh(func(f *Facts) { f.Request.Spec.Session.Rules[0].Kind = v1alpha1.KindClusterAccessPolicy }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"NoConnection":  {"There is no such Connection.", fresh(func(f *Facts) { f.Connection = nil }), v1alpha1.ApprovalVoid, "TermsMismatch", ""},
		"Twenty":        {"Checklist 38: it is one too many.", fresh(func(f *Facts) { f.Waiting = maxWaiting }), v1alpha1.ApprovalVoid, "QuotaExceeded", ""},
		"Nineteen":      {"Checklist 38: it is the last one that may wait.", fresh(func(f *Facts) { f.Waiting = maxWaiting - 1 }), v1alpha1.ApprovalPending, "Pending", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Evaluate(tc.facts)
			if got.Phase != tc.phase || got.Reason != tc.word {
				t.Errorf("%s: phase %s, %s (%s), want %s, %s", tc.reason, got.Phase, got.Reason, got.Message, tc.phase, tc.word)
			}
			if tc.last != "" && (len(got.Decisions) == 0 || got.Decisions[len(got.Decisions)-1].Reason != tc.last) {
				t.Errorf("%s: decisions %+v, want the last %s", tc.reason, got.Decisions, tc.last)
			}
		})
	}
}

func sessionFactsRevoked() Facts {
	f := sessionFacts()
	f.Request.Spec.Revoke = &v1alpha1.Revocation{Reason: "not needed", Username: "alice"}
	return f
}

// TestSessionTimes: checklist 36, an approval counts from when it is given, or from notBefore,
// once.
func TestSessionTimes(t *testing.T) {
	f := sessionFacts(by("bob", v1alpha1.VerdictApprove, "leads"))
	if s := f.Request.Status.Session; !s.ExpiresAt.IsZero() || f.Request.Status.ExpiresAt.Time.IsZero() {
		t.Errorf("while it waits: %+v until %s, want no end of the approval, and one of the wait", s, f.Request.Status.ExpiresAt)
	}
	take(&f, Evaluate(f))
	s := f.Request.Status.Session
	if !s.StartsAt.Time.Equal(now) || !s.ExpiresAt.Time.Equal(now.Add(time.Hour)) {
		t.Errorf("approved from %s until %s, want an hour from now", s.StartsAt, s.ExpiresAt)
	}
	f.Now = now.Add(time.Minute)
	if again := Evaluate(f); !again.Session.ExpiresAt.Time.Equal(now.Add(time.Hour)) || !again.End.Equal(now.Add(time.Hour)) {
		t.Errorf("judged again: until %s, want no other end", again.Session.ExpiresAt)
	}
	later := sessionFacts(by("bob", v1alpha1.VerdictApprove, "leads"))
	later.Request.Status, later.Request.Spec.Decisions = v1alpha1.ApprovalRequestStatus{}, nil
	later.Request.Spec.Session.NotBefore = metav1.NewTime(now.Add(time.Hour))
	accept(&later)
	approve := by("bob", v1alpha1.VerdictApprove, "leads")
	approve.OperationDigest = later.Request.Status.Session.Digest
	later.Request.Spec.Decisions = []v1alpha1.Decision{approve}
	got := Evaluate(later)
	if got.Phase != v1alpha1.ApprovalApproved || !got.Session.StartsAt.Time.Equal(now.Add(time.Hour)) || !got.Session.ExpiresAt.Time.Equal(now.Add(2*time.Hour)) {
		t.Errorf("not before an hour from now: %s, %+v", got.Phase, got.Session)
	}
}

// TestSessionDigest: checklist 33, everything that approvers approve is in the digest.
func TestSessionDigest(t *testing.T) {
	base := sessionFacts().Request.Status.Session.Digest
	if !strings.HasPrefix(base, "sha256:") {
		t.Fatalf("digest %q", base)
	}
	for name, change := range map[string]func(*Facts){
		"UID":        func(f *Facts) { f.Request.UID = "s" },
		"Requester":  func(f *Facts) { f.Request.Spec.Requester.Username = "zoe" },
		"Issuer":     func(f *Facts) { f.Request.Spec.Requester.Issuer = "https://issuer.example" },
		"Subject":    func(f *Facts) { f.Request.Spec.Requester.Subject = "1" },
		"Reason":     func(f *Facts) { f.Request.Spec.Session.Reason = "INC-2" },
		"Duration":   func(f *Facts) { f.Request.Spec.Session.DurationSeconds++ },
		"NotBefore":  func(f *Facts) { f.Request.Spec.Session.NotBefore = metav1.NewTime(now) },
		"Actions":    func(f *Facts) { f.Request.Spec.Session.Rules[0].Actions = []string{"select"} },
		"Resources":  func(f *Facts) { f.Request.Spec.Session.Rules[0].Resources = []string{"select"} },
		"Connection": func(f *Facts) { f.Connection.UID = "d" },
		"Generation": func(f *Facts) { f.Connection.Generation++ },
		"Policy": func(f *Facts) {
			p := f.Policies["p"]
			p.UID = "q"
			f.Policies = map[string]Policy{"q": p}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := sessionFacts()
			f.Request.Status = v1alpha1.ApprovalRequestStatus{}
			change(&f)
			accept(&f)
			if f.Request.Status.Session == nil || f.Request.Status.Session.Digest == base {
				t.Errorf("the digest does not cover it: %+v", f.Request.Status)
			}
		})
	}
}

// TestQuotaCountsBothScopes: checklist 38.
func TestQuotaCountsBothScopes(t *testing.T) {
	f := facts(by("bob", v1alpha1.VerdictApprove, "leads"))
	f.Waiting = maxWaiting
	if got := Evaluate(f); got.Phase != v1alpha1.ApprovalVoid || got.Reason != v1alpha1.ReasonQuotaExceeded {
		t.Errorf("one held operation too many: %s, %s", got.Phase, got.Reason)
	}
	f.Request.Status.Phase = v1alpha1.ApprovalPending
	if got := Evaluate(f); got.Phase != v1alpha1.ApprovalApproved {
		t.Errorf("one that waits already: %s, %s, want that those after it do not matter", got.Phase, got.Reason)
	}
}

// TestSessionRuleHeld: a rule of scope Session holds nothing, so that a proxy that asks for
// one operation by it is not believed.
func TestSessionRuleHeld(t *testing.T) {
	f := facts()
	f.Policies["p"].Rules[0].Approval.Scope = v1alpha1.ApprovalScopeSession
	if got := Evaluate(f); got.Phase != v1alpha1.ApprovalVoid {
		t.Errorf("phase %s, want Void", got.Phase)
	}
}
