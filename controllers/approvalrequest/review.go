// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package approvalrequest

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/enforcement"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/record"
)

// countUnreviewed counts what else the requester does without approvals and nobody has
// reviewed. It asks the API server itself: two requests of one moment must not both be the
// last that may be.
func (r *Reconciler) countUnreviewed(ctx context.Context, s *scope) error {
	if s.request.Spec.Session.BreakGlass != v1alpha1.BreakGlassDeclared || s.request.Status.BreakGlass != nil {
		return nil
	}
	var list v1alpha1.ApprovalRequestList
	if err := r.Live.List(ctx, &list, client.InNamespace(s.request.Namespace), client.MatchingLabels{v1alpha1.LabelScope: string(v1alpha1.ApprovalScopeSession)}); err != nil {
		return fmt.Errorf("cannot count what the requester did without approvals: %w", err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == s.request.UID || other.Spec.Requester.Username != s.request.Spec.Requester.Username {
			continue
		}
		coming := other.Spec.Session.BreakGlass == v1alpha1.BreakGlassDeclared && other.Status.Phase == "" && elder(other, s.request)
		if other.AwaitsReview() || coming {
			s.facts.Unreviewed++
		}
	}
	return nil
}

// awaitReview judges the review of what went ahead without approvals. Until one counts the
// request stays.
func (r *Reconciler) awaitReview(ctx context.Context, request *v1alpha1.ApprovalRequest) error {
	facts := ReviewFacts{Request: request}
	var err error
	// The proof is later than the request was read, so that it covers the review.
	if facts.Enforcement, err = r.Believer.Interval(ctx); errors.Is(err, enforcement.ErrNotEnforced) {
		facts.NotBelieved = err
	} else if err != nil {
		return err
	}
	patcher := kit.NewPatcher(r.Client, request)
	if c := meta.FindStatusCondition(request.Status.Conditions, v1alpha1.ConditionReviewed); request.Spec.Review == nil || !judgedReview(c, request) {
		if review := request.Spec.Review; review != nil && review.Reviewer != nil && facts.NotBelieved == nil {
			if facts.Entitled, err = r.entitled(ctx, request, review.Reviewer); err != nil {
				return err
			}
		}
		reason, message := judgeReview(facts)
		condition := kit.False(v1alpha1.ConditionReviewed, reason, message)
		if reason == v1alpha1.ReasonReviewed {
			condition = kit.True(v1alpha1.ConditionReviewed, reason, message)
		}
		kit.Write(&request.Status.Conditions, request.Generation, condition)
	}
	if facts.NotBelieved == nil {
		request.Status.BreakGlass.Enforcement = facts.Enforcement
	}
	if err := patcher.PatchStatus(ctx, request); err != nil {
		return err
	}
	if !request.AwaitsReview() {
		if r.BrokeGlass != nil {
			r.BrokeGlass(BreakGlassReviewed)
		}
		connection := &v1alpha1.Connection{}
		err := client.IgnoreNotFound(r.Client.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.ConnectionRef.Name}, connection))
		if err != nil {
			return err
		}
		r.announce(connection, request, corev1.EventTypeNormal, "BreakGlassReviewed", fmt.Sprintf("%s reviewed what %s did without approvals by ApprovalRequest %s: %s",
			request.Spec.Review.Reviewer.Username, request.Spec.Requester.Username, request.Name, record.Visible(request.Spec.Review.Reason)))
	}
	return nil
}

// judgedReview says whether this very review was judged before: nothing in spec changed
// since.
func judgedReview(c *metav1.Condition, request *v1alpha1.ApprovalRequest) bool {
	return c != nil && c.Reason != v1alpha1.ReasonReviewAwaited && c.ObservedGeneration == request.Generation
}

// tellBreakGlass warns of a request that goes ahead without approvals.
func (r *Reconciler) tellBreakGlass(s *scope) {
	request := s.request
	r.announce(s.facts.Connection, request, corev1.EventTypeWarning, "BreakGlass", fmt.Sprintf(
		"%s goes ahead without approvals by ApprovalRequest %s until %s (reason %s): %s",
		request.Spec.Requester.Username, request.Name, request.Status.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z"),
		request.Status.BreakGlass.ReasonDigest, record.Visible(request.Spec.Session.Reason)))
}

// maxNote is the number of characters of an Event's note that the API server takes.
const maxNote = 1024

// announce makes an Event on the request and one on its Connection.
func (r *Reconciler) announce(connection *v1alpha1.Connection, request *v1alpha1.ApprovalRequest, kind, reason, note string) {
	if r.Events == nil {
		return
	}
	note, _ = bounded(note, maxNote)
	regarding := []struct{ object, related runtime.Object }{{request, connection}, {connection, request}}
	if connection == nil || connection.UID == "" {
		regarding = regarding[:1]
		regarding[0].related = nil
	}
	for _, to := range regarding {
		r.Events.Eventf(to.object, to.related, kind, reason, "BreakGlass", "%s", note)
	}
}

// brokeGlass is what came of a request to go ahead without approvals.
func brokeGlass(request *v1alpha1.ApprovalRequest) string {
	if request.Status.BreakGlass != nil {
		return BreakGlassActivated
	}
	return BreakGlassRefused
}
