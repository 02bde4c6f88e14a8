// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/cli/show"
)

// await waits until the manager has judged a decision, and says what it comes to. One that
// does not count is an error: whoever decided would else believe that it does.
func (o *deciding) await(ctx context.Context, words, notes io.Writer, decided *v1alpha1.ApprovalRequest) error {
	if o.timeout <= 0 {
		return nil
	}
	index := len(decided.Spec.Decisions) - 1
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	list := &v1alpha1.ApprovalRequestList{}
	query := cluster.Object(decided.Namespace, decided.Name)
	err := cluster.List(waiting, o.client, list, query, resource)
	last := decided
	if err == nil && len(list.Items) == 1 && list.Items[0].UID == decided.UID {
		last = &list.Items[0]
	}
	if err == nil && !isJudged(last, index) {
		err = cluster.Watch(waiting, o.client, list, query, resource, func(event watch.EventType, object client.Object) (bool, error) {
			r, ok := object.(*v1alpha1.ApprovalRequest)
			if !ok || r.UID != decided.UID || event == watch.Deleted {
				return true, nil
			}
			last = r
			return isJudged(r, index), nil
		})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isJudged(last, index):
		return o.outcome(words, last, index)
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(notes, "What it comes to is not known:", err)
		return nil
	}
	fmt.Fprintf(notes, "The manager has not judged it yet: look again with \"kubectl doorward requests -n %s %s\"\n", decided.Namespace, decided.Name)
	return nil
}

// isJudged says whether the manager said what a decision, or the whole request, comes to.
func isJudged(r *v1alpha1.ApprovalRequest, index int) bool {
	return over(r) || judged(r, index) != notJudged
}

func (o *deciding) outcome(words io.Writer, r *v1alpha1.ApprovalRequest, index int) error {
	if text := judged(r, index); text != counts {
		if text == notJudged {
			return fmt.Errorf("too late, your decision does not count: %s", overSince(r))
		}
		return fmt.Errorf("your decision %s: see \"kubectl doorward requests -n %s %s\"", show.Line(text), r.Namespace, r.Name)
	}
	text := ""
	switch phase(r) {
	case v1alpha1.ApprovalApproved, v1alpha1.ApprovalUsed:
		text = fmt.Sprintf("It has %d of %d approvals: the operation goes ahead.", r.Status.Approvals, r.Spec.MinimumApprovals)
	case v1alpha1.ApprovalDenied:
		text = "The operation is refused."
	case v1alpha1.ApprovalPending:
		text = "It is not enough yet: " + show.Line(reason(r)) + "."
	case v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalVoid:
		text = "Nothing comes of it: " + overSince(r) + "."
	}
	_, err := fmt.Fprintln(words, text)
	return err
}
