// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/show"
)

// lasts says whether a request is of scope Session: for a time, not for one operation.
func lasts(r *v1alpha1.ApprovalRequest) bool { return r.Spec.Scope == v1alpha1.ApprovalScopeSession }

// expires is when a request, or what it came to, ends; zero where the manager has not said.
func expires(r *v1alpha1.ApprovalRequest) metav1.Time {
	if lasts(r) {
		return r.Status.ExpiresAt
	}
	return r.Spec.ExpiresAt
}

// minimum is the number of approvals that are needed; zero where the manager has not said.
func minimum(r *v1alpha1.ApprovalRequest) int32 {
	if lasts(r) {
		return r.Status.MinimumApprovals
	}
	return r.Spec.MinimumApprovals
}

// approverList are those who may decide; none where the manager has not said.
func approverList(r *v1alpha1.ApprovalRequest) []v1alpha1.Approver {
	switch {
	case !lasts(r):
		return r.Spec.Approvers
	case r.Status.Session != nil:
		return r.Status.Session.Approvers
	}
	return nil
}

// truncated says whether the end of what is asked for is not shown.
func truncated(r *v1alpha1.ApprovalRequest) bool {
	if !lasts(r) {
		return r.Spec.Operation.Truncation != v1alpha1.TruncationNone
	}
	return r.Status.Session != nil && slices.ContainsFunc(r.Status.Session.Rules, func(a v1alpha1.AskedRule) bool {
		return a.Truncation != v1alpha1.TruncationNone
	})
}

// approvalCount is how many approvals there are of those that are needed.
func approvalCount(r *v1alpha1.ApprovalRequest, between string) string {
	if r.Spec.Session.BreakGlass != "" {
		return "none"
	}
	if minimum(r) == 0 {
		return fmt.Sprintf("%d%s?", r.Status.Approvals, between)
	}
	return fmt.Sprintf("%d%s%d", r.Status.Approvals, between, minimum(r))
}

// asksFor is what a request asks for, for a column; an operation that is not shown whole
// says so.
func asksFor(r *v1alpha1.ApprovalRequest) string {
	if lasts(r) {
		if r.Spec.Session.BreakGlass != "" {
			return show.Bounded(fmt.Sprintf("BREAK-GLASS %s for %s: %s", strings.Join(ruleNames(r), ", "), length(r), r.Spec.Session.Reason), statementShown)
		}
		return show.Bounded(fmt.Sprintf("%s for %s: %s", strings.Join(ruleNames(r), ", "), length(r), r.Spec.Session.Reason), statementShown)
	}
	text := show.Bounded(r.Spec.Operation.Statement, statementShown)
	if truncated(r) && !strings.HasSuffix(text, "…") {
		text += "…"
	}
	return text
}

// length is how long an approval is to last.
func length(r *v1alpha1.ApprovalRequest) string {
	return duration.HumanDuration(time.Duration(r.Spec.Session.DurationSeconds) * time.Second)
}

// ruleNames are the rules that a request is about, as --rule takes them.
func ruleNames(r *v1alpha1.ApprovalRequest) []string {
	var names []string
	if lasts(r) {
		for _, wanted := range r.Spec.Session.Rules {
			names = append(names, ruleArgument(wanted.Kind, wanted.Policy, wanted.Rule))
		}
		return names
	}
	for _, b := range r.Spec.Binding.Policies {
		names = append(names, b.Name+"/"+b.Rule)
	}
	return names
}

// ruleArgument is a rule as --rule takes it.
func ruleArgument(kind v1alpha1.PolicyKind, policy, rule string) string {
	if kind == v1alpha1.KindAccessPolicy {
		return policy + "/" + rule
	}
	return string(kind) + "/" + policy + "/" + rule
}

// sessionDetails are everything about a request of scope Session that a person decides by.
func sessionDetails(r *v1alpha1.ApprovalRequest) *show.Details {
	d, asked, who := &show.Details{}, &r.Spec.Session, &r.Spec.Requester
	claims, begins, breakGlass := "", metav1.Time{}, ""
	if who.Subject != "" || who.Issuer != "" {
		claims = fmt.Sprintf("%s by %s, which nobody has proven; it is for callers with these alone", who.Subject, who.Issuer)
	}
	if r.Status.Session != nil {
		begins = r.Status.Session.StartsAt
	}
	if asked.BreakGlass != "" {
		breakGlass = "declared: nobody approves it, and an approver has to review it afterwards"
	}
	d.Fields(
		"Name", r.Name,
		"Namespace", r.Namespace,
		"Scope", "Session: everything that the rules match, for a time",
		"State", state(r),
		"Break-glass", breakGlass,
		"Waits for its review", reviewTimes(r),
		"Requester", who.Username,
		"Claims to be", claims,
		"Groups", strings.Join(who.Groups, ", "),
		"Connection", r.Spec.ConnectionRef.Name,
		"Asked", show.Time(r.CreationTimestamp),
		"Duration", (time.Duration(asked.DurationSeconds) * time.Second).String(),
		"Not before", show.Time(asked.NotBefore),
		"Begins", show.Time(begins),
		"Expires", show.Time(expires(r)),
		"Approvals", approvalCount(r, " of "),
		"Approvers", approvers(r),
		"Digest", r.DecidedDigest(),
	)
	d.Block("Reason", asked.Reason)
	d.Fields("Characters beyond ASCII", show.LookAlikes(who.Username, asked.Reason))
	rows := make([][]string, len(asked.Rules))
	for i, rule := range asked.Rules {
		rows[i] = []string{
			ruleArgument(rule.Kind, rule.Policy, rule.Rule),
			narrowed("actions", rule.Actions), narrowed("resources", rule.Resources),
		}
	}
	d.Rows("Rules", rows)
	d.Rows("Lets through", letsThrough(r))
	if truncated(r) {
		d.Fields("TRUNCATED", "the end of what is let through is not shown: it is more than you can see here")
	}
	d.Rows("Decisions", decisions(r))
	if review := r.Spec.Review; review != nil && review.Reviewer != nil {
		d.Fields("Review", "by "+review.Reviewer.Username+": "+review.Reason)
	}
	d.Fields("Reviewed", reviewed(r))
	if revoke := r.Spec.Revoke; revoke != nil {
		d.Fields("Revoked", "by "+revoke.Username+": "+revoke.Reason)
	}
	return d
}

// letsThrough are, by rule, what the manager says that an approval lets through.
func letsThrough(r *v1alpha1.ApprovalRequest) [][]string {
	if r.Status.Session == nil {
		return nil
	}
	var rows [][]string
	for _, asked := range r.Status.Session.Rules {
		rows = append(rows, []string{ruleArgument(asked.Kind, asked.Policy, asked.Rule), asked.Lets})
	}
	return rows
}

// narrowed says what a part of a rule is narrowed to.
func narrowed(what string, globs []string) string {
	if len(globs) == 0 {
		return "all its " + what
	}
	return what + " " + strings.Join(globs, ", ")
}
