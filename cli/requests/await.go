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

// errGone says that a request that was followed is no more.
var errGone = errors.New("it was deleted")

// follow calls done with a request as it is, and as it becomes, until done says so. It
// returns the last that was seen.
func follow(ctx context.Context, c client.WithWatch, from *v1alpha1.ApprovalRequest, done func(*v1alpha1.ApprovalRequest) bool) (*v1alpha1.ApprovalRequest, error) {
	list, query, last := &v1alpha1.ApprovalRequestList{}, cluster.Object(from.Namespace, from.Name), from
	if err := cluster.List(ctx, c, list, query, resource); err != nil {
		return last, err
	}
	if len(list.Items) != 1 || list.Items[0].UID != from.UID {
		return last, errGone
	}
	if last = &list.Items[0]; done(last) {
		return last, nil
	}
	err := cluster.Watch(ctx, c, list, query, resource, func(event watch.EventType, object client.Object) (bool, error) {
		r, ok := object.(*v1alpha1.ApprovalRequest)
		if !ok || r.UID != from.UID || event == watch.Deleted {
			return true, errGone
		}
		last = r
		return done(r), nil
	})
	return last, err
}

// await waits until the manager has judged a decision, and says what it comes to. One that
// does not count is an error: whoever decided would else believe that it does.
func (o *deciding) await(ctx context.Context, words, notes io.Writer, decided *v1alpha1.ApprovalRequest) error {
	if o.timeout <= 0 {
		return nil
	}
	index := len(decided.Spec.Decisions) - 1
	if o.revokes(decided) {
		index = revoked
	}
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	last, err := follow(waiting, o.client, decided, func(r *v1alpha1.ApprovalRequest) bool { return isJudged(r, index) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isJudged(last, index) && index == revoked:
		_, err := fmt.Fprintf(words, "It is over (%s); proxies end the sessions that rest on it.\n", phase(last))
		return err
	case isJudged(last, index):
		return o.outcome(words, last, index)
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(notes, "What it comes to is not known:", err)
		return nil
	}
	fmt.Fprintf(notes, "The manager has not judged it yet: look again with \"kubectl doorward requests -n %s %s\"\n", decided.Namespace, decided.Name)
	return nil
}

// revoked is the index of what is no decision.
const revoked = -1

// isJudged says whether the manager said what a decision, or the whole request, comes to.
func isJudged(r *v1alpha1.ApprovalRequest, index int) bool {
	if index == revoked {
		return ended(r)
	}
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
		text = fmt.Sprintf("It has %s approvals: %s.", approvalCount(r, " of "), ahead(r))
	case v1alpha1.ApprovalDenied:
		text = "The operation is refused."
		if lasts(r) {
			text = "The request is denied; what rested on it is over."
		}
	case v1alpha1.ApprovalPending:
		text = "It is not enough yet: " + show.Line(reason(r)) + "."
	case v1alpha1.ApprovalExpired, v1alpha1.ApprovalStale, v1alpha1.ApprovalVoid, v1alpha1.ApprovalRevoked:
		text = "Nothing comes of it: " + overSince(r) + "."
	}
	_, err := fmt.Fprintln(words, text)
	return err
}

// ahead is what an approval lets happen.
func ahead(r *v1alpha1.ApprovalRequest) string {
	if s := r.Status.Session; lasts(r) && s != nil {
		return fmt.Sprintf("it holds from %s until %s", show.Time(s.StartsAt), show.Time(s.ExpiresAt))
	}
	return "the operation goes ahead"
}
