// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// ended says whether the manager has said that a request is over.
func ended(r *v1alpha1.ApprovalRequest) bool {
	switch phase(r) {
	case v1alpha1.ApprovalDenied, v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalUsed, v1alpha1.ApprovalVoid, v1alpha1.ApprovalRevoked:
		return true
	case v1alpha1.ApprovalPending, v1alpha1.ApprovalApproved:
	}
	return false
}

// over says whether nothing can come of a request any more.
func over(r *v1alpha1.ApprovalRequest) bool {
	return ended(r) || r.Spec.Use != nil || r.Spec.Revoke != nil
}

// overSince says why a request is over, and what to do next.
func overSince(r *v1alpha1.ApprovalRequest) string {
	again := "the caller has to try the operation again, which makes a new request"
	if lasts(r) {
		again = fmt.Sprintf("it has to be asked for again, with \"kubectl doorward request -n %s %s\"", r.Namespace, r.Spec.ConnectionRef.Name)
	}
	why := ""
	if text := reason(r); text != "" {
		why = " (" + show.Line(text+denial(r)) + ")"
	}
	switch phase(r) {
	case v1alpha1.ApprovalDenied:
		return "it was denied already" + why + ": " + again
	case v1alpha1.ApprovalExpired:
		return "it expired at " + show.Time(expires(r)) + ": " + again
	case v1alpha1.ApprovalStale:
		return "it is stale: the Connection or a policy changed since" + why + ": " + again
	case v1alpha1.ApprovalVoid:
		return "it is void" + why + ": " + again
	case v1alpha1.ApprovalPending, v1alpha1.ApprovalApproved, v1alpha1.ApprovalUsed, v1alpha1.ApprovalRevoked:
	}
	if revoke := r.Spec.Revoke; revoke != nil {
		return fmt.Sprintf("%s revoked it (%s): %s", show.Line(revoke.Username), show.Line(revoke.Reason), again)
	}
	return fmt.Sprintf("it was used already, the operation has run: to end the session, run \"kubectl doorward kill -n %s %s --reason TEXT\"", r.Namespace, r.Spec.Holder.Session)
}

// denial is what the last approver who denied a request said.
func denial(r *v1alpha1.ApprovalRequest) string {
	for i, d := range slices.Backward(r.Spec.Decisions) {
		if phase(r) == v1alpha1.ApprovalDenied && d.Verdict == v1alpha1.VerdictDeny && d.Comment != "" && judged(r, i) == counts {
			return ": " + d.Comment
		}
	}
	return ""
}

// refused says what the API server's refusal of a decision means, and what to do next. The
// meaning is told from what is so, not from the words of the refusal, which come last.
func (o *deciding) refused(ctx context.Context, r *v1alpha1.ApprovalRequest, err error) error {
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return cluster.Request{Verb: "patch", Resource: cluster.Ours(resource), Namespace: r.Namespace, Name: r.Name}.Failed(err)
	}
	if now, failed := read(ctx, o.client, o.Flags, r.Name); failed == nil && now.UID == r.UID {
		r = now
	}
	return fmt.Errorf("cannot %s ApprovalRequest %q: %s\nThe API server says: %w", o.verb.name, r.Name, o.meaning(ctx, r), err)
}

func (o *deciding) meaning(ctx context.Context, r *v1alpha1.ApprovalRequest) string {
	connection := r.Spec.ConnectionRef.Name
	if o.revokes(r) {
		return o.notRevoked(ctx, r)
	}
	if may, err := cluster.Permitted(ctx, o.client, "patch", resource, r.Namespace, r.Name); err == nil && !may {
		return fmt.Sprintf("you are no approver in namespace %s: an admin has to bind ClusterRole doorward-approver to you there", r.Namespace)
	}
	if over(r) {
		return overSince(r)
	}
	if o.self != nil {
		switch {
		case o.self.Username == r.Spec.Requester.Username:
			return "it is your own request, and nobody decides on their own: ask one of: " + show.Line(approvers(r))
		case o.decidedBefore(r):
			return "you gave this verdict already: see what is missing with \"kubectl doorward requests -n " + r.Namespace + " " + r.Name + "\""
		case !o.named(r):
			return "the policy's rule does not name you as an approver: ask one of: " + show.Line(approvers(r))
		}
	}
	if may, err := cluster.Permitted(ctx, o.client, v1alpha1.VerbApprove, "connections", r.Namespace, connection); err == nil && !may {
		return fmt.Sprintf("the policy's rule names you, but you do not hold the verb approve on Connection %s: an admin has to bind ClusterRole doorward-approver to you in namespace %s", connection, r.Namespace)
	}
	return "its admission policy refused the decision"
}

// notRevoked says why a revocation of a request of scope Session was refused.
func (o *deciding) notRevoked(ctx context.Context, r *v1alpha1.ApprovalRequest) string {
	own := o.self != nil && o.self.Username == r.Spec.Requester.Username
	if over(r) {
		return overSince(r)
	}
	role := "doorward-approver or doorward-editor"
	if own {
		role = "doorward-requester"
	}
	bind := fmt.Sprintf("an admin has to bind ClusterRole %s to you in namespace %s", role, r.Namespace)
	if may, err := cluster.Permitted(ctx, o.client, "patch", resource, r.Namespace, r.Name); err == nil && !may {
		return "you may not patch approvalrequests there: " + bind
	}
	if own {
		return "its admission policy refused the revocation"
	}
	for _, verb := range []string{v1alpha1.VerbApprove, v1alpha1.VerbTerminate} {
		if may, err := cluster.Permitted(ctx, o.client, verb, "connections", r.Namespace, r.Spec.ConnectionRef.Name); err != nil || may {
			return "its admission policy refused the revocation"
		}
	}
	return fmt.Sprintf("you did not make it, and hold neither of the verbs approve and terminate on Connection %s: ask %s, or %s",
		r.Spec.ConnectionRef.Name, show.Line(r.Spec.Requester.Username), bind)
}

// named says whether the request's rules name whoever decides.
func (o *deciding) named(r *v1alpha1.ApprovalRequest) bool {
	return slices.ContainsFunc(approverList(r), func(a v1alpha1.Approver) bool {
		if a.Kind == v1alpha1.ApproverUser {
			return a.Name == o.self.Username
		}
		return a.Kind == v1alpha1.ApproverGroup && !strings.HasPrefix(o.self.Username, "system:") && slices.Contains(o.self.Groups, a.Name)
	})
}

func (o *deciding) decidedBefore(r *v1alpha1.ApprovalRequest) bool {
	return slices.ContainsFunc(r.Spec.Decisions, func(d v1alpha1.Decision) bool {
		return d.Approver != nil && d.Approver.Username == o.self.Username && d.Verdict == o.verb.verdict
	})
}
