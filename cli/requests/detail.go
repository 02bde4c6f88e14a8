// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// one shows one request.
func (o *listing) one(ctx context.Context, streams genericiooptions.IOStreams, name string) error {
	if o.All || o.pending || o.unreviewed || o.mine || o.watch || o.connection != "" || o.requester != "" || o.Selector != "" || o.FieldSelector != "" {
		return fmt.Errorf("a name and flags that choose: %q is shown alone: leave out the name, or the flags", name)
	}
	c, err := o.Client()
	if err != nil {
		return err
	}
	r, err := read(ctx, c, o.Flags, name)
	if err != nil {
		return err
	}
	if !o.output.People() {
		return o.output.Object(streams.Out, r)
	}
	_, err = details(r).WriteTo(streams.Out)
	if err == nil {
		_, err = fmt.Fprint(streams.Out, next(r))
	}
	return err
}

// read gets one request.
func read(ctx context.Context, c client.Client, f *cluster.Flags, name string) (*v1alpha1.ApprovalRequest, error) {
	namespace, err := f.Scope()
	if err != nil {
		return nil, err
	}
	r := &v1alpha1.ApprovalRequest{}
	err = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, r)
	return r, cluster.Request{Verb: "get", Resource: cluster.Ours(resource), Namespace: namespace, Name: name}.Failed(err)
}

// details are everything about a request that a person decides by.
func details(r *v1alpha1.ApprovalRequest) *show.Details {
	if lasts(r) {
		return sessionDetails(r)
	}
	d, s := &show.Details{}, &r.Spec
	d.Fields(
		"Name", r.Name,
		"Namespace", r.Namespace,
		"Scope", "Operation: this one",
		"State", state(r),
		"Requester", s.Requester.Username,
		"Proven as", s.Requester.Subject+" by "+s.Requester.Issuer,
		"Groups", strings.Join(s.Requester.Groups, ", "),
		"Connection", s.ConnectionRef.Name,
		"Session", s.Holder.Session+" at "+s.Holder.ProxyInstance,
		"Asked", show.Time(r.CreationTimestamp),
		"Expires", show.Time(s.ExpiresAt),
		"Approvals", approvalCount(r, " of "),
		"Approvers", approvers(r),
		"Rules", strings.Join(ruleNames(r), ", "),
		"Digest", s.Operation.Digest,
	)
	d.Block("Operation", s.Operation.Statement)
	if truncated(r) {
		d.Fields("TRUNCATED", "the end of the operation is not shown: it does more than you can see here")
	}
	d.Fields("Characters beyond ASCII", show.LookAlikes(s.Requester.Username, s.Operation.Statement))
	var accesses [][]string
	for _, a := range s.Operation.Accesses {
		accesses = append(accesses, []string{a.Action, a.Resource})
	}
	d.Rows("Does", accesses)
	d.Fields("Properties", strings.Join(s.Operation.Properties, ", "))
	d.Rows("Decisions", decisions(r))
	return d
}

// state is what came of a request, and why.
func state(r *v1alpha1.ApprovalRequest) string {
	text := string(phase(r))
	if why := reason(r); why != "" {
		text += " - " + why
	}
	return text
}

// reason says why a request is in its phase, where the manager says so.
func reason(r *v1alpha1.ApprovalRequest) string {
	for _, kind := range []string{v1alpha1.ConditionApproved, v1alpha1.ConditionComplete, v1alpha1.ConditionAccepted} {
		for _, c := range r.Status.Conditions {
			if c.Type == kind && c.Message != "" {
				return c.Message
			}
		}
	}
	return ""
}

func approvers(r *v1alpha1.ApprovalRequest) string {
	var names []string
	for _, a := range approverList(r) {
		names = append(names, strings.ToLower(string(a.Kind))+" "+a.Name)
	}
	return strings.Join(names, ", ")
}

// decisions are the rows of what was decided, and whether it counts.
func decisions(r *v1alpha1.ApprovalRequest) [][]string {
	var rows [][]string
	for i, d := range r.Spec.Decisions {
		who := "nobody"
		if d.Approver != nil {
			who = d.Approver.Username
		}
		rows = append(rows, []string{string(d.Verdict), who, judged(r, i), d.Comment})
	}
	return rows
}

// What the manager made of a decision, where it is no more than that.
const (
	counts    = "counts"
	notJudged = "not judged yet"
)

// judged says what the manager made of a decision.
func judged(r *v1alpha1.ApprovalRequest, index int) string {
	for _, s := range r.Status.Decisions {
		if int(s.Index) != index {
			continue
		}
		if s.State == v1alpha1.DecisionCounted {
			return counts
		}
		return strings.TrimSuffix("does not count: "+s.Reason+": "+s.Message, ": ")
	}
	return notJudged
}

// next says what can be done about a request.
func next(r *v1alpha1.ApprovalRequest) string {
	command := fmt.Sprintf("-n %s %s", r.Namespace, r.Name)
	switch {
	case ended(r) && r.AwaitsReview():
		return fmt.Sprintf("\nIt went ahead without approvals. An approver has to review it:\n  kubectl doorward review %s --reason TEXT\n", command)
	case over(r):
		return ""
	case r.DecidedDigest() == "":
		return fmt.Sprintf("\nThe manager has not looked at it yet, so nobody can decide: see again with\n  kubectl doorward requests %s\n", command)
	}
	switch phase(r) {
	case v1alpha1.ApprovalPending:
		return fmt.Sprintf("\nAn approver runs:\n  kubectl doorward approve %s --digest %s\n  kubectl doorward deny %s --reason TEXT\n", command, r.DecidedDigest(), command)
	case v1alpha1.ApprovalApproved:
		if lasts(r) {
			return fmt.Sprintf("\nThe requester, and whoever holds approve or terminate on the Connection, can end it:\n  kubectl doorward revoke %s --reason TEXT\n", command)
		}
		return fmt.Sprintf("\nAs long as it is not used, an approver can take it back:\n  kubectl doorward revoke %s --reason TEXT\n", command)
	case v1alpha1.ApprovalDenied, v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalUsed, v1alpha1.ApprovalVoid,
		v1alpha1.ApprovalRevoked:
	}
	return ""
}
