// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"slices"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
)

// ApprovalGate is what approvals of scope Session are told to.
type ApprovalGate interface {
	Approve(a *access.SessionApproval)
	Disapprove(uid, cause string)
	Approvals() map[string]string
	FollowsApprovals(follows bool)
}

// SessionApprovals follows the ApprovalRequests of scope Session of one Connection. The
// proxy watches them itself, so that a revocation needs no manager.
type SessionApprovals struct {
	Client          *Client
	Namespace, Name string
	Gate            ApprovalGate
	Log             logr.Logger
}

// Run follows until ctx ends.
func (s *SessionApprovals) Run(ctx context.Context) {
	// Until the first watch is up nobody hears of what ends.
	s.Gate.FollowsApprovals(false)
	client := s.Client.approvalRequests(s.Namespace)
	f := &follower[*v1alpha1.ApprovalRequest]{
		selector: metav1.ListOptions{LabelSelector: v1alpha1.LabelConnection + "=" + s.Name + "," + v1alpha1.LabelScope + "=" + string(v1alpha1.ApprovalScopeSession)},
		list: paged(client.List, func(l *v1alpha1.ApprovalRequestList) []*v1alpha1.ApprovalRequest {
			return slices.DeleteFunc(pointers(l.Items), s.unimportant)
		}),
		watch:  client.Watch,
		synced: s.synced,
		event:  s.seen,
		alive:  s.Gate.FollowsApprovals,
	}
	f.run(ctx)
}

// unimportant says that a request changes nothing here: it is not approved, and was not.
// Those that wait or are over may be many, and are not kept in memory.
func (s *SessionApprovals) unimportant(r *v1alpha1.ApprovalRequest) bool {
	_, known := s.Gate.Approvals()[string(r.UID)]
	return !known && r.Status.Phase != v1alpha1.ApprovalApproved
}

// synced takes all that there are: what is known and not among them was deleted.
func (s *SessionApprovals) synced(all []*v1alpha1.ApprovalRequest) {
	there := map[string]bool{}
	for _, request := range all {
		there[string(request.UID)] = true
		s.seen(request, false)
	}
	for uid, name := range s.Gate.Approvals() {
		if !there[uid] {
			s.Log.Info("An approval ended", "approvalRequest", name, "cause", causeDeleted)
			s.Gate.Disapprove(uid, causeDeleted)
		}
	}
}

const causeDeleted = "was deleted"

func (s *SessionApprovals) seen(request *v1alpha1.ApprovalRequest, gone bool) {
	if request.Spec.Scope != v1alpha1.ApprovalScopeSession || request.Spec.ConnectionRef.Name != s.Name {
		return
	}
	approval, ended := sessionApproval(request, gone)
	if approval != nil {
		s.Gate.Approve(approval)
		return
	}
	if name, known := s.Gate.Approvals()[string(request.UID)]; known {
		s.Log.Info("An approval ended", "approvalRequest", name, "cause", ended)
		s.Gate.Disapprove(string(request.UID), ended)
	}
}

// sessionApproval is what a request approves; nil where it does not, or not any more, and
// why. The proxy believes spec.revoke, and a denial, before the manager has: what ends needs
// no proof.
func sessionApproval(r *v1alpha1.ApprovalRequest, gone bool) (approval *access.SessionApproval, why string) {
	session := r.Status.Session
	switch {
	case gone || r.DeletionTimestamp != nil:
		return nil, causeDeleted
	case r.Spec.Revoke != nil:
		return nil, "was revoked by " + record.Visible(r.Spec.Revoke.Username) + ": " + record.Visible(r.Spec.Revoke.Reason)
	case denied(r) != "":
		return nil, "was denied by " + record.Visible(denied(r))
	case r.Status.Phase != v1alpha1.ApprovalApproved:
		return nil, "became " + string(r.Status.Phase)
	case session == nil || session.StartsAt.IsZero() || session.ExpiresAt.IsZero() || len(session.Binding.Policies) != len(r.Spec.Session.Rules):
		return nil, "has a status that says too little"
	}
	approvers := counted(r, v1alpha1.VerdictApprove)
	use := r.Status.BreakGlass
	switch {
	case (use != nil) != (r.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared):
		return nil, "has a status that is not about what was declared"
	case use == nil && len(approvers) < int(max(1, r.Status.MinimumApprovals)):
		return nil, "has a status that says approved, and decisions that do not"
	}
	approval = &access.SessionApproval{
		Name: r.Name, UID: string(r.UID),
		Requester: r.Spec.Requester.Username, Issuer: r.Spec.Requester.Issuer, Subject: r.Spec.Requester.Subject,
		ConnectionUID: session.Binding.ConnectionUID, ConnectionGeneration: session.Binding.ConnectionGeneration,
		Approvers: approvers, From: session.StartsAt.Time, Until: session.ExpiresAt.Time,
	}
	if use != nil {
		approval.BreakGlass, approval.ReasonDigest = true, use.ReasonDigest
	}
	for i, bound := range session.Binding.Policies {
		wanted := &r.Spec.Session.Rules[i]
		if bound.Name != wanted.Policy || bound.Rule != wanted.Rule {
			return nil, "has a status that is not about what was asked for"
		}
		approval.Rules = append(approval.Rules, access.ApprovedRule{
			PolicyUID: bound.UID, Generation: bound.Generation, Rule: bound.Rule, Actions: wanted.Actions, Resources: wanted.Resources,
		})
	}
	return approval, ""
}

// denied is who denied a request; empty for nobody. A denial that the manager found not to
// count is none.
func denied(r *v1alpha1.ApprovalRequest) string {
	for i := range r.Spec.Decisions {
		d := &r.Spec.Decisions[i]
		void := slices.ContainsFunc(r.Status.Decisions, func(s v1alpha1.DecisionStatus) bool {
			return int(s.Index) == i && s.State == v1alpha1.DecisionVoid
		})
		if d.Verdict == v1alpha1.VerdictDeny && d.Approver != nil && d.Approver.Username != "" && !void {
			return d.Approver.Username
		}
	}
	return ""
}
