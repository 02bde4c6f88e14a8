// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

const digest = "sha256:aa"

var now = time.Unix(1800000000, 0)

// facts are those of a request that needs one approval of the group leads, with
// these decisions, all by holders of the verb approve.
func facts(decisions ...v1alpha1.Decision) Facts {
	leads := []v1alpha1.Approver{{Kind: v1alpha1.ApproverGroup, Name: "leads"}}
	f := Facts{
		Request: &v1alpha1.ApprovalRequest{Spec: v1alpha1.ApprovalRequestSpec{
			ConnectionRef: v1alpha1.ConnectionReference{Name: "shop"}, Requester: v1alpha1.Requester{Username: "alice"},
			Operation: v1alpha1.HeldOperation{Digest: digest},
			Binding: v1alpha1.Binding{
				ConnectionUID: "c", ConnectionGeneration: 1,
				Policies: []v1alpha1.BoundRule{{Name: "p", UID: "p", Generation: 1, Rule: "fix"}},
			},
			Approvers: leads, MinimumApprovals: 1, ExpiresAt: metav1.NewTime(now.Add(time.Minute)), Decisions: decisions,
		}},
		Connection: &v1alpha1.Connection{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "c", Generation: 1}},
		Policies: map[string]Policy{"p": {
			Generation: 1,
			Rules: []v1alpha1.Rule{{
				Name: "fix", Effect: v1alpha1.EffectRequireApproval, Approval: &v1alpha1.ApprovalTerms{Approvers: leads, Minimum: 1},
			}},
		}},
		Entitled: map[int]bool{}, Now: now,
	}
	for i := range decisions {
		f.Entitled[i] = true
	}
	return f
}

func by(name string, verdict v1alpha1.Verdict, groups ...string) v1alpha1.Decision {
	return v1alpha1.Decision{Verdict: verdict, OperationDigest: digest, Approver: &v1alpha1.DecisionApprover{Username: name, Groups: groups}}
}

