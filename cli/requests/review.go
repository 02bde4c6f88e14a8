// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// reviewing is one review of what went ahead without approvals.
type reviewing struct {
	deciding
}

func newReview(streams genericiooptions.IOStreams) *cobra.Command {
	o := &reviewing{deciding: *newDeciding(verb{name: "review", done: "reviewed"})}
	cmd := &cobra.Command{
		Use:   "review NAME --reason TEXT",
		Short: "Review what went ahead without approvals",
		Long: `Say that you have looked at what somebody did without approvals, by a request that was
declared to be break-glass, and what you think of it. The request is shown before, and is
reviewed only if you type yes. Its sessions and operations are in the record under its
name.

Who may approve by the rules of the request may review it, and nobody their own. It comes
once the request is over; "kubectl doorward revoke" ends it before its time.`,
		Example: `  # What waits for a review
  kubectl doorward requests --unreviewed

  # Look at what was done, and say so
  kubectl doorward review orders-db-x7k2p --reason 'seen: two updates of order 7, as INC-4711 says'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one request has to be named: each is reviewed for itself; see \"kubectl doorward requests --unreviewed\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args[0]) },
	}
	o.output.Add(cmd)
	cmd.Flags().StringVar(&o.reason, "reason", "", "What the review came to, for the requester and the record.")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "Do not show what it is about, and do not ask.")
	cmd.Flags().DurationVar(&o.timeout, "timeout", judgeTimeout, "How long to wait for the manager to say whether the review counts; 0 does not wait.")
	_ = cmd.MarkFlagRequired("reason")
	o.Add(cmd)
	cmd.ValidArgsFunction = complete(o.Flags, func(r *v1alpha1.ApprovalRequest) bool { return reviewable(r) == nil })
	return cmd
}

// reviewable says why a request is not to be reviewed, or nil.
func reviewable(r *v1alpha1.ApprovalRequest) error {
	switch {
	case r.Status.BreakGlass == nil:
		return errors.New("it did not go ahead without approvals, so there is nothing to review")
	case !ended(r):
		return fmt.Errorf("it is not over, so that more may come: review it then; to end it now, run \"kubectl doorward revoke -n %s %s --reason TEXT\"", r.Namespace, r.Name)
	case !r.AwaitsReview():
		return errors.New("it is reviewed already: " + show.Line(reviewed(r)))
	}
	return nil
}

// reviewed is what the manager says of the review of a request; empty where it needs none, or
// not yet.
func reviewed(r *v1alpha1.ApprovalRequest) string {
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReviewed)
	if r.Status.BreakGlass == nil || c == nil || !ended(r) {
		return ""
	}
	return c.Message
}

func (o *reviewing) run(ctx context.Context, streams genericiooptions.IOStreams, name string) error {
	if err := errors.Join(o.broken, o.output.Check(), show.CheckReason(o.reason, show.MaxReason)); err != nil {
		return err
	}
	if !o.yes && !show.Terminal(streams.In) {
		return errors.New("cannot review without being asked: standard input is no terminal to show the request on: run it in one, or give --yes")
	}
	var err error
	if o.client, err = o.Client(); err != nil {
		return err
	}
	r, err := read(ctx, o.client, o.Flags, name)
	if err != nil {
		return err
	}
	if err := reviewable(r); err != nil {
		return fmt.Errorf("cannot review ApprovalRequest %q: %w", name, err)
	}
	// Without an answer the API server fills in who reviews, if it is new enough.
	if self, err := cluster.Self(ctx, o.client); err == nil {
		o.self = &self
	}
	if !o.yes {
		if _, err := o.sendReview(ctx, r, client.DryRunAll); err != nil {
			return o.notReviewed(ctx, r, err)
		}
		if _, err := details(r).WriteTo(streams.ErrOut); err != nil {
			return err
		}
		fmt.Fprintln(streams.ErrOut)
		if err := show.Confirm(ctx, streams, "Have you seen what was done, and is it reviewed?"); err != nil {
			return err
		}
	}
	done, err := o.sendReview(ctx, r)
	if err != nil {
		return o.notReviewed(ctx, r, err)
	}
	words := streams.Out
	if !o.output.People() {
		words = streams.ErrOut
		if err := o.output.Object(streams.Out, done.DeepCopy()); err != nil {
			return err
		}
	}
	fmt.Fprintf(words, "approvalrequest.%s/%s reviewed\n", v1alpha1.GroupName, done.Name)
	return o.awaitReview(ctx, words, streams.ErrOut, done)
}

// sendReview adds the review to the request that was shown.
func (o *reviewing) sendReview(ctx context.Context, r *v1alpha1.ApprovalRequest, options ...client.PatchOption) (*v1alpha1.ApprovalRequest, error) {
	review := v1alpha1.Review{OperationDigest: r.DecidedDigest(), Reason: o.reason}
	if o.self != nil {
		review.Reviewer = &v1alpha1.DecisionApprover{Username: o.self.Username, Groups: o.self.Groups, UID: o.self.UID}
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": r.UID},
		{"op": "add", "path": "/spec/review", "value": review},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot write the review: %w", err)
	}
	done := r.DeepCopy()
	return done, o.client.Patch(ctx, done, client.RawPatch(types.JSONPatchType, patch), options...)
}

// awaitReview waits until the manager has said whether the review counts. One that does not
// is an error.
func (o *reviewing) awaitReview(ctx context.Context, words, notes io.Writer, done *v1alpha1.ApprovalRequest) error {
	if o.timeout <= 0 {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	verdict := func(r *v1alpha1.ApprovalRequest) *metav1.Condition {
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionReviewed)
		if c == nil || c.ObservedGeneration < done.Generation {
			return nil
		}
		return c
	}
	last, err := follow(waiting, o.client, done, func(r *v1alpha1.ApprovalRequest) bool { return verdict(r) != nil })
	c := verdict(last)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c != nil && c.Status == metav1.ConditionTrue:
		_, err := fmt.Fprintln(words, "The review counts.")
		return err
	case c != nil:
		return fmt.Errorf("your review does not count: %s: %s", show.Line(c.Reason), show.Line(c.Message))
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(notes, "Whether it counts is not known:", err)
		return nil
	}
	fmt.Fprintf(notes, "The manager has not looked at it yet: look again with \"kubectl doorward requests -n %s %s\"\n", done.Namespace, done.Name)
	return nil
}

// notReviewed says what the API server's refusal of a review means.
func (o *reviewing) notReviewed(ctx context.Context, r *v1alpha1.ApprovalRequest, err error) error {
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return cluster.Request{Verb: "patch", Resource: cluster.Ours(resource), Namespace: r.Namespace, Name: r.Name}.Failed(err)
	}
	meaning := "its admission policy refused the review"
	may, failed := cluster.Permitted(ctx, o.client, "patch", resource, r.Namespace, r.Name)
	switch {
	case failed == nil && !may:
		meaning = fmt.Sprintf("you are no approver in namespace %s: an admin has to bind ClusterRole doorward-approver to you there", r.Namespace)
	case o.self != nil && o.self.Username == r.Spec.Requester.Username:
		meaning = "it is your own request, and nobody reviews their own: ask one of: " + show.Line(approvers(r))
	case o.self != nil && !o.named(r):
		meaning = "the policy's rule does not name you as an approver: ask one of: " + show.Line(approvers(r))
	default:
		if may, err := cluster.Permitted(ctx, o.client, v1alpha1.VerbApprove, "connections", r.Namespace, r.Spec.ConnectionRef.Name); err == nil && !may {
			meaning = fmt.Sprintf("you do not hold the verb approve on Connection %s: an admin has to bind ClusterRole doorward-approver to you in namespace %s", r.Spec.ConnectionRef.Name, r.Namespace)
		}
	}
	return fmt.Errorf("cannot review ApprovalRequest %q: %s\nThe API server says: %w", r.Name, meaning, err)
}

// reviewTimes is when a request that waits for its review was over; empty for others.
func reviewTimes(r *v1alpha1.ApprovalRequest) string {
	c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionComplete)
	if !r.AwaitsReview() || c == nil || c.Status != metav1.ConditionTrue {
		return ""
	}
	return "since " + c.LastTransitionTime.UTC().Format(time.RFC3339)
}
