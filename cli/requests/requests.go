// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package requests is the plugin's verbs about ApprovalRequests: making those that last for a
// time, seeing all, and deciding on them. The API server is the judge of who may decide; the verbs show exactly what is
// decided on, and say what a refusal means.
package requests

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// resource is that of ApprovalRequests.
const resource = "approvalrequests"

// NewCommands returns the commands request, requests, approve, deny, revoke and review.
func NewCommands(streams genericiooptions.IOStreams) []*cobra.Command {
	return []*cobra.Command{newRequest(streams), newRequests(streams), newApprove(streams), newDeny(streams), newRevoke(streams), newReview(streams)}
}

// listing are the flags of requests.
type listing struct {
	*cluster.Flags
	output                *show.Output
	pending, mine, watch  bool
	unreviewed            bool
	connection, requester string
}

func newRequests(streams genericiooptions.IOStreams) *cobra.Command {
	scheme, err := cluster.Scheme()
	o := &listing{Flags: cluster.NewFlags(), output: show.NewOutput(scheme)}
	cmd := &cobra.Command{
		Use:   "requests [NAME]",
		Short: "Show requests for approval",
		Long: `Show the ApprovalRequests of a namespace: who asks for what, and how many approvals
there are of those that are needed. With a name, everything about one of them, as its
approvers see it: the operation, or of scope Session the rules, how long and why.

Characters that draw on a terminal, turn text round or show nothing are written as
\u{hex}. The digest is that of the whole operation, also where its end is not shown;
of scope Session it is over all that is asked for.`,
		Example: `  # What waits for approval in this namespace, and what comes in
  kubectl doorward requests --pending --watch

  # What became of my own requests, in all namespaces
  kubectl doorward requests --mine -A

  # What went ahead without approvals and waits for a review
  kubectl doorward requests --unreviewed

  # Everything about one
  kubectl doorward requests orders-db-x7k2p`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err != nil {
				return err
			}
			if err := o.output.Check(); err != nil {
				return err
			}
			if len(args) == 1 {
				return o.one(cmd.Context(), streams, args[0])
			}
			return o.run(cmd.Context(), streams)
		},
	}
	o.AddList(cmd)
	o.output.AddTable(cmd)
	cmd.Flags().BoolVar(&o.pending, "pending", false, "Show those only that wait for approvals.")
	cmd.Flags().BoolVar(&o.unreviewed, "unreviewed", false, "Show those only that went ahead without approvals and are not reviewed.")
	cmd.Flags().BoolVar(&o.mine, "mine", false, "Show those only that ask for you, by the name that the API server knows you by.")
	cmd.Flags().StringVarP(&o.connection, "connection", "c", "", "Show those only that are for this Connection.")
	cmd.Flags().StringVar(&o.requester, "requester", "", "Show those only that ask for this Kubernetes user name.")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "After listing, show each change as it comes.")
	cmd.MarkFlagsMutuallyExclusive("mine", "requester")
	o.Add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("connection", o.CompleteConnection)
	cmd.ValidArgsFunction = complete(o.Flags, func(*v1alpha1.ApprovalRequest) bool { return true })
	return cmd
}

// complete offers the names of requests.
func complete(f *cluster.Flags, offered func(*v1alpha1.ApprovalRequest) bool) cobra.CompletionFunc {
	return cluster.Complete(f, &v1alpha1.ApprovalRequestList{}, 1, func(r *v1alpha1.ApprovalRequest) (string, string, bool) {
		return r.Name, fmt.Sprintf("%s, %s: %s", phase(r), show.Bounded(r.Spec.Requester.Username, 40), show.Bounded(asksFor(r), 40)), offered(r)
	})
}