// TestEvaluate: checklist 31 (who approved) and 33 (what changed since).
func TestEvaluate(t *testing.T) {
	yes, no := v1alpha1.VerdictApprove, v1alpha1.VerdictDeny
	with := func(f Facts, change func(*Facts)) Facts { change(&f); return f }
	two := func(f Facts) Facts {
		f.Request.Spec.MinimumApprovals = 2
		f.Policies["p"].Rules[0].Approval.Minimum = 2
		return f
	}
	unstamped := by("bob", yes, "leads")
	unstamped.Approver = nil
	other := by("bob", yes, "leads")
	other.OperationDigest = "sha256:bb"
	tests := map[string]struct {
		reason string
		facts  Facts
		phase  v1alpha1.ApprovalPhase
		last   string // reason of the last decision
	}{
		"Nobody":        {"Without a decision it waits.", facts(), v1alpha1.ApprovalPending, ""},
		"Approved":      {"Another, entitled person.", facts(by("bob", yes, "leads")), v1alpha1.ApprovalApproved, "Counted"},
		"Denied":        {"One denial is enough.", facts(by("bob", yes, "leads"), by("carol", no, "leads")), v1alpha1.ApprovalDenied, "Counted"},
		"AfterDenial":   {"A denial is not outvoted.", facts(by("carol", no, "leads"), by("bob", yes, "leads")), v1alpha1.ApprovalDenied, "TooLate"},
		"Self":          {"Nobody approves their own request.", facts(by("alice", yes, "leads")), v1alpha1.ApprovalPending, "SelfApproval"},
		"NotNamed":      {"The verb alone does not approve.", facts(by("bob", yes, "others")), v1alpha1.ApprovalPending, "NotEntitled"},
		"NoVerb":        {"The group alone does not approve.", with(facts(by("bob", yes, "leads")), func(f *Facts) { f.Entitled[0] = false }), v1alpha1.ApprovalPending, "NotEntitled"},
		"System":        {"A system user is no member of a group.", facts(by("system:serviceaccount:ci:bot", yes, "leads")), v1alpha1.ApprovalPending, "NotEntitled"},
		"Unstamped":     {"Without a stamp nobody decided.", facts(unstamped), v1alpha1.ApprovalPending, "NotStamped"},
		"OtherDigest":   {"It is for another operation.", facts(other), v1alpha1.ApprovalPending, "DigestMismatch"},
		"OneOfTwo":      {"Two are needed.", two(facts(by("bob", yes, "leads"))), v1alpha1.ApprovalPending, "Counted"},
		"SameTwice":     {"One person is one approval.", two(facts(by("bob", yes, "leads"), by("bob", yes, "leads"))), v1alpha1.ApprovalPending, "Repeated"},
		"TwoOfTwo":      {"Two different people.", two(facts(by("bob", yes, "leads"), by("carol", yes, "leads"))), v1alpha1.ApprovalApproved, "Counted"},
		"NotBelieved":   {"Nothing in it is believed.", with(facts(by("bob", yes, "leads")), func(f *Facts) { f.NotBelieved = errors.New("off") }), v1alpha1.ApprovalVoid, "AdmissionNotEnforced"},
		"Expired":       {"It is too late.", with(facts(by("bob", yes, "leads")), func(f *Facts) { f.Now = now.Add(time.Minute) }), v1alpha1.ApprovalExpired, ""},
		"Connection":    {"The Connection changed.", with(facts(), func(f *Facts) { f.Connection.Generation++ }), v1alpha1.ApprovalStale, ""},
		"ConnectionUID": {"It is another Connection of that name.", with(facts(), func(f *Facts) { f.Connection.UID = "d" }), v1alpha1.ApprovalStale, ""},
		"Policy":        {"The policy changed.", with(facts(), func(f *Facts) { f.Policies["p"] = Policy{Generation: 2, Rules: f.Policies["p"].Rules} }), v1alpha1.ApprovalStale, ""},
		"PolicyUID": {"It is another policy of that name.", with(facts(), func(f *Facts) {
			f.Policies = map[string]Policy{"q": f.Policies["p"]}
		}), v1alpha1.ApprovalStale, ""},
		"NoRule": {"The rule is none that asks.", with(facts(), func(f *Facts) { f.Request.Spec.Binding.Policies[0].Rule = "read" }), v1alpha1.ApprovalVoid, ""},
		"Module": {"A module's terms are the proxy's to say.", with(facts(by("bob", yes, "leads")), func(f *Facts) {
			f.Policies = map[string]Policy{"p": {Generation: 1, Module: true}}
		}), v1alpha1.ApprovalApproved, "Counted"},
		"ModuleSelf": {"Nobody approves their own request.", with(facts(by("alice", yes, "leads")), func(f *Facts) {
			f.Policies = map[string]Policy{"p": {Generation: 1, Module: true}}
		}), v1alpha1.ApprovalPending, "SelfApproval"},
		"ModuleNobody": {"A module cannot ask for nobody.", with(facts(), func(f *Facts) {
			f.Policies = map[string]Policy{"p": {Generation: 1, Module: true}}
			f.Request.Spec.MinimumApprovals = 0
		}), v1alpha1.ApprovalVoid, ""},
		"PolicyGone": {"The policy is gone.", with(facts(), func(f *Facts) { f.Policies = nil }), v1alpha1.ApprovalStale, ""},
		"FewerTerms": {"The request asks for less than its rules.", with(two(facts()), func(f *Facts) { f.Request.Spec.MinimumApprovals = 1 }), v1alpha1.ApprovalVoid, ""},
		"OtherTerms": {"The request names somebody its rules do not.", with(facts(), func(f *Facts) {
			f.Request.Spec.Approvers = []v1alpha1.Approver{{Kind: v1alpha1.ApproverUser, Name: "mallory"}}
		}), v1alpha1.ApprovalVoid, ""},
		"HolderGone": {"Who held it is gone.", with(facts(), func(f *Facts) {
			f.Session = &v1alpha1.AuditSession{Status: v1alpha1.AuditSessionStatus{Phase: v1alpha1.SessionEnded}}
		}), v1alpha1.ApprovalVoid, ""},
		"Used": {"The proxy marked the use.", with(facts(by("bob", yes, "leads")), func(f *Facts) {
			f.Request.Status.Phase, f.Request.Spec.Use = v1alpha1.ApprovalApproved, &v1alpha1.Use{}
		}), v1alpha1.ApprovalUsed, ""},
		"UsedUnapproved": {"Use without approval is void.", with(facts(), func(f *Facts) { f.Request.Spec.Use = &v1alpha1.Use{} }), v1alpha1.ApprovalVoid, ""},
		"Remembered": {"What was void stays void.", with(facts(by("bob", yes, "leads")), func(f *Facts) {
			f.Request.Status.Decisions = []v1alpha1.DecisionStatus{{State: v1alpha1.DecisionVoid, Reason: "AdmissionNotEnforced"}}
		}), v1alpha1.ApprovalPending, "AdmissionNotEnforced"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Evaluate(tc.facts)
			if got.Phase != tc.phase {
				t.Errorf("%s: phase %s (%s), want %s", tc.reason, got.Phase, got.Message, tc.phase)
			}
			if tc.last != "" && (len(got.Decisions) == 0 || got.Decisions[len(got.Decisions)-1].Reason != tc.last) {
				t.Errorf("%s: decisions %+v, want the last %s", tc.reason, got.Decisions, tc.last)
			}
		})
	}
}
