// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxUnreviewed is how many requests of one requester in a namespace go ahead without
// approvals and without a review of those before.
const maxUnreviewed = 2

// maxGroups is how many groups of its requester a request can state.
const maxGroups = 256

// breakGlassWithin is how long after it was made a request may begin to go ahead without
// approvals: what nobody looked at while no manager was there is not in force hours later,
// when nobody expects it.
const breakGlassWithin = 5 * time.Minute

// mayBreakGlass says why a rule does not let the requester go ahead without approvals, or
// nil where they do not ask to.
func (f Facts) mayBreakGlass(rule *v1alpha1.Rule, wanted v1alpha1.RequestedRule) error {
	if f.Request.Spec.Session.BreakGlass != v1alpha1.BreakGlassDeclared {
		return nil
	}
	terms, who := rule.Approval.BreakGlass, &f.Request.Spec.Requester
	if terms == nil {
		return fmt.Errorf("rule %q of %s %q lets nobody go ahead without approvals: ask for them", wanted.Rule, wanted.Kind, wanted.Policy)
	}
	if strings.HasPrefix(who.Username, "system:") || !slices.ContainsFunc(terms.Subjects, func(s v1alpha1.Approver) bool {
		return s.Kind == v1alpha1.ApproverUser && s.Name == who.Username || s.Kind == v1alpha1.ApproverGroup && slices.Contains(who.Groups, s.Name)
	}) {
		if len(who.Groups) == 0 {
			return fmt.Errorf("rule %q of %s %q does not name %s, and the request states no groups, as that of a member of more than %d does not: have the rule name the user, or ask for approvals", wanted.Rule, wanted.Kind, wanted.Policy, who.Username, maxGroups)
		}
		return fmt.Errorf("rule %q of %s %q does not name %s among those who may go ahead without approvals: ask for them", wanted.Rule, wanted.Kind, wanted.Policy, who.Username)
	}
	return nil
}

// longest is how long what is asked for may last by a rule.
func longest(asked *v1alpha1.RequestedSession, rule *v1alpha1.Rule) int32 {
	if asked.BreakGlass == v1alpha1.BreakGlassDeclared {
		return rule.Approval.BreakGlass.MaxDurationSeconds
	}
	return rule.Approval.MaxDurationSeconds
}

// breakGlass goes ahead without approvals, which the rules were found to let the requester
// do. An approver can deny it while it lasts; approving it changes nothing.
func (r *Result) breakGlass(f Facts, rules []v1alpha1.Rule) {
	if until := f.Request.CreationTimestamp.Add(breakGlassWithin); !r.BreakGlass && !f.Now.Before(until) {
		r.End = until
		r.end(v1alpha1.ApprovalExpired, v1alpha1.ReasonExpired, fmt.Sprintf("the manager did not see it within %s after it was made: ask again", breakGlassWithin))
		return
	}
	if !r.BreakGlass && f.Unreviewed >= maxUnreviewed {
		r.end(v1alpha1.ApprovalVoid, v1alpha1.ReasonReviewsOutstanding, fmt.Sprintf(
			"%d times the requester went ahead without approvals and nobody has reviewed it, at most %d may be so: have them reviewed, or ask for approvals", f.Unreviewed, maxUnreviewed))
		return
	}
	r.date(f)
	r.BreakGlass, r.Minimum, r.End = true, 0, r.Session.ExpiresAt.Time
	if r.expire(f) {
		return
	}
	r.decide(f, rules, 0)
	if r.Phase != v1alpha1.ApprovalDenied {
		r.end(v1alpha1.ApprovalApproved, v1alpha1.ReasonBreakGlass, "goes ahead without approvals, and has to be reviewed once it is over")
	}
}

func reasonDigest(r *v1alpha1.ApprovalRequest) string {
	sum := sha256.Sum256([]byte(r.Spec.Session.Reason))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ReviewFacts is everything that a review depends on.
type ReviewFacts struct {
	Request *v1alpha1.ApprovalRequest
	// Enforcement names the interval of proven enforcement; empty where NotBelieved.
	Enforcement string
	NotBelieved error
	// Entitled says that the authorizer grants the reviewer the verb approve.
	Entitled bool
}

// judgeReview says whether the review of what went ahead without approvals counts, by the
// name of a reason and why. What approvers there are was said when it went ahead.
func judgeReview(f ReviewFacts) (reason, message string) {
	review := f.Request.Spec.Review
	if review == nil {
		return v1alpha1.ReasonReviewAwaited, "one of the approvers has to review it, with: kubectl doorward review -n " + f.Request.Namespace + " " + f.Request.Name + " --reason TEXT"
	}
	who := review.Reviewer
	session := f.Request.Status.Session
	switch {
	case f.NotBelieved != nil:
		return v1alpha1.ReasonAdmissionNotEnforced, f.NotBelieved.Error() + ": review it again"
	case f.Enforcement != f.Request.Status.BreakGlass.Enforcement:
		return v1alpha1.ReasonAdmissionNotEnforced, "the proof that admission is enforced was interrupted before the review was seen: review it again"
	case who == nil || who.Username == "":
		return v1alpha1.ReasonNotStamped, "the review names no reviewer: review it again"
	case session == nil || review.OperationDigest != session.Digest:
		return v1alpha1.ReasonDigestMismatch, "the review is of something else: review it again"
	case who.Username == f.Request.Spec.Requester.Username:
		return v1alpha1.ReasonSelfApproval, "requester and reviewer are the same: somebody else has to review it"
	case !entitles(v1alpha1.Rule{Approval: &v1alpha1.ApprovalTerms{Approvers: session.Approvers}}, who):
		return v1alpha1.ReasonNotEntitled, "the reviewer is not among the approvers: one of them has to review it"
	case !f.Entitled:
		return v1alpha1.ReasonNotEntitled, "the reviewer does not hold the verb approve on the Connection: somebody who does has to review it"
	}
	return v1alpha1.ReasonReviewed, fmt.Sprintf("reviewed by %s: %s", who.Username, review.Reason)
}