func (o *listing) run(ctx context.Context, streams genericiooptions.IOStreams) error {
	c, err := o.Client()
	if err != nil {
		return err
	}
	query, err := o.Query()
	if err != nil {
		return err
	}
	if o.mine {
		me, err := cluster.Self(ctx, c)
		if err != nil {
			return err
		}
		o.requester = me.Username
	}
	var list v1alpha1.ApprovalRequestList
	if err := cluster.List(ctx, c, &list, query, resource); err != nil {
		return err
	}
	chosen := []*v1alpha1.ApprovalRequest{}
	for i := range list.Items {
		if o.keep(&list.Items[i]) {
			chosen = append(chosen, &list.Items[i])
		}
	}
	rows := show.Rows(streams, o.output, "requests", query.Namespace, columns)
	if err := rows(chosen, !o.watch); err != nil || !o.watch {
		return err
	}
	shown := map[string]bool{}
	for _, r := range chosen {
		shown[string(r.UID)] = true
	}
	err = cluster.Watch(ctx, c, &list, query, resource, func(event watch.EventType, object client.Object) (bool, error) {
		r, ok := object.(*v1alpha1.ApprovalRequest)
		// One that was shown is shown once more when it is over.
		if !ok || event == watch.Deleted || !o.keep(r) && !shown[string(r.UID)] {
			return false, nil
		}
		shown[string(r.UID)] = o.keep(r)
		return false, rows([]*v1alpha1.ApprovalRequest{r}, false)
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // whoever watches ends it
	}
	return err
}

func (o *listing) keep(r *v1alpha1.ApprovalRequest) bool {
	return (!o.pending || phase(r) == v1alpha1.ApprovalPending) &&
		(!o.unreviewed || r.AwaitsReview()) &&
		(o.connection == "" || r.Spec.ConnectionRef.Name == o.connection) &&
		(o.requester == "" || r.Spec.Requester.Username == o.requester)
}

// statementShown is the width of a statement in a table.
const statementShown = 60

var columns = []show.Column[*v1alpha1.ApprovalRequest]{
	{Name: "Name", Value: func(r *v1alpha1.ApprovalRequest) string { return r.Name }},
	{Name: "Requester", Value: func(r *v1alpha1.ApprovalRequest) string {
		return show.Bounded(r.Spec.Requester.Username, statementShown)
	}},
	{Name: "Connection", Value: func(r *v1alpha1.ApprovalRequest) string { return r.Spec.ConnectionRef.Name }},
	{Name: "Scope", Value: func(r *v1alpha1.ApprovalRequest) string { return string(r.Spec.Scope) }},
	{Name: "Asks-For", Value: asksFor},
	{Name: "State", Value: func(r *v1alpha1.ApprovalRequest) string { return string(phase(r)) + unapproved(r) }},
	{Name: "Approvals", Value: func(r *v1alpha1.ApprovalRequest) string {
		return approvalCount(r, "/")
	}},
	{Name: "Expires", Value: func(r *v1alpha1.ApprovalRequest) string { return show.When(expires(r)) }},
	{Name: "Age", Value: func(r *v1alpha1.ApprovalRequest) string { return show.Age(r.CreationTimestamp) }},
	{Name: "Session", Wide: true, Value: func(r *v1alpha1.ApprovalRequest) string { return r.Spec.Holder.Session }},
	{Name: "Digest", Wide: true, Value: func(r *v1alpha1.ApprovalRequest) string { return r.DecidedDigest() }},
}

// phase is what came of a request; one that was not judged yet waits.
func phase(r *v1alpha1.ApprovalRequest) v1alpha1.ApprovalPhase {
	if r.Status.Phase == "" {
		return v1alpha1.ApprovalPending
	}
	return r.Status.Phase
}

// unapproved marks what went ahead without approvals, for a column.
func unapproved(r *v1alpha1.ApprovalRequest) string {
	switch {
	case r.Status.BreakGlass == nil:
		return ""
	case !ended(r):
		return ", BREAK-GLASS"
	case r.AwaitsReview():
		return ", UNREVIEWED"
	}
	return ", reviewed"
}

// late says whether the time of a request is over, by the clock here.
func late(r *v1alpha1.ApprovalRequest) bool {
	end := expires(r)
	return !end.IsZero() && !time.Now().Before(end.Time)
}
